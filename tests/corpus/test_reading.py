from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargen.corpus.detection import Detected
from chargen.corpus.reading import Source, open_source, read_chunks, read_sources, read_text
from chargen.corpus.sources import SourceFile, find_sources
from chargen.errors import CorpusError
from chargen.options import CorpusConfig
from tests.corpus.texts import CHINESE, ENGLISH, ODD


def write(folder: Path, data: bytes, name: str = "text.txt") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def named(path: Path, codec: str) -> Source:
    file = SourceFile(path, path.name, path.stat().st_size)
    return Source(file, Detected(codec, True, "named"))


def with_line_feeds(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


@pytest.mark.parametrize("chunk_bytes", [1, 2, 3, 5, 1 << 20])
@pytest.mark.parametrize(
    "codec", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "gb18030", "big5hkscs", "iso2022_jp_2"]
)
def test_chunks_join_to_the_whole_text_wherever_they_are_cut(
    tmp_path: Path, codec: str, chunk_bytes: int
) -> None:
    text = "山水\r\n\r\r\n日月\r中\n\r"
    source = named(write(tmp_path, text.encode(codec)), codec)
    chunks = list(read_chunks(source, chunk_bytes=chunk_bytes))
    assert "".join(chunks) == with_line_feeds(text)
    assert all(chunks)
    assert (source.crlf, source.cr) == (2, 3)
    assert source.characters == len(with_line_feeds(text))
    assert source.digest
    assert source.digest.hexdigest() == hashlib.sha256(text.encode(codec)).hexdigest()


@given(
    text=st.text(st.sampled_from("ab\r\n文𝄞\ufeff\x85\u2028\x0c"), max_size=30),
    chunk_bytes=st.integers(1, 9),
)
def test_only_line_ends_and_a_leading_mark_change(
    tmp_path_factory: pytest.TempPathFactory, text: str, chunk_bytes: int
) -> None:
    path = write(tmp_path_factory.mktemp("t"), text.encode())
    chunks = read_chunks(named(path, "utf-8"), chunk_bytes=chunk_bytes)
    assert "".join(chunks) == with_line_feeds(text.removeprefix("\ufeff"))


def test_a_mark_at_the_beginning_is_dropped_and_one_inside_stays(tmp_path: Path) -> None:
    path = write(tmp_path, "\ufeff一\ufeff二".encode())
    source = open_source(*find_sources([path]), CorpusConfig())
    assert "".join(read_chunks(source)) == "一\ufeff二"
    assert source.mark_dropped


@pytest.mark.parametrize("chunk_bytes", [1, 7, 1 << 20])
@pytest.mark.parametrize("codec", ["utf-8", "gb18030", "big5", "utf-16-le", "shift_jis"])
def test_a_bad_byte_is_named_with_its_offset(tmp_path: Path, codec: str, chunk_bytes: int) -> None:
    good = ("中文" * 20 + "\n").encode(codec)
    bad = b"\x00\xd8\x41\x00" if codec == "utf-16-le" else b"\xff\xff"
    data = good + bad + good
    with pytest.raises(UnicodeDecodeError) as expected:
        data.decode(codec)
    source = named(write(tmp_path, data), codec)
    with pytest.raises(CorpusError) as error:
        list(read_chunks(source, chunk_bytes=chunk_bytes))
    assert str(source.path) in error.value.message
    assert f"byte offset {expected.value.start}." in error.value.message
    assert 'errors="replace"' in error.value.remedy


@pytest.mark.parametrize("chunk_bytes", [1, 3, 1 << 20])
@pytest.mark.parametrize(
    "data", [b"a\xffb\xe4\xb8", b"\xed\xa0\x80\xc0\xaf\xf4\x90\x80\x80\xe4\xb8\n", b"\xff\xfe\xfd"]
)
def test_replacements_are_those_of_python_and_counted_exactly(
    tmp_path: Path, data: bytes, chunk_bytes: int
) -> None:
    data = "\ufffd真".encode() + data  # one U+FFFD is the source's own
    source = named(write(tmp_path, data), "utf-8")
    text = "".join(read_chunks(source, "replace", chunk_bytes=chunk_bytes))
    assert text == data.decode("utf-8", "replace")
    assert source.replacements == text.count("\ufffd") - 1


def test_replacing_works_in_a_legacy_encoding(tmp_path: Path) -> None:
    data = "中文".encode("gb18030") + b"\xff" + "山".encode("gb18030")[:1]
    source = named(write(tmp_path, data), "gb18030")
    assert "".join(read_chunks(source, "replace")) == data.decode("gb18030", "replace")
    assert source.replacements == 2


def test_a_lone_surrogate_from_a_codec_is_an_error_or_replaced(tmp_path: Path) -> None:
    path = write(tmp_path, b"ab\\ud800c")
    with pytest.raises(CorpusError, match=r"U\+D800"):
        list(read_chunks(named(path, "unicode_escape")))
    source = named(path, "unicode_escape")
    assert "".join(read_chunks(source, "replace")) == "ab\ufffdc"
    assert source.replacements == 1


def test_a_line_end_separates_files_that_lack_one(tmp_path: Path) -> None:
    texts = ["one", "two\n", "", "three", "four"]
    paths = [write(tmp_path, t.encode(), f"{i}.txt") for i, t in enumerate(texts)]
    sources = [named(path, "utf-8") for path in paths]
    assert "".join(read_sources(sources, CorpusConfig())) == "one\ntwo\nthree\nfour"
    assert [s.newline_added for s in sources] == [True, False, False, True, False]


def test_a_file_like_no_text_is_an_error_unless_bytes_may_be_replaced(tmp_path: Path) -> None:
    path = write(tmp_path, bytes(range(256)) * 20)
    with pytest.raises(CorpusError, match="not recognised"):
        open_source(*find_sources([path]), CorpusConfig())
    assert not open_source(*find_sources([path]), CorpusConfig(errors="replace")).detected.sure


def test_a_named_encoding_is_used_as_it_is(tmp_path: Path) -> None:
    path = write(tmp_path, CHINESE.encode("utf-16-be"))
    assert read_text(path, CorpusConfig(encoding="utf-16-be")) == CHINESE
    with pytest.raises(CorpusError, match="klingon"):
        read_text(path, CorpusConfig(encoding="klingon"))


def test_odd_characters_are_read_as_they_are(tmp_path: Path) -> None:
    assert read_text(write(tmp_path, (ENGLISH + ODD).encode())) == ENGLISH + ODD

"""A text that workers prepare is the corpus that one process makes, byte for byte."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chargen.corpus import cutting
from chargen.corpus.cutting import pieces_of
from chargen.corpus.detection import Detected
from chargen.corpus.preparing import prepare
from chargen.corpus.reading import Source
from chargen.corpus.shared import Task, results_in_order
from chargen.corpus.sources import find_sources
from chargen.errors import ChargenError
from chargen.options import CorpusConfig, WorkersConfig
from chargen.workers.pool import Pool
from tests.support import files_in

CUT = ["utf-8", "utf8", "UTF-8", "gb18030", "GBK", "shift-jis", "euc-kr", "latin_1", "latin-1"]
CUT += ["koi8_r", "koi8-r", "cp1250", "cp1252", "iso8859_2", "mac_roman", "ascii"]
NOT_CUT = ["utf-16", "utf-32-le", "utf-7", "utf-8-sig", "hz", "iso2022_jp", "cp037"]
TWO = WorkersConfig(workers=2)
CHINESE = "春眠不觉晓，处处闻啼鸟。夜来风雨声，花落知多少。𠮷"


def text_of(count: int, ends: str = "\n") -> str:
    rng = random.Random(count)
    lines = ("".join(rng.choices(CHINESE, k=rng.randint(0, 60))) for _ in range(count))
    return ends.join(lines)


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of every kind that is read in its own way."""
    folder = tmp_path_factory.mktemp("texts")
    (folder / "a.txt").write_bytes(text_of(300).encode())
    (folder / "b.txt").write_bytes(b"\xef\xbb\xbf" + text_of(200, "\r\n").encode())
    (folder / "c.txt").write_bytes(b"")
    (folder / "d.txt").write_bytes(text_of(250).replace("𠮷", "").encode("gb18030"))
    (folder / "e.txt").write_bytes(text_of(120, "\r").encode("utf-16"))
    (folder / "f.txt").write_bytes(text_of(1).encode() * 300)
    (folder / "g.txt").write_bytes(text_of(90).encode())
    return folder


@pytest.mark.parametrize("size", [64, 1000])
@pytest.mark.parametrize(
    "names",
    ["abcdefg", "a", "bc", "d", "e", "f"],
    ids=["all", "UTF-8", "mark and CRLF", "GB18030", "UTF-16", "one line"],
)
def test_pieces_are_the_file_cut_at_whole_characters(texts: Path, names: str, size: int) -> None:
    codecs = {"d": "gb18030", "e": "utf-16"}
    for name in names:
        [file] = find_sources([texts / f"{name}.txt"])
        source = Source(file, Detected(codecs.get(name, "utf-8"), True, ""))
        pieces = list(pieces_of(source, whole_lines=False, size=size))
        data = file.path.read_bytes()
        assert b"".join(data[each.start : each.stop] for each in pieces) == data
        assert [each.start for each in pieces[1:]] == [each.stop for each in pieces[:-1]]
        for each in pieces:
            piece = data[each.start : each.stop]
            piece.decode(source.detected.codec)
            assert not piece.endswith(b"\r") or name == "e"
        if name not in "ce" and not (name == "f" and size > len(data)):
            assert len(pieces) >= len(data) // (size + 300)


@pytest.mark.parametrize("codec", CUT)
def test_a_codec_without_a_memory_is_cut_however_it_is_spelt(tmp_path: Path, codec: str) -> None:
    assert count_of_pieces(tmp_path, codec) == 4


@pytest.mark.parametrize(
    "codec", ["utf-16", "utf-32-le", "utf-7", "utf-8-sig", "hz", "iso2022_jp", "cp037"]
)
def test_a_codec_with_a_memory_or_other_line_ends_is_not_cut(tmp_path: Path, codec: str) -> None:
    assert count_of_pieces(tmp_path, codec) == 1


def count_of_pieces(folder: Path, codec: str) -> int:
    (folder / "a.txt").write_bytes(b"a line\n" * 40)
    [file] = find_sources([folder / "a.txt"])
    source = Source(file, Detected(codec, True, ""))
    return len(list(pieces_of(source, whole_lines=False, size=70)))


def test_no_worker_holds_the_ids_of_a_large_piece(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[int] = []

    def noted(pool: Pool, tasks: Iterable[Task]) -> Iterator[Any]:
        tasks = list(tasks)
        encoded.extend(task.piece.size for task in tasks if task.model)
        return results_in_order(pool, tasks)

    monkeypatch.setattr("chargen.corpus.shared_text.results_in_order", noted)
    monkeypatch.setattr(cutting, "PIECE_BYTES", 500)
    paths = [texts / f"{name}.txt" for name in "aeg"]
    prepare(paths, tmp_path / "alone", CorpusConfig(vocab_size=12))
    prepare(paths, tmp_path / "shared", CorpusConfig(vocab_size=12), workers=TWO)
    assert files_in(tmp_path / "shared") == files_in(tmp_path / "alone")
    assert (texts / "e.txt").stat().st_size > 2000 > max(encoded)
    assert len(encoded) > 20


def test_workers_prepare_the_same_corpus(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cutting, "PIECE_BYTES", 2000)
    damaged = texts.parent / "damaged.txt"
    damaged.write_bytes(text_of(200).encode().replace("夜".encode(), b"\xe5\xa4"))
    cases = (
        ([texts], CorpusConfig(vocab_size=12)),
        ([texts / "g.txt", texts / "f.txt"], CorpusConfig(val_frac=0.0, convert="none")),
        ([damaged], CorpusConfig(errors="replace", vocab_size=9, oov="unk", val_frac=0.5)),
    )
    for number, (paths, config) in enumerate(cases):
        alone, shared = tmp_path / f"{number}-alone", tmp_path / f"{number}-shared"
        prepare(paths, alone, config)
        prepare(paths, shared, config, workers=TWO)
        assert files_in(shared) == files_in(alone)
    strict = CorpusConfig(encoding="utf-8")
    with pytest.raises(ChargenError) as one:
        prepare([damaged], tmp_path / "x", strict)
    with pytest.raises(ChargenError) as two:
        prepare([damaged], tmp_path / "x", strict, workers=TWO)
    assert two.value.message.replace(str(damaged.parent), "") == one.value.message.replace(
        str(damaged.parent), ""
    )

"""A text that workers prepare is the corpus that one process makes, byte for byte."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from chargen.corpus import cutting
from chargen.corpus.cutting import pieces_of
from chargen.corpus.detection import Detected
from chargen.corpus.preparing import prepare
from chargen.corpus.reading import Source
from chargen.corpus.sources import find_sources
from chargen.errors import ChargenError
from chargen.options import CorpusConfig, WorkersConfig
from tests.support import files_in

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

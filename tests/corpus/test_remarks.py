"""What is said of a prepared corpus."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from chargen.corpus.preparing import prepare
from chargen.corpus.remarks import file_list, remarks_on_sizes, text_line
from chargen.options import CorpusConfig
from tests.corpus.texts import CHINESE, write
from tests.support import call


def remarks(folder: Path, text: str, **settings: object) -> list[str]:
    config = CorpusConfig.from_dict(settings)
    return remarks_on_sizes(prepare([write(folder / "t.txt", text)], folder / "c", config).manifest)


def test_a_text_that_can_be_learnt_gets_no_remark(tmp_path: Path) -> None:
    assert remarks(tmp_path, CHINESE * 10) == []


def test_sixteen_characters_are_too_few(tmp_path: Path) -> None:
    found = remarks(tmp_path, "abcdefgh ijklmno\n")
    assert "15 characters to learn from are too few" in found[0]
    assert "validation split of 2 characters" in found[1]


def test_characters_seen_once_cant_be_learnt(tmp_path: Path) -> None:
    characters = [chr(0x4E00 + n) for n in range(6000)]
    random.Random(0).shuffle(characters)
    (found, coverage) = remarks(tmp_path, "".join(characters), vocab_size=3000)
    assert "6,000 different characters" in found
    assert "only 50.0% of the text" in coverage


def test_a_small_vocabulary_is_said(tmp_path: Path) -> None:
    (found,) = remarks(tmp_path, CHINESE * 10, vocab_size=30)
    assert "`vocab_size`" in found


def test_encoding_and_coverage_are_named(tmp_path: Path) -> None:
    path = write(tmp_path / "novel.txt", CHINESE, "gb18030")
    line = text_line(prepare([path], tmp_path / "c", CorpusConfig(vocab_size=50)).manifest)
    for part in ("novel.txt: gb18030, ", "the 50 kept cover ", "spelt in bytes", "952 characters"):
        assert part in line.replace(f"{len(CHINESE):,}", "952")


def test_the_first_ten_files_are_listed() -> None:
    names = [f"{n}.txt" for n in range(12)]
    assert file_list(names) == f"12 files ({', '.join(names[:10])} and 2 more)"
    assert file_list(names[:2]) == "2 files (0.txt, 1.txt)"


def test_train_lists_the_files_and_what_it_passed_over(here: Path) -> None:
    for n in range(12):
        (here / "texts").mkdir(exist_ok=True)
        write(here / "texts" / f"{n:02}.txt", CHINESE)
    write(here / "texts" / "run.sh", "echo")
    result = call("train", "texts", "--preset", "tiny", "--max-steps", 1, "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert "12 files (00.txt, " in result.stderr
    assert "09.txt and 2 more): utf-8;" in result.stderr
    assert "Passed over in texts: 1 file of settings" in result.stderr
    assert "1 step is a trial" in result.stderr


@pytest.mark.parametrize("command", ["train", "prepare"])
def test_sizes_are_said_by_the_names_of_flags(command: str, here: Path) -> None:
    write(here / "t.txt", CHINESE)
    more = ("--preset", "tiny", "--max-steps", 1) if command == "train" else ()
    result = call(command, "t.txt", "--vocab-size", 20, *more)
    assert "Keep more with --vocab-size." in " ".join(result.output.split())

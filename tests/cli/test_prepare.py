"""``chargen prepare`` and ``inspect`` of records."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chargen.corpus.prepared import PreparedCorpus
from tests.support import call

POEMS = "".join(
    json.dumps({"text": f"第{n}首，山水之间", "author": "甲乙丙"[n % 3]}) + "\n" for n in range(30)
)


@pytest.fixture
def poems(here: Path) -> Path:
    path = here / "poems.jsonl"
    path.write_text(POEMS, encoding="utf-8")
    return path


@pytest.fixture
def sides(here: Path) -> tuple[Path, Path]:
    for name, text in (("left", "一二\n三四\n"), ("right", "甲乙\n丙丁\n")):
        (here / name).write_text(text, encoding="utf-8")
    return Path("left"), Path("right")


def test_prepare_and_inspect_show_the_records(poems: Path) -> None:
    for result in (
        call("prepare", poems, "--label-key", "author", "-o", "out"),
        call("inspect", "out"),
    ):
        assert result.exit_code == 0, result.output
        words = " ".join(result.stdout.split())
        assert "records 30 texts with labels: 27 to learn from, 3 for validation" in words
        assert "label author 3 values: 丙×9 乙×9 甲×9" in words


def test_json_has_the_records(poems: Path) -> None:
    prepared = json.loads(
        call("prepare", poems, "--label-key", "author", "-o", "o", "--json").stdout
    )
    inspected = json.loads(call("inspect", "o", "--json").stdout)
    assert inspected["records"] == prepared["records"]
    assert prepared["records"]["keys"] == ["author"]
    assert {value for value, _ in prepared["records"]["values"][0]} == {"甲", "乙", "丙"}
    assert inspected["problems"] == []


def test_pairs_come_from_two_files(sides: tuple[Path, Path]) -> None:
    src, tgt = sides
    assert call("prepare", "--src", src, "--tgt", tgt, "-o", "a").exit_code == 0
    assert call("prepare", src, tgt, "--records", "pairs", "-o", "b").exit_code == 0
    assert call("prepare", "--src", tgt, "--tgt", src, "--reverse", "-o", "c").exit_code == 0
    a, b, c = (PreparedCorpus.open(name) for name in "abc")
    assert a.manifest.files == b.manifest.files == c.manifest.files
    assert a.tokenizer.decode(a.train_records.side(1, 1)) == "丙丁"


@pytest.mark.parametrize(
    ("arguments", "message", "status"),
    [
        (("--src", "left"), "--src and --tgt go together", 2),
        (("--tgt", "left"), "--src and --tgt go together", 2),
        (("poems.jsonl", "--src", "left", "--tgt", "right"), "take the place of other files", 2),
        (("--src", "left", "--tgt", "right", "--records", "lines"), "sides of pairs", 2),
        (("--src", "left", "--tgt", "right", "--label-key", "a"), "sides of pairs", 2),
        (("--src", "left", "--tgt", "nowhere"), "nowhere", 1),
        ((), "No text was given", 2),
        (("left", "--reverse"), "--reverse goes with --records pairs", 2),
        (("poems.jsonl", "--label-key", "form"), "no record of poems.jsonl has the key 'form'", 1),
        (("poems.jsonl", "--text-key", "body", "--records", "labels"), "--text-key", 1),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cant_be_prepared_is_two_lines(
    poems: Path, sides: tuple[Path, Path], arguments: tuple[str, ...], message: str, status: int
) -> None:
    result = call("prepare", *arguments)
    assert result.exit_code == status
    assert message.lower() in result.stderr.lower()
    assert len(result.stderr.splitlines()) == 2
    assert not Path("corpora").exists()

"""``chargen eval``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support import call, the_error, train_tiny


def test_each_character_with_its_bits(run: Path, here: Path) -> None:
    Path("text.txt").write_text("春眠[/]\n", encoding="utf-8")
    result = call("eval", run, "text.txt", "--per-char", "bits.jsonl", "--json")
    total = json.loads(result.stdout)["bits_per_char"]
    lines = [json.loads(line) for line in Path("bits.jsonl").read_text("utf-8").splitlines()]
    assert "".join(line["char"] for line in lines) == "春眠[/]\n"
    assert sum(line["bits"] for line in lines) / len(lines) == pytest.approx(total)
    piped = call("eval", run, "text.txt", "--per-char", "-")
    assert piped.stdout == Path("bits.jsonl").read_text("utf-8")


def test_batch_size_changes_no_figure(run: Path, text: Path) -> None:
    figures = {
        round(
            json.loads(call("eval", run, text, "--json", "--batch-size", n).stdout)[
                "bits_per_char"
            ],
            6,
        )
        for n in (1, 7)
    }
    assert len(figures) == 1


def test_recall_makes_a_text_that_repeats_itself_cheap(run: Path, text: Path) -> None:
    plain, recalling = (
        json.loads(call("eval", run, text, "--json", "--recall", n).stdout) for n in (0, 5)
    )
    assert recalling["bits_per_char"] < 0.9 * plain["bits_per_char"]
    assert recalling["recall"] == 5
    assert "accuracy" in plain
    assert "accuracy" not in recalling
    meaning = "How strongly names and phrases of what was read come back; 0: off. [default: 0]"
    assert meaning in " ".join(call("eval", "--help").stdout.replace("│", " ").split())


OF_KINDS: dict[str, list[tuple[object, ...]]] = {
    "text": [("--batch-size", 7), ("--per-char", "bits.jsonl"), ("--recall", 1)],
    "labels": [("--no-labels",)],
    "classify": [("--out", "a.png")],
    "seq2seq": [("--beam-size", 2, "--length-penalty", 0), ("--match-source-length",)],
    "lines": [],
    "infill": [],
}
"""The options that only one kind of run has."""
LABELLED = "".join(f'{{"text": "{c}{n}", "kind": "{c}"}}\n' for n in range(30) for c in "ab")
FILES = {"labels": LABELLED, "classify": LABELLED, "seq2seq": "src\ttrg\n" + "ab\tba\n" * 40}
OPTIONS: dict[str, dict[str, object]] = {
    "labels": {"label_key": "kind"},
    "classify": {"task": "classify", "label_key": "kind"},
    "lines": {"records": "lines"},
    "seq2seq": {"task": "seq2seq"},
    "infill": {"task": "infill"},
}


@pytest.mark.parametrize("kind", OF_KINDS)
def test_no_option_is_passed_over(kind: str, here: Path) -> None:
    suffix = {"labels": "jsonl", "classify": "jsonl", "seq2seq": "tsv"}.get(kind, "txt")
    file = here / f"texts.{suffix}"
    file.write_text(FILES.get(kind, "abcd efgh\n" * 60), encoding="utf-8")
    run = train_tiny(file, here, max_steps=1, **OPTIONS.get(kind, {})).path
    others = [flags for other, given in OF_KINDS.items() for flags in given if other != kind]
    error = the_error("eval", run, file, *(each for flags in others for each in flags), status=2)
    names = {each for flags in others for each in flags if str(each).startswith("--")}
    assert all(str(name) in error for name in names)
    for flags in OF_KINDS[kind]:
        assert str(flags[0]) not in error
        assert call("eval", run, file, *flags).exit_code == 0
    file.write_bytes(file.read_bytes().replace(b"b", b"\xffb", 1))
    assert "doesn't decode as utf-8" in the_error("eval", run, file, "--encoding", "utf-8")
    assert call("eval", run, file, "--encoding", "utf-8", "--errors", "replace").exit_code == 0


@pytest.mark.parametrize("command", ["eval", "neurons"])
def test_a_text_and_a_run_in_the_wrong_order(command: str, run: Path, text: Path) -> None:
    for name in (run, run.name):
        error = the_error(command, text, name, "--runs", run.parent, status=2)
        assert f"{text} is a text and {name} a run" in error
        assert f"chargen {command} {name} {text}" in error


def test_mostly_unknown_characters_are_remarked_on(run: Path, text: Path, here: Path) -> None:
    (here / "other.txt").write_text("Half of it is 春眠不觉晓.\n" * 9, encoding="utf-8")
    remark = "outside the vocabulary of"
    strange = call("eval", run, "other.txt")
    assert strange.exit_code == 0
    assert f"71% of the characters are {remark}" in strange.stderr
    assert "trained on learnable.txt" in strange.stderr
    assert remark not in call("eval", run, text).stderr

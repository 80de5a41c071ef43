"""``chargen eval``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support import call


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

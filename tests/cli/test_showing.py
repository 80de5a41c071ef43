"""How texts are shown on a terminal."""

from __future__ import annotations

import contextlib
import io
import json
import math
import re
from pathlib import Path
from typing import Any

import pytest

import chargen
from chargen.cli.showing import Asked, show_texts
from chargen.terminal.texts import TextWriter
from tests.support import train_tiny


class Screen(io.StringIO):
    """A terminal that keeps what is written."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def colours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in (("TERM", "xterm-256color"), ("COLUMNS", "100"), ("LINES", "30")):
        monkeypatch.setenv(name, value)


def asked(run: Path, **options: Any) -> Asked:
    wanted = {"num_samples": 1, "length": 12, "seed": 5, **options}
    return Asked(chargen.load(run, device="cpu"), "春", wanted, (0.5, 1.5))


def shown(asked: Asked, keep: int = 1, tint: str | None = None) -> str:
    """What a terminal gets."""
    screen = Screen()
    with contextlib.redirect_stdout(screen):
        show_texts(asked, keep, tint=tint)
    return screen.getvalue()


def plain(text: str) -> str:
    return re.sub("\x1b\\[[0-9;]*m", "", text)


def test_several_temperatures_stand_side_by_side(run: Path) -> None:
    headings = plain(shown(asked(run))).splitlines()[0]
    assert re.fullmatch(r"temperature 0.5 +temperature 1.5 *", headings)


def test_a_legend_stands_above_colours(run: Path) -> None:
    """Coloured texts stand one below the other."""
    found = shown(asked(run), tint="surprisal")
    legend, *lines = found.splitlines()
    assert "bits" in legend
    assert "".join(lines).count("\x1b[90m") > 5  # what the model is sure of is bright black
    headings = [line for line in plain(found).splitlines() if line.startswith("temperature")]
    assert headings == ["temperature 0.5", "temperature 1.5"]


def test_colours_tell_what_a_text_costs_with_its_labels(tmp_path: Path) -> None:
    file = tmp_path / "moods.jsonl"
    lines = [
        {"text": text, "mood": mood} for text, mood in (("春眠不觉晓", "calm"), ("雷电火", "upset"))
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines * 40), "utf-8")
    model = train_tiny(file, tmp_path, label_key=("mood",), max_steps=60, lr=2e-2).load()
    label = ("mood=upset",)
    found = shown(Asked(model, "", {"num_samples": 1, "seed": 1, "label": label}), tint="surprisal")
    text = plain(found).splitlines()[1]
    wanted, others = (
        [nats / math.log(2) for nats in model.score_characters(text, label=given).nats]
        for given in (label, ())
    )
    assert coloured(text, wanted) in found
    assert coloured(text, others) not in found


def coloured(text: str, bits: list[float]) -> str:
    """A text in the colours of its bits."""
    screen = Screen()
    with contextlib.redirect_stdout(screen):
        TextWriter().tinted(zip(text, bits, strict=True), "surprisal")
    return screen.getvalue()


def test_the_best_of_each_temperature_are_numbered(run: Path) -> None:
    text = plain(shown(asked(run, best_of=3), keep=2))
    found = re.findall(r"(temperature [0-9.]+, \d)\. drawn as number", text)
    assert found == [f"temperature {t}, {n}" for t in (0.5, 1.5) for n in (1, 2)]

"""How texts are shown on a terminal."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import pytest

import chargen
from chargen.cli.showing import Asked, show_texts


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


def test_the_best_of_each_temperature_are_numbered(run: Path) -> None:
    text = plain(shown(asked(run, best_of=3), keep=2))
    found = re.findall(r"(temperature [0-9.]+, \d)\. drawn as number", text)
    assert found == [f"temperature {t}, {n}" for t in (0.5, 1.5) for n in (1, 2)]

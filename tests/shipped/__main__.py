"""Make the shipped models again: ``python -m tests.shipped``, about ten minutes on one core.

The same bits come out on the same kind of processor, with the versions in .ci/constraints.txt. The
cards, ``README.md`` in ``checkpoints/stories`` and ``checkpoints/verse``, tell the rest.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import chargen
from chargen.runs.shipped import STORIES, VERSE

CHECKPOINTS = Path(__file__).resolve().parents[2] / "checkpoints"
RECIPES: dict[str, tuple[str, dict[str, Any]]] = {
    STORIES: ("xiaohecun", {"max_steps": 2977}),
    VERSE: ("jueju", {"max_steps": 360, "hidden_size": 128}),
}
"""The text of each model, and the options with which it is trained."""
SMALL: dict[str, Any] = {"to": "hub", "license": "cc0-1.0", "weights": "float16", "drop_ngrams": 3}
"""The options of the export."""

MADE = """
## Made again

`{text}.txt` was written for chargen and is CC0, and nothing else was learnt. From a checkout of
chargen, `python -m tests.shipped {name}` trains on one thread and exports this folder: the same
bits on the same kind of processor with the same release of torch, which `config.json` names.
"""
"""What the card says besides."""


def make(name: str, out: Path) -> None:
    """Train a shipped model and export it to the folder ``out``, which may exist."""
    text, options = RECIPES[name]
    with TemporaryDirectory() as runs:
        chargen.train(text, name=name, runs_dir=runs, threads=1, device="cpu", **options)
        chargen.export(Path(runs) / name, out, force=True, **SMALL)
    with (out / "README.md").open("a", encoding="utf-8") as card:
        card.write(MADE.format(text=text, name=name))


if __name__ == "__main__":
    for each in sys.argv[1:] or RECIPES:
        make(each, CHECKPOINTS / each)
        print(CHECKPOINTS / each)

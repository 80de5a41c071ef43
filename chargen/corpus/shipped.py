"""The texts that come with the package."""

from __future__ import annotations

from pathlib import Path

from chargen.errors import CorpusError

DEFAULT = "shipan.txt"


def shipped_text(name: str = DEFAULT) -> Path:
    """Where a shipped text lies: in the installed package, or in the checkout's corpora/."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "shipped", package.parent / "corpora"):
        if (folder / name).is_file():
            return folder / name
    raise CorpusError(f"The shipped text {name} is not installed.", "Name a text of your own.")

"""The texts that come with the package."""

from __future__ import annotations

from pathlib import Path

from chargen.errors import CorpusError

DEFAULT = "xiaohecun"
"""The text that is learnt where none is named: short stories that a small network soon masters."""

PROSE = "shipan"
"""The harder one, with a large vocabulary: what the experiments use."""

SHIPPED = ("xiaohecun", "riverside", "jueju", "shipan")
"""The names of all of them."""


def shipped_text(name: str = DEFAULT) -> Path:
    """Find a shipped text, in the installed package or in a checkout's ``corpora/``.

    Args:
        name: one of SHIPPED, with or without ``.txt``.

    Raises:
        CorpusError: it is not installed.
    """
    name = name.removesuffix(".txt")
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "shipped", package.parent / "corpora"):
        path = folder / f"{name}.txt"
        if path.is_file():
            return path
    raise CorpusError(f"The shipped text {name} is not installed.", "Name a text of your own.")


def find_text(path: Path) -> Path:
    """Resolve a path that may be the name of a shipped text, with or without ``.txt``.

    What exists under that name in the current folder comes first.
    """
    name = str(path).removesuffix(".txt")
    return shipped_text(name) if name in SHIPPED and not path.exists() else path

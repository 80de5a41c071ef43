"""The runs that come with the package: copies of what sampling needs, in float16."""

from __future__ import annotations

import warnings
from pathlib import Path

from chargen.errors import ChargenWarning
from chargen.runs.layout import CONFIG

STORIES, VERSE = "stories", "verse"
"""The model of the shipped stories, and that of the shipped verse."""

SHIPPED = (STORIES, VERSE)
"""The names of all of them."""


def shipped_run(name: str) -> Path | None:
    """Find a shipped run, in the installed package or in a checkout's ``checkpoints/``.

    Args:
        name: of the run.

    Returns:
        Its folder; None: there is none of that name, or it is not installed.
    """
    if name not in SHIPPED:
        return None
    package = Path(__file__).resolve().parent.parent
    places = (package / "shipped" / name, package.parent / "checkpoints" / name)
    return next((path for path in places if (path / CONFIG).is_file()), None)


def is_shipped(run: Path) -> bool:
    """Whether a folder is one of the shipped runs, and not a run of the user's own."""
    found = shipped_run(run.name)
    return found is not None and found == run.resolve()


def stand_in(name: str, folder: Path) -> Path | None:
    """Find the shipped run that is used where ``folder`` has no run, and warn of it."""
    found = shipped_run(name)
    if found is not None:
        warnings.warn(
            f"There is no run in {folder}: {name} is used, a model that comes with chargen.",
            ChargenWarning,
            stacklevel=2,
        )
    return found

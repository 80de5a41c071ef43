"""Arguments in the wrong order."""

from __future__ import annotations

from pathlib import Path

from chargen.errors import ConfigError


def check_order(command: str, run: str, text: Path, runs_dir: Path | None) -> None:
    """Raise ConfigError where a command got a text and a run, and not a run and a text."""
    from chargen.runs.finding import runs_folder

    is_run = text.is_dir() or (runs_folder(runs_dir) / text).is_dir()
    if is_run and not text.is_file() and Path(run).is_file():
        raise ConfigError(
            f"{command} takes a run and then a text, but {run} is a text and {text} a run.",
            f"Swap them: chargen {command} {text} {run}",
        )

"""Whether the outcome of a command is right, and what was tried, counted by kind."""

from __future__ import annotations

import re
import shutil
import signal
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.faults.server import MEMORY, Outcome

KILLED = -9


def fault(outcome: Outcome) -> str | None:
    """What is wrong with how a command ended, by itself; None: nothing.

    It must succeed, or end with status 1 or 2 and two lines, or 2 and the option parser's words,
    within its time and memory.
    """
    err = outcome.err
    if outcome.hung or outcome.status == -signal.SIGXCPU:
        return "hung"
    if outcome.status < 0:
        return f"died of signal {-outcome.status}"
    if re.search(r"Traceback \(most recent|error: Unexpected \w+:|Exception ignored", err):
        return "unexpected error"
    if outcome.peak > MEMORY or "not enough memory" in err:
        return "too much memory"
    if outcome.status in (0, 130, 143) or (outcome.status == 2 and "Usage" in err):
        return None
    if outcome.status not in (1, 2):
        return f"status {outcome.status}"
    lines = [line for line in err.splitlines() if line.startswith(("error: ", "       "))]
    if len(lines) != 2 or not lines[0].startswith("error: "):
        return "no clear error"
    return "an overlong error" if len(lines[0]) > 1500 else None


class Tally:
    """What was tried and what failed, by kind; the files of failures are kept.

    Args:
        keep: where; None: nowhere.
    """

    def __init__(self, keep: Path | None = None) -> None:
        self.tried: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.problems: list[str] = []
        self._keep = keep

    def add(self, kind: str, problem: str | None, about: str, files: Sequence[Path] = ()) -> None:
        """Count a case; ``about`` says how to repeat it."""
        self.tried[kind] += 1
        if problem is None:
            return
        self.failed[kind] += 1
        self.problems.append(f"{kind}: {problem}: {about}")
        if self._keep is None:
            return
        place = self._keep / f"{len(self.problems):04}"
        place.mkdir(parents=True, exist_ok=True)
        (place / "about.txt").write_text(self.problems[-1], "utf-8", "backslashreplace")
        for path in files:
            if path.is_dir():
                shutil.copytree(
                    path, place / path.name, symlinks=True, ignore=_special, dirs_exist_ok=True
                )
            elif path.is_file() and not path.is_symlink():
                shutil.copy(path, place)

    def __add__(self, other: Tally) -> Tally:
        both = Tally()
        both.tried, both.failed = self.tried + other.tried, self.failed + other.failed
        both.problems = self.problems + other.problems
        return both

    def table(self) -> str:
        """The counts, a line a kind, and of each part, its first word."""
        totals = sorted({kind.split()[0].rstrip(":") for kind in self.tried})
        width = max(map(len, self.tried), default=0)
        rows = []
        for total in totals:
            kinds = sorted(kind for kind in self.tried if re.match(rf"{total}\b", kind))
            rows += [(kind, self.tried[kind], self.failed[kind]) for kind in kinds]
            rows.append(
                (total.upper(), *(sum(c[k] for k in kinds) for c in (self.tried, self.failed)))
            )
        return "\n".join(f"{k:{width}}  {n:7,} tried  {f:5,} failed" for k, n, f in rows)


def _special(folder: str, names: list[str]) -> set[str]:
    paths = [(name, Path(folder, name)) for name in names]
    return {n for n, p in paths if not (p.is_symlink() or p.is_file() or p.is_dir())}


def words(outcome: Outcome) -> str:
    """How a command ended, in a line."""
    return re.sub(r"\s+", " ", f"status {outcome.status}, {outcome.err[-300:]}")

"""Reads of a run that a training saves at every step.

Run as a command it reads a run again and again in one process, as a program would that has opened
chargen as a library.
"""

from __future__ import annotations

import random
import shutil
import sys
from pathlib import Path

from tests.faults.server import Command, Outcome
from tests.faults.stage import SAMPLE, STEPS, Stage
from tests.faults.verdict import KILLED, Tally, fault, words

AT_ONCE = 20
"""Reads in a case."""
_IN_PROCESS = 5
_WRITER = (
    *("train", "--resume", "--name", "run", "--max-steps", "1000000", "--save-every", "1"),
    *("--eval-every", "7", "--sample-every", "0", "-q"),
)
READERS = {
    "inspect": ("inspect", "run"),
    "inspect --json": ("inspect", "run", "--json"),
    "sample": SAMPLE,
}


def read_case(stage: Stage, rng: random.Random, work: Path, tally: Tally) -> None:
    """Read a run ``AT_ONCE`` times, by commands and in a process, while it is trained."""
    place = stage.copy(work / "case")
    last, kinds = place / "checkpoints" / "run" / "last", [*READERS, "in process"]
    kinds += rng.choices(sorted(READERS), k=AT_ONCE - len(READERS) - _IN_PROCESS)
    rng.shuffle(kinds)
    commands = [
        Command(("checkpoints/run", str(_IN_PROCESS)), str(place), module=__name__)
        if kind == "in process"
        else Command(READERS[kind], str(place))
        for kind in kinds
    ]
    writer, *outcomes = stage.server.run_beside(
        Command(_WRITER, str(place)), last / str(STEPS), *commands
    )
    saved = max((int(path.name) for path in last.iterdir() if path.name.isdecimal()), default=0)
    about = f"{saved - STEPS} steps saved; writer: {words(writer)}"
    problem = None if writer.status == KILLED else "the training ended"
    if saved - STEPS < AT_ONCE:
        problem = problem or "the training saved too rarely"
    for kind, outcome in zip(kinds, outcomes, strict=True):
        alarm = fault(outcome) or (words(outcome) if outcome.status else None)
        for _ in range(_IN_PROCESS if kind == "in process" else 1):
            tally.add(f"read: {kind}", alarm or problem, f"{_told(outcome)}; {about}", [place])
    shutil.rmtree(place)


def _told(outcome: Outcome) -> str:
    return f"{words(outcome)} {outcome.out[-300:]!r}"


def main() -> None:
    """Read a run some times; status 1 and an error where something is wrong with it."""
    import chargen
    from chargen.runs.folder import RunFolder

    path = Path(sys.argv[1])
    for _ in range(int(sys.argv[2])):
        found = RunFolder(path).load_last()
        generator = chargen.load(path)
        summary = chargen.inspect(path)
        problems = summary.problems or ([] if found and generator else ["no checkpoint"])
        if problems:
            sys.exit("\n".join(problems))

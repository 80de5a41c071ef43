"""The campaign: ``python -m tests.faults --minutes 10 [--seed N] [--only fuzz]``.

Everything happens in a temporary folder. The files of failures are kept in ``--keep``.
"""

from __future__ import annotations

import argparse
import itertools
import random
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.faults.fuzz import fuzz_case
from tests.faults.kills import can_mount, disk_case, kill_case, unbroken
from tests.faults.server import Server
from tests.faults.stage import Stage
from tests.faults.together import name_cases, pair_case, stream_cases
from tests.faults.verdict import Tally

PARTS = ("streams", "names", "fuzz", "kills", "pairs", "disks")
_SHARES = {"fuzz": 10, "kills": 3, "pairs": 2, "disks": 1}
"""Cases of each kind in a round."""


def main() -> None:
    asked = _arguments()
    seed = secrets.randbelow(2**31) if asked.seed is None else asked.seed
    parts = asked.only or list(PARTS)
    print(f"seed {seed}, failures in {asked.keep}", flush=True)
    tally = Tally(asked.keep)
    with tempfile.TemporaryDirectory() as folder, Server() as server:
        work = Path(folder)
        if "disks" in parts and not can_mount(work):
            print("no full disks: this user can't mount a tmpfs")
            parts.remove("disks")
        stage = Stage.made(work / "stage", server)
        end = time.monotonic() + 60 * asked.minutes
        for case in _cases(stage, seed, parts, work, tally):
            before = len(tally.problems)
            case()
            for problem in tally.problems[before:]:
                print(problem.encode("utf-8", "backslashreplace").decode(), flush=True)
            if time.monotonic() > end:
                break
    print(tally.table())
    sys.exit(bool(tally.problems))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="how long it goes on")
    parser.add_argument("--seed", type=int, help="the same seed gives the same cases")
    parser.add_argument("--only", action="append", choices=PARTS, help="a part of it; repeatable")
    parser.add_argument("--keep", type=Path, default=Path("faults"), help="folder of failures")
    return parser.parse_args()


def _cases(
    stage: Stage, seed: int, parts: list[str], work: Path, tally: Tally
) -> Iterator[Callable[[], None]]:
    """Cases without end: streams and names once, the others in turn."""
    if "streams" in parts:
        yield from stream_cases(stage, work, tally)
    if "names" in parts:
        yield from name_cases(stage, work, tally)
    rng = random.Random(seed)
    right = unbroken(stage, work) if {"kills", "disks"} & set(parts) else {}
    number = itertools.count()
    each: dict[str, Callable[[], None]] = {
        "fuzz": lambda: fuzz_case(stage, seed, next(number), work, tally),
        "kills": lambda: kill_case(stage, rng, work, right, tally),
        "pairs": lambda: pair_case(stage, rng, work, tally),
        "disks": lambda: disk_case(stage, rng, work, right, tally),
    }
    turns = [part for part in each if part in parts for _ in range(_SHARES[part])]
    for turn in itertools.cycle(turns):
        yield each[turn]


if __name__ == "__main__":
    main()

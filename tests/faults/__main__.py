"""The campaign: ``python -m tests.faults --minutes 10 [--seed N] [--only fuzz]``.

It ends after so many minutes or rounds, whichever comes first. A hundred rounds are what the
project holds itself to: 10,000 damaged files and hostile options, 500 kills, 300 pairs of commands
and 2,000 reads of a run in training. The same seed gives the same cases, whatever the number of
jobs.

Everything happens in a temporary folder. The files of failures are kept in ``--keep``.
"""

from __future__ import annotations

import argparse
import itertools
import random
import secrets
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from tests.faults.fuzz import fuzz_case
from tests.faults.kills import can_mount, disk_case, kill_case, unbroken
from tests.faults.reads import read_case
from tests.faults.server import Server
from tests.faults.stage import Stage
from tests.faults.together import NAMES, STREAMS, name_case, pair_case, stream_case
from tests.faults.verdict import Tally
from tests.processes import Warm

ROUND = {"fuzz": 100, "kills": 5, "pairs": 3, "reads": 1, "disks": 1}
"""Cases of each part in a round; one of ``reads`` has twenty."""
ONCE = {"streams": len(STREAMS), "names": len(NAMES)}
"""Cases of the parts that come once, before the first round."""

Case = Callable[[int, Path, Tally], None]
"""A part's case of a number, in a folder of its own."""


def main() -> None:
    asked = _arguments()
    if asked.seed is None:
        asked.seed = secrets.randbelow(2**31)
    asked.parts = asked.only or [*ONCE, *ROUND]
    print(f"seed {asked.seed}, failures in {asked.keep}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        if "disks" in asked.parts and not can_mount(Path(folder)):
            print("no full disks: this user can't mount a tmpfs")
            asked.parts.remove("disks")
    asked.end = time.monotonic() + 60 * asked.minutes
    with ProcessPoolExecutor(asked.jobs) as pool:
        tallies = list(pool.map(partial(_work, asked), range(asked.jobs)))
    tally = sum(tallies, Tally())
    print(tally.table())
    sys.exit(bool(tally.problems))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=10, help="how long it goes on")
    parser.add_argument("--rounds", type=int, help="how many rounds at most")
    parser.add_argument("--seed", type=int, help="the same seed gives the same cases")
    parser.add_argument("--jobs", type=int, default=1, help="cases at once")
    parser.add_argument(
        "--only", action="append", choices=[*ONCE, *ROUND], help="a part of it; repeatable"
    )
    parser.add_argument("--keep", type=Path, default=Path("faults"), help="folder of failures")
    return parser.parse_args()


def _work(asked: argparse.Namespace, worker: int) -> Tally:
    """One of ``asked.jobs`` workers: every so many cases, with a warm process of its own."""
    tally, began = Tally(asked.keep / str(worker)), time.monotonic()
    with tempfile.TemporaryDirectory() as folder, Warm(f"{folder}.warm") as warm:
        work = Path(folder)
        stage = Stage.made(work / "stage", Server(warm))
        parts = _parts(asked.seed, stage, work / "unbroken")
        cases = _cases(asked.parts, asked.rounds)
        mine = itertools.islice(cases, worker, None, asked.jobs)
        for done, (part, number) in enumerate(mine, 1):
            if time.monotonic() > asked.end:
                break
            _try(part, parts[part], number, work / "work", tally)
            if not done % 500:
                minutes = (time.monotonic() - began) / 60
                print(f"{done:,} cases in {minutes:.1f} minutes", flush=True)
    return tally


def _cases(parts: list[str], rounds: int | None) -> Iterator[tuple[str, int]]:
    """The cases of parts, each by its number: streams and names once, the others in turns."""
    for part, cases in ONCE.items():
        if part in parts:
            yield from ((part, number) for number in range(cases))
    shares = {part: share for part, share in ROUND.items() if part in parts}
    turns = sorted(((n + 0.5) / k, part, n) for part, k in shares.items() for n in range(k))
    for done in range(rounds or sys.maxsize) if turns else ():
        yield from ((part, done * shares[part] + n) for _, part, n in turns)


def _parts(seed: int, stage: Stage, work: Path) -> Mapping[str, Case]:
    right = unbroken(stage, work)

    def rng(part: str, number: int) -> random.Random:
        return random.Random(f"{seed} {part} {number}")

    return {
        "streams": lambda number, work, tally: stream_case(stage, number, work, tally),
        "names": lambda number, work, tally: name_case(stage, number, work, tally),
        "fuzz": lambda number, work, tally: fuzz_case(stage, seed, number, work, tally),
        "kills": lambda number, work, tally: kill_case(
            stage, rng("kills", number), work, right, tally
        ),
        "pairs": lambda number, work, tally: pair_case(stage, rng("pairs", number), work, tally),
        "reads": lambda number, work, tally: read_case(stage, rng("reads", number), work, tally),
        "disks": lambda number, work, tally: disk_case(
            stage, rng("disks", number), work, right, tally
        ),
    }


def _try(part: str, case: Case, number: int, work: Path, tally: Tally) -> None:
    """Try a case, and print what is wrong; a fault of the campaign itself is one problem more."""
    before = len(tally.problems)
    work.mkdir()
    try:
        case(number, work, tally)
    except Exception:  # goes on with the next case
        tally.add(part, "the campaign failed", traceback.format_exc(), [work])
    shutil.rmtree(work, ignore_errors=True)
    for problem in tally.problems[before:]:
        line = f"{part} {number}: {problem}"
        print(line.encode("utf-8", "backslashreplace").decode(), flush=True)


if __name__ == "__main__":
    main()

"""SIGKILL at random instants, and full disks; then the same command again, to its end."""

from __future__ import annotations

import functools
import random
import shutil
import subprocess
from collections.abc import Callable, Collection
from pathlib import Path

from tests.faults.server import Command
from tests.faults.stage import BATCH, TRAIN, Stage, checkpoint
from tests.faults.verdict import KILLED, Tally, fault, words

STEPS = 12
TRAINING = ("train", "text.txt", "--name", "k", "--max-steps", str(STEPS), "--save-every", "1")
BATCHING = ("batch", "jobs.jsonl", "-o", "out.jsonl", *BATCH, "--num-samples", "20")
PREPARING = ("prepare", "text.txt", "--vocab-size", "20", "-q")
COMMANDS = {
    "train": ((*TRAINING, *TRAIN, "--resume"), (*TRAINING, *TRAIN, "--resume")),
    "batch": ((*BATCHING, "--resume"), (*BATCHING, "--resume")),
    "batch unordered": ((*BATCHING, "--unordered", "--resume"),) * 2,
    "prepare": (PREPARING, PREPARING),
}
"""What is killed, and what is called then."""
Right = Callable[[str], tuple[object, float]]
"""What a command makes when nothing happens, and the seconds that it takes, by its kind."""


def result(kind: str, place: Path) -> object:
    """What a command has made, to be compared byte for byte."""
    if kind == "train":
        run = place / "checkpoints" / "k"
        files = ("model.safetensors", "ngram.safetensors")
        return checkpoint(run), *((run / name).read_bytes() for name in files)
    if kind.startswith("batch"):
        lines = (place / "out.jsonl").read_bytes().splitlines()
        return lines if kind == "batch" else sorted(lines)
    folders = sorted(path for path in (place / "corpora").iterdir() if path.is_dir())
    return [(f.name, sorted((p.name, p.read_bytes()) for p in f.iterdir())) for f in folders]


def unbroken(stage: Stage, work: Path) -> Right:
    """What commands make when nothing happens, found out once for each kind."""

    def found(kind: str) -> tuple[object, float]:
        place = stage.copy(work / "unbroken")
        outcome = stage.call(*COMMANDS[kind][0], cwd=place)
        made = result(kind, place), outcome.seconds
        shutil.rmtree(place)
        return made

    return functools.cache(found)


def kill_case(
    stage: Stage,
    rng: random.Random,
    work: Path,
    right: Right,
    tally: Tally,
    kinds: Collection[str] = COMMANDS,
) -> None:
    """Kill a command of some kind up to three times, let it end, and compare."""
    kind = rng.choice(sorted(kinds))
    command, again = COMMANDS[kind]
    wanted, seconds = right(kind)
    place = stage.copy(work / "case")
    about = []
    for _ in range(rng.choice((1, 1, 3))):
        after = rng.uniform(0, 1.1 * seconds)
        about.append(f"{after:.3f} s")
        (outcome,) = stage.server.run(Command(command, str(place), kill_after=after), seconds=60)
        if outcome.status not in (0, KILLED):
            tally.add(f"kill {kind}", f"before a kill: {words(outcome)}", str(about), [place])
    (outcome,) = stage.server.run(Command(again, str(place)), seconds=60)
    problem = fault(outcome) or (words(outcome) if outcome.status else None)
    if problem is None and result(kind, place) != wanted:
        problem = "a different result"
    litter = [p.name for p in place.rglob(".unfinished-*") if p.suffix != ".lock"]
    tally.add(
        f"kill {kind}", problem or (f"litter {litter}" if litter else None), str(about), [place]
    )
    shutil.rmtree(place)


def disk_case(
    stage: Stage,
    rng: random.Random,
    work: Path,
    right: Right,
    tally: Tally,
) -> None:
    """Run a command on a disk that becomes full, then again on one that isn't."""
    kind = rng.choice(sorted(COMMANDS))
    command, again = COMMANDS[kind]
    place = work / "disk"
    place.mkdir()
    size = rng.randrange(130, 330) * 1024
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], check=True)
    try:
        try:
            shutil.copytree(stage.path, place, dirs_exist_ok=True)
        except OSError:
            return
        (outcome,) = stage.server.run(Command(command, str(place)), seconds=60)
        problem = fault(outcome)
        subprocess.run(["mount", "-o", "remount,size=64m", place], check=True)
        (second,) = stage.server.run(Command(again, str(place)), seconds=60)
        problem = problem or fault(second) or (words(second) if second.status else None)
        if problem is None and result(kind, place) != right(kind)[0]:
            problem = "a different result"
        tally.add(f"full disk {kind}", problem, f"{size} bytes: {words(outcome)}", [place])
    finally:
        subprocess.run(["umount", place], check=True)
        place.rmdir()


def can_mount(work: Path) -> bool:
    """Whether this user may mount a small disk."""
    place = work / "mount"
    place.mkdir()
    try:
        made = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
        if subprocess.run(made, check=False, capture_output=True).returncode:
            return False
        subprocess.run(["umount", place], check=True)
    except FileNotFoundError:
        return False
    finally:
        place.rmdir()
    return True

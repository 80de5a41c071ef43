"""Commands at once, standard streams in every state, and names of every kind."""

from __future__ import annotations

import itertools
import json
import random
import shutil
from pathlib import Path

from tests.faults.server import BROKEN, CLOSED, FULL, Command, Outcome
from tests.faults.stage import BATCH, SAMPLE, TEXT, TRAIN, Stage
from tests.faults.verdict import Tally, fault, words

State = tuple[str | None, str | None, str | None]
SHORT = ("--max-steps", "2", *TRAIN)
NAMES = (
    *("\udcff", "\udcff\udcfe.x", ".hidden", "..hidden", "-dash", "a b", "x" * 100, "春" * 30),
    *("%41", "a\nb", "a\tb", "[b]", "a:b", "*", "~", "con", "a.b.c", "'", '"', "$x", "é", "🙂"),
    "\x1b[31m",
)
STREAMED = (
    SAMPLE,
    ("inspect", "run"),
    ("--help",),
    ("train", "--help"),
    ("--version",),
    ("prepare", "text.txt", "--json"),
    ("eval", "run", "text.txt"),
    ("batch", "-", "-o", "new.jsonl", *BATCH),
    ("batch", "jobs.jsonl", "-o", "/dev/stdout", *BATCH),
    ("sample", "run", "-f", "-", "-n", "5"),
    ("sample", "none"),
    ("train", "text.txt", "--name", "s", "--json", "--max-steps", "2", *TRAIN[:-1]),
    ("--none",),
)
STATES: tuple[State, ...] = (
    *((state, None, None) for state in (CLOSED, BROKEN)),
    *((None, state, None) for state in (CLOSED, FULL, BROKEN)),
    *((None, None, state) for state in (CLOSED, FULL, BROKEN)),
    *((CLOSED, CLOSED, CLOSED), (None, FULL, FULL)),
)
STREAMS = tuple(itertools.product(STREAMED, STATES))
"""Every command with every standard stream closed, full and broken."""


def _train(folder: str, *more: str) -> tuple[str, ...]:
    return ("train", f"{folder}/novel.txt", *SHORT, *more)


PAIRS = {
    "two texts of one name": (_train("a", "--name", "a"), _train("b", "--name", "b")),
    "unnamed": (_train("a"), _train("a")),
    "two settings": (
        _train("a", "--name", "a"),
        _train("a", "--name", "b", "--vocab-size", "5"),
    ),
    "one name": (_train("a", "--name", "a"), _train("a", "--name", "a")),
    "one run": (("train", "--resume", "--name", "run", "--max-steps", "9", "-q"),) * 2,
    "one output": (("batch", "jobs.jsonl", "-o", "o.jsonl", *BATCH, "--resume"),) * 2,
    "one corpus": (("prepare", "a/novel.txt", "-q"),) * 2,
    "one folder": (
        ("prepare", "a/novel.txt", "-q", "-o", "c"),
        ("prepare", "b/novel.txt", "-q", "-o", "c"),
    ),
    "a reader": (
        ("train", "--resume", "--name", "run", "--max-steps", "30", "--save-every", "1", "-q"),
        *(("inspect", "run"), SAMPLE, ("inspect", "run", "--json")) * 3,
    ),
}
"""Commands to run at once."""
_MAY_FAIL = {"one name": 1, "one run": 1, "one output": 1, "one folder": 1}
_HELD = ("in use", "exists already", "being written", "was prepared from other texts")


def pair_case(stage: Stage, rng: random.Random, work: Path, tally: Tally) -> None:
    kind = rng.choice(sorted(PAIRS))
    place = stage.copy(work / "case")
    for name, text in (("a", "abcdefg hij\n" * 90), ("b", "klmnopqr st\n" * 90)):
        (place / name).mkdir()
        (place / name / "novel.txt").write_text(text, "utf-8")
    outcomes = stage.server.run(*(Command(c, str(place)) for c in PAIRS[kind]), seconds=60)
    problem = next(filter(None, map(fault, outcomes)), None)
    failed = [outcome for outcome in outcomes if outcome.status]
    if problem is None and len(failed) > _MAY_FAIL.get(kind, 0):
        problem = "all failed" if len(failed) == len(outcomes) else words(failed[0])
    if problem is None and any(not any(w in f.err for w in _HELD) for f in failed):
        problem = words(failed[0])
    if problem is None and any("damaged" in outcome.out for outcome in outcomes):
        problem = "a false alarm"
    if problem is None and kind == "two texts of one name":
        problem = _mixed(place)
    tally.add(f"pair: {kind}", problem, " | ".join(map(words, outcomes)), [place])
    shutil.rmtree(place)


def _mixed(place: Path) -> str | None:
    """Whether a run has learnt the other's text."""
    import hashlib

    for name in "ab":
        config = json.loads((place / "checkpoints" / name / "config.json").read_bytes())
        text = (place / name / "novel.txt").read_bytes()
        if config["corpus"]["sources"][0]["sha256"] != hashlib.sha256(text).hexdigest():
            return "trained on the wrong text"
    return None


def stream_case(stage: Stage, number: int, work: Path, tally: Tally) -> None:
    """A command with its standard streams closed, full or broken."""
    command, state = STREAMS[number]
    place = stage.copy(work / "case")
    (outcome,) = stage.server.run(Command(command, str(place), state, "春\n"))
    told = state[2] is None
    problem = fault(outcome) if told and state[1] != BROKEN else _without_words(outcome)
    if problem is None and state[1] == FULL and outcome.status == 0 and _writes(command):
        problem = "success, and nothing written"
    tally.add("stream", problem, f"{' '.join(command)} {state}: {words(outcome)}")
    shutil.rmtree(place)


def _writes(command: tuple[str, ...]) -> bool:
    return command not in (("sample", "none"), ("--none",)) and command[:2] != ("batch", "-")


def _without_words(outcome: Outcome) -> str | None:
    """What is wrong where there is nobody to tell: hanging, crashes, tracebacks."""
    if outcome.status in (0, 1, 2) and not outcome.hung:
        return "traceback" if "Traceback" in outcome.err + outcome.out else None
    return fault(outcome) or f"status {outcome.status}"


def name_case(stage: Stage, number: int, work: Path, tally: Tally) -> None:
    """A text, runs, a corpus and an output of some name, used again by that name."""
    name = NAMES[number]
    place = stage.copy(work / "case")
    text, out, few = f"./{name}.txt", f"./{name}.o", ("-n", "3", "-q")
    (place / text).write_text(TEXT, "utf-8")
    for first, second in (
        (("train", text, *SHORT), ("sample", *few)),
        (("train", "text.txt", f"--name={name}", *SHORT), ("sample", *few, "--", name)),
        (("prepare", text, "-o", f"./c{name}"), ("inspect", f"./c{name}")),
        (("batch", "jobs.jsonl", "-o", out, *BATCH), ("novelty", out, text)),
        (("sample", "run", "-f", text, *few), ("eval", "run", text)),
    ):
        made, used = (
            stage.server.run(Command(command, str(place)))[0] for command in (first, second)
        )
        tally.add("name", fault(made), f"{first!r}: {words(made)}")
        lost = "made, and then not found" if used.status and not made.status else None
        tally.add("name", fault(used) or lost, f"{second!r}: {words(used)}")
    shutil.rmtree(place)

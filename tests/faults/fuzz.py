"""Damaged files and hostile options, a case at a time."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
from pathlib import Path

from tests.faults.mutations import HOSTILE, mutate
from tests.faults.server import MEMORY, Command, Outcome
from tests.faults.stage import BATCH, BEGIN, SAMPLE, TRAIN, Stage, checkpoint, resume
from tests.faults.verdict import KILLED, Tally, fault, words

ON_RUNS = (
    SAMPLE,
    ("eval", "run", "text.txt", "--json", "-q"),
    resume(),
    ("inspect", "run"),
    ("compare", "run", "run"),
    ("batch", "jobs.jsonl", "-o", "new.jsonl", *BATCH),
    ("train", "text.txt", "--init-from", "run", "--name", "child", "--max-steps", "2", "-q"),
    ("gradients", "run", "--lags", "4"),
)
_MUCH, _ENOUGH = 20_000, 2.0
"""Characters or samples of a job that takes long; seconds after which it is seen to be at work."""
OPTIONS = {
    "sample": "n temp top-k top-p min-p repetition-penalty repetition-window stop seed num-samples "
    "form prompt oov-prompt device lines characters acrostic",
    "train": "cell hidden-size num-layers embedding-size seq-length batch-size lr warmup-steps "
    "optimizer weight-decay grad-clip dropout max-steps epochs max-minutes seed threads vocab-size "
    "val-frac oov encoding errors name eval-every save-every patience precision device "
    "gradient-accumulation-steps",
    "prepare": "vocab-size val-frac oov encoding errors convert out",
}


def fuzz_case(stage: Stage, seed: int, number: int, work: Path, tally: Tally) -> None:
    """One case, a function of ``seed`` and ``number``."""
    rng = random.Random(f"{seed} {number}")
    case = rng.choices((_run_file, _corpus_file, _jobs, _output, _options), (8, 2, 2, 2, 2))[0]
    place = stage.copy(work / "case")
    try:
        kind, problem, about = case(stage, place, rng)
        if (place / "text.txt").read_bytes() != (stage.path / "text.txt").read_bytes():
            problem = "another file was written"
        tally.add(f"fuzz {kind}", problem, f"--seed {seed}, case {number}: {about}", [place])
    finally:
        shutil.rmtree(place)


def _tried(stage: Stage, place: Path, *arguments: str) -> tuple[Outcome, str | None]:
    (outcome,) = stage.server.run(Command(arguments, str(place)))
    return outcome, fault(outcome)


def _run_file(stage: Stage, place: Path, rng: random.Random) -> tuple[str, str | None, str]:
    run = place / "checkpoints" / "run"
    path = rng.choice(sorted(each for each in run.rglob("*") if each.is_file()))
    how = mutate(path, rng)
    command = rng.choice(ON_RUNS)
    outcome, problem = _tried(stage, place, *command)
    if problem is None and outcome.status == 0 and not _is_right(stage, place, command, outcome):
        problem = "a wrong result"
    return "run", problem, f"{how}; {' '.join(command)}: {words(outcome)}"


def _is_right(stage: Stage, place: Path, command: tuple[str, ...], outcome: Outcome) -> bool:
    """Whether a command that succeeded did what it does with whole files."""
    if command == SAMPLE:
        return outcome.out == stage.sampled
    if command[0] == "eval":
        return outcome.out == stage.evaluated
    if command == resume():
        return checkpoint(place / "checkpoints" / "run") == stage.resumed
    return True


def _corpus_file(stage: Stage, place: Path, rng: random.Random) -> tuple[str, str | None, str]:
    (corpus,) = (path for path in (place / "corpora").iterdir() if path.is_dir())
    how = mutate(rng.choice(sorted(corpus.iterdir())), rng)
    name = str(corpus.relative_to(place))
    command = rng.choice(
        (
            resume(),
            ("inspect", name),
            ("prepare", "text.txt"),
            ("train", name, "--name", "new", "--max-steps", "2", *TRAIN),
            BEGIN,
        )
    )
    outcome, problem = _tried(stage, place, *command)
    if problem is None and outcome.status == 0:
        made = checkpoint(place / "checkpoints" / "new") if "new" in command else stage.begun
        if made != stage.begun or not _is_right(stage, place, command, outcome):
            problem = "a wrong result"
    return "corpus", problem, f"{how}; {' '.join(command)}: {words(outcome)}"


def _jobs(stage: Stage, place: Path, rng: random.Random) -> tuple[str, str | None, str]:
    jobs = place / "jobs.jsonl"
    how = mutate(jobs, rng)
    if jobs.is_fifo():  # nobody writes: whoever names a pipe waits for it
        jobs.unlink()
    more = rng.choice(((), ("--keep-going",), ("--unordered",)))
    command = ("batch", "jobs.jsonl", "-o", "new.jsonl", *BATCH, *more)
    about = f"{how}; {' '.join(command)}: "
    if not _ask_much(jobs):
        outcome, problem = _tried(stage, place, *command)
        return "jobs", problem, about + words(outcome)
    (outcome,) = stage.server.run(Command(command, str(place), kill_after=_ENOUGH))
    if outcome.status == KILLED:
        at_work = outcome.cpu > _ENOUGH / 10 and outcome.peak < MEMORY
        return "jobs", None if at_work else "hung, or grew", about + words(outcome)
    return "jobs", fault(outcome), about + words(outcome)


def _ask_much(jobs: Path) -> bool:
    """Whether a job asks for more than can be done in a few seconds, and is to get it."""
    if jobs.is_symlink() or not jobs.is_file() or jobs.stat().st_size > 1 << 20:
        return False
    for line in jobs.read_bytes().splitlines():
        with contextlib.suppress(ValueError, RecursionError):
            job = json.loads(line)
            sizes = [job.get(n) for n in ("length", "num_samples")] if isinstance(job, dict) else []
            if any(isinstance(size, (int, float)) and size > _MUCH for size in sizes):
                return True
    return False


def _output(stage: Stage, place: Path, rng: random.Random) -> tuple[str, str | None, str]:
    """A batch that was broken off, its output or the file beside it damaged, resumed."""
    more = rng.choice(((), ("--unordered",)))
    command = ("batch", "jobs.jsonl", "-o", "out.jsonl", *BATCH, *more)
    out, beside = place / "out.jsonl", place / "out.jsonl.run.json"
    if more not in stage.outputs:
        stage.call(*command, cwd=place)
        stage.outputs[more] = out.read_bytes(), beside.read_bytes()
    whole, record = stage.outputs[more]
    out.write_bytes(whole)
    if rng.random() < 0.5:
        out.write_bytes(b"".join(whole.splitlines(keepends=True)[: rng.randrange(1, 8)]))
    beside.write_bytes(_without_written(record) if rng.random() < 0.5 else record)
    how = mutate(rng.choice((out, out, out, beside)), rng)
    outcome, problem = _tried(stage, place, *command, "--resume")
    if problem is None and outcome.status == 0:
        ours = out.is_file() and sorted(out.read_bytes().splitlines()) == sorted(whole.splitlines())
        problem = None if ours or _text_alone(out, whole) else "a wrong result"
    return "output", problem, f"{how}; {' '.join(more)}: {words(outcome)}"


def _without_written(record: bytes) -> bytes:
    """What lies beside an output that was killed before its first lines were recorded."""
    values = json.loads(record)
    values.pop("written", None)
    return json.dumps(values).encode()


def _text_alone(out: Path, whole: bytes) -> bool:
    """Whether lines differ in their texts only, which nothing tells before they are recorded."""

    def heads(data: bytes) -> list[str]:
        values = [json.loads(line) for line in data.splitlines()]
        return sorted(str([v["id"], v.get("sample"), v["seed"]]) for v in values)

    return out.is_file() and heads(out.read_bytes()) == heads(whole)


def _options(stage: Stage, place: Path, rng: random.Random) -> tuple[str, str | None, str]:
    name = rng.choice(sorted(OPTIONS))
    arguments = {
        "sample": ("sample", "run", "-n", "9", "-q"),
        "train": ("train", "text.txt", "--preset", "tiny", "--max-steps", "2", "-q"),
        "prepare": ("prepare", "text.txt", "-q"),
    }[name]
    for option in rng.sample(OPTIONS[name].split(), rng.choice((1, 1, 2, 3))):
        value = str(rng.choice(HOSTILE)).replace("\0", "?").encode("utf-8", "replace").decode()
        dashes = "-" if len(option) == 1 else "--"
        if (option, value) not in LONG:
            arguments += (f"{dashes}{option}", value[:2000])
    outcome, problem = _tried(stage, place, *arguments)
    return "options", problem, f"{' '.join(arguments)[:300]}: {words(outcome)}"


LONG = {
    (option, str(value))
    for option in ("n", "num-samples", "max-steps", "epochs", "max-minutes")
    for value in HOSTILE
    if isinstance(value, (int, float)) and value > 1000
}
"""Options that ask for work without end, and get it."""

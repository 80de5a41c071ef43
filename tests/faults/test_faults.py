"""A short cut of the campaign, and the kinds of faults that were found once.

All of it is ``python -m tests.faults``.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.faults.__main__ import ONCE, ROUND, _cases
from tests.faults.fuzz import fuzz_case
from tests.faults.kills import kill_case, unbroken
from tests.faults.reads import AT_ONCE, read_case
from tests.faults.server import BROKEN, CLOSED, FULL, Command, Outcome
from tests.faults.stage import BATCH, SAMPLE, STEPS, TRAIN, Stage, resume
from tests.faults.together import PAIRS, pair_case
from tests.faults.verdict import KILLED, Tally, fault

pytestmark = pytest.mark.skipif(os.name == "nt", reason="processes and streams of POSIX")


def run(stage: Stage, place: Path, *arguments: str, **more: object) -> Outcome:
    (outcome,) = stage.server.run(Command(arguments, str(place), **more), seconds=60)  # type: ignore[arg-type]
    return outcome


def the_error(stage: Stage, place: Path, *arguments: str) -> str:
    outcome = run(stage, place, *arguments)
    assert fault(outcome) is None, outcome
    assert outcome.status in (1, 2), outcome
    return outcome.err


@settings(max_examples=18, derandomize=True, deadline=None, database=None)
@given(number=st.integers(0, 10**6))
def test_damaged_files_and_hostile_options(
    stage: Stage, tmp_path_factory: Any, number: int
) -> None:
    tally = Tally()
    fuzz_case(stage, 1, number, tmp_path_factory.mktemp("fuzz"), tally)
    assert tally.problems == []
    assert sum(tally.tried.values()) == 1


def test_a_hundred_rounds_are_what_is_promised() -> None:
    cases = Counter(part for part, _ in _cases([*ONCE, *ROUND], 100))
    assert (cases["fuzz"], cases["kills"], cases["pairs"]) == (10_000, 500, 300)
    assert cases["reads"] * AT_ONCE == 2000
    assert len(set(_cases(["fuzz", "kills"], 3))) == 3 * (ROUND["fuzz"] + ROUND["kills"])


@pytest.mark.parametrize("name", ["model.safetensors", f"last/{STEPS}/state.safetensors"])
def test_a_file_with_a_hole_behind_it_is_not_mapped(stage: Stage, place: Path, name: str) -> None:
    with (place / "checkpoints" / "run" / name).open("rb+") as file:
        file.truncate(1 << 36)
    command = SAMPLE if name.startswith("model") else resume()
    assert "68,719,476,736 bytes, not" in the_error(stage, place, *command)


def test_kills_lose_nothing(stage: Stage, tmp_path: Path) -> None:
    tally, rng = Tally(), random.Random(1)
    right = unbroken(stage, tmp_path)
    for kind in ("train", "batch", "prepare"):
        kill_case(stage, rng, tmp_path, right, tally, [kind])
    assert tally.problems == []


def test_a_killed_beginning_is_removed_by_the_next(stage: Stage, place: Path) -> None:
    runs = place / "checkpoints"
    (runs / ".unfinished-k-abcd1234").mkdir()
    (runs / ".unfinished-k.lock").touch()
    command = ("train", "text.txt", "--name", "other", "--max-steps", "2", *TRAIN)
    assert run(stage, place, *command).status == 0
    assert sorted(path.name for path in runs.iterdir()) == ["other", "run"]


def test_commands_at_once(stage: Stage, tmp_path: Path) -> None:
    tally, rng = Tally(), random.Random(2)
    for _ in range(3):
        pair_case(stage, rng, tmp_path, tally)
    assert tally.problems == []
    assert {kind.removeprefix("pair: ") for kind in tally.tried} <= set(PAIRS)


def test_a_run_is_read_while_it_is_trained(stage: Stage, tmp_path: Path) -> None:
    tally = Tally()
    read_case(stage, random.Random(1), tmp_path, tally)
    assert tally.problems == []
    assert sum(tally.tried.values()) == AT_ONCE


def test_the_campaign_sees_faults(stage: Stage, place: Path) -> None:
    """What is wrong is found: a hang, a death, a traceback, an error without a remedy."""
    (place / "pipe").unlink(missing_ok=True)
    os.mkfifo(place / "pipe")
    (hung,) = stage.server.run(Command(("sample", "run", "-f", "pipe"), str(place)), seconds=0.5)
    assert fault(hung) == "hung"
    killed = run(stage, place, "sample", "run", "-n", "1000000", kill_after=0.1)
    assert killed.status == KILLED
    assert fault(killed) == "died of signal 9"
    assert fault(run(stage, place, "sample", "none", "--debug")) == "unexpected error"
    assert fault(Outcome(1, "", "error: x.\n", 0.1, 0.1, 0, False)) == "no clear error"
    assert fault(Outcome(0, "", "", 0.1, 0.1, 1 << 31, False)) == "too much memory"


def test_a_command_is_killed_however_early(stage: Stage, place: Path) -> None:
    for _ in range(3):
        killed = run(stage, place, "sample", "run", "-n", "1000000", kill_after=0.0)
        assert killed.status == KILLED


@pytest.mark.parametrize("state", [CLOSED, FULL])
@pytest.mark.parametrize("command", [SAMPLE, ("inspect", "run"), ("--help",), ("--version",)])
def test_output_that_cannot_be_written_is_one_error(
    stage: Stage, place: Path, command: tuple[str, ...], state: str
) -> None:
    outcome = run(stage, place, *command, streams=(None, state, None))
    assert fault(outcome) is None, outcome
    assert outcome.status == 1
    assert "Standard output can't be written" in outcome.err


def test_output_that_is_not_needed_may_be_closed(stage: Stage, place: Path) -> None:
    command = ("train", "text.txt", "--name", "s", "--max-steps", "2", *TRAIN)
    assert run(stage, place, *command, streams=(CLOSED, CLOSED, CLOSED)).status == 0
    assert (place / "checkpoints" / "s" / "model.safetensors").is_file()


@pytest.mark.parametrize("state", [CLOSED, FULL])
def test_talk_that_cannot_be_written_is_lost(stage: Stage, place: Path, state: str) -> None:
    outcome = run(stage, place, *SAMPLE[:-3], streams=(None, None, state))
    assert (outcome.status, outcome.out) == (0, stage.sampled)
    assert run(stage, place, "--none", streams=(None, None, state)).status == 2


def test_a_broken_pipe_is_quiet(stage: Stage, place: Path) -> None:
    outcome = run(stage, place, *SAMPLE, streams=(None, BROKEN, None))
    assert (outcome.status, outcome.err) == (1, "")


def test_closed_input_is_empty(stage: Stage, place: Path) -> None:
    outcome = run(stage, place, "sample", "run", "-f", "-", streams=(CLOSED, None, None))
    assert outcome.status == 0, outcome
    outcome = run(stage, place, "batch", "-", "-o", "o", *BATCH, streams=(CLOSED, None, None))
    assert "There are no jobs" in outcome.err


def test_inputs_without_end_are_refused(stage: Stage, place: Path) -> None:
    assert "more than 4 MiB" in the_error(stage, place, "sample", "run", "-f", "/dev/zero")
    error = the_error(stage, place, "batch", "/dev/zero", "-o", "o.jsonl", *BATCH)
    assert "has more than 4 MiB" in error
    assert not (place / "o.jsonl").exists()


@pytest.mark.parametrize(
    "options",
    [
        ("--hidden-size", "60000"),
        ("--hidden-size", str(6 * 10**18)),
        ("--embedding-size", "9" * 15),
    ],
)
def test_a_network_that_cannot_fit_is_refused_before_anything_is_made(
    stage: Stage, place: Path, options: tuple[str, ...]
) -> None:
    error = the_error(stage, place, "train", "text.txt", "--name", "big", *TRAIN, *options)
    assert "memory" in error
    assert "--hidden-size" in error
    assert not (place / "checkpoints" / "big").exists()


def test_many_samples_are_written_as_they_are_done(stage: Stage, place: Path) -> None:
    many = ("sample", "run", "--num-samples", "1000000", "-n", "1", "-q", "--seed", "1")
    outcome = run(stage, place, *many, kill_after=1.0)
    few = run(stage, place, *many[:3], "100", *many[4:])
    assert outcome.out.startswith(few.out)
    assert outcome.peak < 300 << 20


def test_a_run_of_any_name_is_found_again(stage: Stage, place: Path) -> None:
    name = "\udcff春 b"
    (place / f"{name}.txt").write_bytes((place / "text.txt").read_bytes())
    short = ("--max-steps", "2", *TRAIN)
    for command in (
        ("train", f"{name}.txt", "--name", name, *short),
        ("train", "--resume", "--name", name, "--max-steps", "3", "-q"),
        ("sample", name, "-n", "2"),
        ("eval", name, f"{name}.txt"),
    ):
        outcome = run(stage, place, *command)
        assert outcome.status == 0, outcome


def test_a_hidden_text_makes_a_run_that_is_found(stage: Stage, place: Path) -> None:
    (place / ".draft.txt").write_bytes((place / "text.txt").read_bytes())
    assert run(stage, place, "train", ".draft.txt", "--max-steps", "2", *TRAIN).status == 0
    assert run(stage, place, "sample", "draft-lstm-1", "-n", "2").status == 0


def test_links_that_lead_nowhere_are_errors(stage: Stage, place: Path) -> None:
    (place / "loop").symlink_to("loop")
    for arguments in (
        ("train", "loop"),
        ("train", "text.txt", "--runs", "loop", "--max-steps", "2", *TRAIN),
        ("train", "text.txt", "--runs", ".", "--name", "loop", "--max-steps", "2", *TRAIN),
        ("prepare", "text.txt", "-o", "loop"),
        ("sample", "loop"),
        ("sample", "--runs", "loop"),
        ("sample", "run", "-f", "loop"),
        ("eval", "run", "loop"),
        ("eval", "run", "text.txt", "--per-char", "loop"),
        ("batch", "loop", "-o", "o", *BATCH),
        ("batch", "jobs.jsonl", "-o", "loop", *BATCH),
    ):
        assert the_error(stage, place, *arguments)


def test_errors_name_what_was_named(stage: Stage, place: Path) -> None:
    (place / "folder").mkdir()
    long = "x" * 300
    for name, arguments in (
        ("folder", ("eval", "run", "text.txt", "--per-char", "folder")),
        (long, ("eval", "run", "text.txt", "--per-char", long)),
        (long, ("prepare", "text.txt", "-o", long)),
        (long, ("train", "text.txt", "--name", long, "--max-steps", "2", *TRAIN)),
        (long, ("batch", "jobs.jsonl", "-o", long, *BATCH)),
        ("x" * 250, ("batch", "jobs.jsonl", "-o", "x" * 250, *BATCH)),
        (long[:150], ("sample", long)),
        (long, ("prepare", "text.txt", "-o", "x" * 2000)),
    ):
        error = the_error(stage, place, *arguments)
        assert name in error
        assert ".unfinished" not in error

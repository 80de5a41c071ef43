"""``--runs`` and CHARGEN_RUNS: where every command makes and finds runs by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import chargen
from tests.cli.test_reference import commands, flags_of, real_helps
from tests.support import TRAIN, call, the_error

WITHOUT = {"prepare", "novelty", "merge"}
"""Commands that name no run; experiments and most benchmarks don't either."""
ELSEWHERE = {"attention", "average", "classify", "serve"}
"""Commands that are for runs of other tasks, or for several, or don't end."""


@pytest.fixture
def runs(run: Path) -> Path:
    """A folder, not the default one, that holds a run named ``run``."""
    return run.parent.rename(run.parent.with_name("elsewhere"))


def command_lines(text: Path) -> dict[str, tuple[object, ...]]:
    """Each command that finds a run, with the run's name."""
    return {
        "sample": ("run", "-n", 3),
        "batch": (text, "-o", "out.jsonl", "--checkpoint", "run", "-n", 3),
        "write": ("run", "-n", 3),
        "runs": (),
        "eval": ("run", text),
        "embed": ("run", "-c", "春眠"),
        "infill": ("run", "春□不觉晓"),
        "inspect": ("run",),
        "compare": ("run", "run"),
        "plot": ("run", "-o", "curves.png"),
        "gradients": ("run", "--lags", 2),
        "neurons": ("run", text),
        "export": ("run", "--to", "page", "-o", "exported"),
        "train": (text, "--name", "other", "--init-from", "run", *TRAIN),
        "sweep": (text, "--set", "lr=0.01", *TRAIN),
        "find-lr": (text, "--init-from", "run", "--preset", "tiny", "--device", "cpu"),
    }


def test_every_command_that_names_runs_has_the_option() -> None:
    for command in commands():
        needed = command == "bench serve" or (" " not in command and command not in WITHOUT)
        assert ("--runs" in flags_of(real_helps()[command])) == needed, command
    assert "--out-dir" in flags_of(real_helps()["train"])
    known = {command for command in commands() if " " not in command}
    assert known - WITHOUT - ELSEWHERE == set(command_lines(Path()))


@pytest.mark.parametrize("command", command_lines(Path()))
@pytest.mark.parametrize("way", ["option", "variable"])
def test_runs_are_found_in_that_folder(
    command: str, way: str, runs: Path, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if command == "plot":
        pytest.importorskip("matplotlib")
    text.write_text("春眠不觉晓\n夜来风雨声\n" * 40, "utf-8")
    given = command_lines(text)[command]
    if way == "option":
        monkeypatch.setenv("CHARGEN_RUNS", "nowhere")
        done = call(command, *given, "--runs", runs)
    else:
        done = call(command, *given, env={"CHARGEN_RUNS": str(runs)})
    assert done.exit_code == 0, done.output
    assert not (text.parent / "checkpoints").exists()
    if command == "train":
        assert (runs / "other" / "model.safetensors").is_file()


def test_without_either_runs_lie_in_checkpoints(runs: Path, here: Path) -> None:
    assert "There is no run 'run'" in the_error("sample", "run", "-n", 3)
    runs.rename(here / "checkpoints")
    assert call("sample", "run", "-n", 3).exit_code == 0
    assert call("sample", "-n", 3).stderr.startswith("checkpoints/run, ")


def test_out_dir_is_another_name_for_it(corpus: Path, here: Path) -> None:
    done = call("train", corpus, "--name", "one", "--out-dir", "deep/er", *TRAIN)
    assert done.exit_code == 0, done.output
    assert Path("deep/er/one/model.safetensors").is_file()
    assert call("sample", "-n", 3, "--runs", "deep/er").stderr.startswith("deep/er/one, ")


def test_the_functions_of_python_look_there_too(
    runs: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHARGEN_RUNS", str(runs))
    finders: tuple[Callable[..., object], ...] = (
        lambda **place: chargen.load(device="cpu", **place).path,
        lambda **place: chargen.load("run", device="cpu", **place).path,
        lambda **place: chargen.inspect("run", **place).path,
        lambda **place: runs / chargen.compare(["run"], **place).runs[0].name,
        lambda **place: runs / chargen.gradients(["run"], lags=2, **place)[0].run,
    )
    for find in finders:
        assert find() == runs / "run"
        with pytest.raises(chargen.CheckpointError):
            find(runs_dir=here / "nowhere")
    monkeypatch.setenv("CHARGEN_RUNS", "nowhere")
    for find in finders:
        assert find(runs_dir=runs) == runs / "run"

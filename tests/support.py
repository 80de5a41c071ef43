"""What several tests do: train a tiny run, look at its weights, call the command line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import chargen

if TYPE_CHECKING:
    from typer import Typer
    from typer.testing import Result

    from chargen import TrainedRun
    from chargen.network.model import CharModel

LEARNABLE = "春眠不觉晓，处处闻啼鸟。\n夜来风雨声，花落知多少。\n" * 60
STEPS = 40
TRAIN = ("--preset", "tiny", "--max-steps", 20, "--threads", 1, "--device", "cpu")
"""Flags of ``train`` for a run of a second."""


def train_tiny(corpus: Any, out: Path, **options: Any) -> TrainedRun:
    """A run of the preset for tests, on the CPU: its bits are promised there alone.

    It writes a sample at its end and no others, which would take a third of its time.
    """
    settings = {"preset": "tiny", "name": "run", "max_steps": 20, "device": "cpu", **options}
    settings.setdefault("sample_every", 10**6)
    return chargen.train(corpus, runs_dir=out, **settings)


def last_state(run: Path) -> dict[str, Any]:
    """Everything that the newest checkpoint of a run holds, as bytes."""
    from chargen.runs.folder import RunFolder

    saved = RunFolder(run).load_last()
    assert saved is not None
    tensors, values = saved
    return {
        **{name: tensor.numpy().tobytes() for name, tensor in tensors.items()},
        **{name: value for name, value in values.items() if name != "seconds"},
    }


def metrics(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text("utf-8").splitlines()]


def small_model(vocab_size: int = 11, seed: int = 0, **options: Any) -> CharModel:
    """A model in double precision with random weights everywhere, biases included."""
    import torch

    from chargen.network.model import CharModel
    from chargen.options import ModelConfig

    config = ModelConfig(
        vocab_size=vocab_size, **{"hidden_size": 8, "embedding_size": 5, **options}
    )
    model = CharModel(config).double()
    model.reset_parameters(seed)
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.3)
    return model


def files_in(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, with its content."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def call(
    *arguments: object, stdin: str | None = None, env: Mapping[str, str] | None = None
) -> Result:
    """A command, in this process."""
    from typer.testing import CliRunner

    given = [str(each) for each in arguments]
    return CliRunner().invoke(
        _app(next(iter(given), None)), given, input=stdin, env=env, prog_name="chargen"
    )


@cache
def _app(word: str | None) -> Typer:
    """The application for a command line that begins with a word, built once."""
    from typer import main, testing

    from chargen.cli.app import app_for

    app = app_for(word)
    built = main.get_command(app)
    build = testing._get_command
    testing._get_command = lambda asked: built if asked is app else build(asked)
    return app


def the_error(*arguments: object, status: int = 1) -> str:
    """Standard error of a command that must fail: two lines, what and what to do.

    What the option parser itself rejects, with status 2, is shown in its own way.
    """
    result = call(*arguments)
    assert result.exit_code == status, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    if status == 1 or not result.stderr.startswith("Usage"):
        lines = [line for line in result.stderr.splitlines() if line.startswith(("error:", "  "))]
        assert len(lines) == 2
        assert lines[0].startswith("error: ")
        assert lines[1].startswith("       ")
    return result.stderr


def of_type(events: Iterable[object], kind: type) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def without_best(state: dict[str, Any]) -> dict[str, Any]:
    return {n: v for n, v in state.items() if n not in ("best_bits", "evaluations_since_best")}

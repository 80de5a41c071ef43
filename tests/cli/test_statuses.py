"""Exit statuses of all commands: 0 done, 1 an error, 2 what can't be used, 130 and 143 signals."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.test_reference import commands
from tests.support import call, the_error

UNUSABLE: dict[str, tuple[tuple[object, ...], ...]] = {
    "train": (
        ("x.txt", "--lr", -1), ("--preset", "huge"), ("--name", "a/b"), ("--cell", "x"),
        ("--resume", "--init-from", "x"), ("--max-steps", "few"), ("--encoding", 3),
    ),
    "prepare": (("x.txt", "--val-frac", 3), ("x.txt", "--encoding", "klingon"), ()),
    "find-lr": (("--lr", 0), ("-o", "x.bmp"), ("--preset", "huge")),
    "sweep": (("x.txt",), ("x.txt", "--set", "lr"), ("x.txt", "--set", "lr=-1"), ("--seeds", 0)),
    "average": ((), ("x", "y", "--name", "a/b")),
    "sample": (
        ("--temp", -1), ("nowhere", "--top-p", 0), ("-p", "a", "-f", "b"), ("--form", "sonnet"),
        ("--beam-size", 4, "--temp", 0.5), ("--beam-size", 4, "--temp", "0.8,0.5"),
        ("--length-penalty", 1),
        ("--stop", ""), ("--tones",), ("--seed", -1), ("-n", "many"), ("--device", "abacus"),
        ("--json", "--color", "surprisal"),
    ),
    "write": (("--temp", -1), ("--length", -1), ("--seed", -1), ("--device", "abacus")),
    "runs": (("x",),),
    "batch": (
        ("x", "-o", "y", "--temp", -1), ("x", "-o", "y", "--resume", "--force"), ("x",),
        ("x", "-o", "y", "--oov-prompt", "drop"), ("x", "-o", "y", "--form", '{"name": 3}'),
        ("x", "-o", "y", "--workers", 0), ("x", "-o", "y", "--shard", "3/2"),
        ("--ray=nowhere", "x", "-o", "y"), ("x", "-o", "y", "--beam-size", 4, "--top-k", 3),
    ),
    "merge": ((), ("x",)),
    "eval": ((), ("x",), ("x", "y", "--batch-size", 0), ("x", "y", "--errors", "ignore"),
             ("x", "y", "--length-penalty", 1)),
    "novelty": (("x",), ("x", "y", "--encoding", "klingon")),
    "embed": ((), ("x", "y", "--pooling", "max"), ("x", "y", "-c", "z")),
    "classify": ((), ("x",), ("x", "y", "-k", 0), ("x", "y", "--threshold", 2)),
    "infill": (("x", "y□", "--mark", "ab"), ("x", "y□", "--beam-size", 0), ("x", "y", "-f", "z")),
    "attention": ((), ("-o", "x.gif"), ("x", "y")),
    "inspect": (("x", "y"),),
    "compare": ((), ("x", "--over", "weeks"), ("x", "-o", "x.jpeg")),
    "plot": (("-o", "x.jpg"), ("-o", "x")),
    "gradients": (("--lags", 0), ("-o", "x.gif")),
    "neurons": ((),),
    "export": (("--to", "gif"), ("--to", "hub"), ("--license", "mit"), ("--weights", "float8")),
    "experiment cells": (("--cell", "x"), ("--hidden-size", 0), ("-o", "x.txt")),
    "experiment clockwork": (("--steps", 0), ("--seed", -1), ("-o", "x.txt")),
    "experiment vanishing": (("--lags", 0), ("--threads", -1), ("-o", "x.txt")),
    "experiment clipping": (("--rate", "fast"), ("--rate", 0), ("-o", "x.txt")),
    "experiment quality": (("--preset", "huge"), ("--minutes", 0), ("-o", "x.txt")),
    "experiment classify": (("x",), ("x", "--key", "a", "--minutes", 0), ()),
    "experiment reverse": (("--steps", 0), ("-o", "x.txt")),
    "bench generate": (("--rounds", 0), ("--device", "abacus"), ("--cell", "clockwork")),
    "bench train": (("--rounds", 0), ("--threads", -1)),
    "bench serve": (("--rounds", 0), ("--clients", 0), ("--requests", 1), ("--threads", -1)),
    "bench scale": (("--rounds", 0), ("--preset", "huge"), ("--threads", -1)),
    "serve": (("--port", -1), ("--slots", 0), ("--access-log", "xml"), ("--host", "0.0.0.0")),
}  # fmt: skip
"""Command lines that can't be carried out, whatever files and runs there are."""

FAILED: dict[str, tuple[object, ...]] = {
    "train": ("x.txt",),
    "prepare": ("x.txt",),
    "find-lr": ("x.txt",),
    "sweep": ("x.txt", "--set", "lr=1"),
    "average": ("x", "y"),
    "sample": ("x",),
    "write": ("x",),
    "batch": ("x", "-o", "y"),
    "merge": ("x", "-o", "y"),
    "eval": ("x", "y"),
    "novelty": ("x", "y"),
    "embed": ("x", "y"),
    "classify": ("x", "y"),
    "infill": ("x", "y□"),
    "attention": ("x", "-p", "y"),
    "inspect": ("x",),
    "compare": ("x",),
    "plot": ("x",),
    "gradients": ("x",),
    "neurons": ("x", "y"),
    "export": ("x",),
    "experiment cells": ("--corpus", "x"),
    "experiment vanishing": ("--corpus", "x"),
    "experiment clipping": ("--corpus", "x"),
    "experiment quality": ("x",),
    "experiment classify": ("x", "--key", "y"),
    "serve": ("x",),
    "bench serve": ("x",),
}
"""Command lines that name files or runs which are missing."""


def test_every_command_has_its_cases() -> None:
    assert sorted(UNUSABLE) == sorted(commands())
    without_files = {
        *("runs", "experiment clockwork", "experiment reverse"),
        *("bench generate", "bench train", "bench scale"),
    }
    assert set(FAILED) == set(commands()) - without_files


@pytest.mark.parametrize("command", UNUSABLE)
def test_what_cannot_be_used_is_status_2(command: str, here: Path) -> None:
    for arguments in (*UNUSABLE[command], ("--nonsense",)):
        the_error(*command.split(), *arguments, status=2)
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("command", FAILED)
def test_what_is_missing_is_status_1(command: str, here: Path) -> None:
    the_error(*command.split(), *FAILED[command], status=1)
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("command", ["", "experiment", "bench"])
def test_help_is_status_0(command: str) -> None:
    assert call(*command.split(), "--help").exit_code == 0

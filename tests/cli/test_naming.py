"""Messages of the library, with the options' names on the command line."""

from __future__ import annotations

import pytest

from chargen.cli.naming import in_flags
from chargen.options import SamplingConfig, TrainConfig


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("`lr` is -1, not above 0 and finite", "--lr is -1, not above 0 and finite"),
        ("`temperature` is -1", "--temp is -1"),
        ("Go on with it with `resume=True`.", "Go on with it with --resume."),
        ("Keep none with `val_frac=0`.", "Keep none with --val-frac 0."),
        ('Use `device="cpu"`, or another `name`.', "Use --device cpu, or another --name."),
        ("`bias=False` or `bias=True`", "--no-bias or --bias"),
        ("`ordered=False`", "--unordered"),
        ("`tie_weights` needs an embedding", "--tie-weights needs an embedding"),
        ("`form` is 'x'", "--form is 'x'"),
        ("Choose another `runs_dir`.", "Choose another --runs."),
        ("`init_from` and `prompt_file`", "--init-from and --prompt-file"),
        ("nothing `of the kind`, `A`, `a-b` or ``", "nothing `of the kind`, `A`, `a-b` or ``"),
        ("plain lr and temperature", "plain lr and temperature"),
    ],
)
def test_options_are_shown_as_flags(message: str, shown: str) -> None:
    assert in_flags(message) == shown


def test_flags_come_from_the_field() -> None:
    assert SamplingConfig.entries()["temperature"].flags == ("--temp", "--temperature", "-t")
    assert SamplingConfig.entries()["length"].flags == ("--length", "-n")
    assert TrainConfig.entries()["lr_final"].flags == ("--lr-final",)

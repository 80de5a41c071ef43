"""Options of training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chargen.options.field import Config, option

LEARNING = "Learning"
BUDGET = "Budget (at most one; the default depends on the size of the text)"
MACHINE = "Machine"
BUDGETS = ("epochs", "max_steps", "max_minutes")
"""The options that set the length of a run; at most one may be given."""


@dataclass(frozen=True)
class TrainConfig(Config):
    """The options of training: windows, optimiser, budget, machine."""

    seq_length: int = option(
        64,
        "T, characters per window of truncated backpropagation through time",
        low=1,
        default_text="64, or the preset's",
        panel=LEARNING,
    )
    batch_size: int = option(
        32,
        "B, lanes of the text that are read in parallel",
        low=1,
        default_text="32, or the preset's",
        panel=LEARNING,
    )
    gradient_accumulation_steps: int = option(
        1,
        "Parts of the batch that are computed one after another; saves memory, same result",
        low=1,
        changeable=True,
        panel=LEARNING,
    )
    optimizer: str = option(
        "adamw",
        "Optimiser",
        choices={"adamw": "", "sgd": "with Nesterov momentum", "rmsprop": ""},
        panel=LEARNING,
    )
    lr: float = option(
        4e-3,
        "Learning rate after warm-up",
        above=0,
        default_text="adapted to text and network",
        panel=LEARNING,
    )
    lr_final: float = option(
        0.02, "Final learning rate, as a share of the highest", low=0, panel=LEARNING
    )
    weight_decay: float = option(
        0.05,
        "Weight decay of matrices: decoupled for adamw, L2 for sgd and rmsprop",
        low=0,
        default_text="adapted to the vocabulary; 0 for sgd and rmsprop",
        panel=LEARNING,
    )
    warmup_steps: int = option(
        30,
        "Steps over which the learning rate rises",
        low=0,
        default_text="30, or the preset's",
        panel=LEARNING,
    )
    grad_clip: float = option(
        0.5, "Largest global L2 norm of the gradient; 0: no clipping", low=0, panel=LEARNING
    )
    dropout: float = option(
        0.0,
        "Share of units dropped at the input, between layers and before the output",
        low=0,
        below=1,
        default_text="adapted to the size of the text",
        panel=LEARNING,
    )
    dropout_growth: float = option(
        0.0,
        "Increase of dropout with each doubling of 1 + the passes over the text, up to 0.5",
        low=0,
        below=1,
        default_text="adapted to the size of the text; 0 if dropout is given",
        panel=LEARNING,
    )
    label_dropout: float = option(
        0.1,
        "Share of labels that are left out, so that texts can be written without them too",
        low=0,
        below=1,
        panel=LEARNING,
    )
    gap_share: float = option(
        0.15,
        "Share of characters that are hidden, alone or in a row, so that infill learns long gaps",
        low=0,
        high=2 / 3,  # gaps of two characters, one character apart
        panel=LEARNING,
    )
    epochs: float | None = option(
        None, "Passes over the text", above=0, changeable=True, panel=BUDGET
    )
    max_steps: int | None = option(
        None, "Training steps in all", low=1, changeable=True, panel=BUDGET
    )
    max_minutes: float | None = option(
        None, "Minutes of training, evaluations included", above=0, changeable=True, panel=BUDGET
    )
    patience: int = option(
        0,
        "Evaluations without improvement after which training stops; 0: never",
        low=0,
        changeable=True,
        panel=BUDGET,
    )
    eval_every: int = option(
        0,
        "Steps between evaluations",
        low=0,
        changeable=True,
        default_text="a tenth of the run",
    )
    sample_every: int = option(
        0,
        "Steps between samples",
        low=0,
        changeable=True,
        default_text="at each evaluation",
    )
    save_every: int = option(
        0,
        "Steps between checkpoints; one per minute is written in any case",
        low=0,
        changeable=True,
        default_text="at each evaluation",
    )
    seed: int = option(0, "Seed of initial weights and dropout", low=0, below=2**63)
    threads: int = option(
        0,
        "CPU threads",
        low=0,
        high=1024,
        changeable=True,
        default_text="torch's choice",
        panel=MACHINE,
    )
    device: str = option(
        "auto",
        "Device",
        choices={"auto": "CUDA if available, else CPU", "cpu": "", "cuda": "", "mps": ""},
        changeable=True,
        panel=MACHINE,
    )
    precision: str = option(
        "auto",
        "Number format of matrix products",
        choices={
            "auto": "bfloat16 on a GPU or CPU that is made for it, else float32",
            "float32": "",
            "bfloat16": "",
        },
        changeable=True,
        panel=MACHINE,
    )

    @classmethod
    def conflicts_in(cls, values: Mapping[str, Any]) -> list[str]:
        given = [f"`{name}`" for name in BUDGETS if values.get(name) is not None]
        if len(given) < 2:
            return []
        return [f"{' and '.join(given)} contradict each other: give one of them"]

"""All that can be chosen, as frozen dataclasses: corpus, model, training, sampling.

A config may be built with any values; ``check`` tells all that is wrong with several at once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

from chargen.errors import ConfigError

OOV_CHOICES = ("auto", "bytes", "unk")
ERROR_CHOICES = ("strict", "replace")
CONVERT_CHOICES = ("none", "t2s", "s2t")
ACTIVATIONS = ("tanh", "sigmoid", "relu")
RECURRENT_INITS = ("orthogonal", "identity")
OPTIMIZERS = ("adamw", "sgd", "rmsprop")
DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "float32", "bfloat16")
OOV_PROMPT_CHOICES = ("error", "skip")


class _Config:
    """What the configs share: problems by field, and a round trip through JSON."""

    def problems(self) -> list[str]:
        """Every value that is out of range, one line each, with what is allowed."""
        return []

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)  # type: ignore[call-overload, no-any-return]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build from JSON; unknown names are an error, missing ones get their default."""
        known = {f.name for f in fields(cls)}  # type: ignore[arg-type]
        unknown = sorted(set(values) - known)
        if unknown:
            raise ConfigError(
                f"{cls.__name__} has no field {', '.join(unknown)}.",
                f"It has: {', '.join(sorted(known))}.",
            )
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


def check(*configs: _Config, also: list[str] | None = None) -> None:
    """Raise one ConfigError that names every problem of all ``configs``, and those in ``also``."""
    found = [line for config in configs for line in config.problems()] + (also or [])
    if found:
        noun = "One option is" if len(found) == 1 else f"{len(found)} options are"
        raise ConfigError(f"{noun} not usable: " + "; ".join(found) + ".", "See --help.")


def _choice(name: str, value: str, allowed: tuple[str, ...]) -> list[str]:
    if value in allowed:
        return []
    return [f"{name} is {value!r}, not one of {', '.join(allowed)}"]


def _at_least(low: float, **values: float | None) -> list[str]:
    return [
        f"{name} is {value}, not {low} or more and finite"
        for name, value in values.items()
        if value is not None and not low <= value < math.inf
    ]


def _positive(**values: float | None) -> list[str]:
    return [
        f"{name} is {value}, not above 0 and finite"
        for name, value in values.items()
        if value is not None and not 0 < value < math.inf
    ]


def _within(low: float, high: float, **values: float) -> list[str]:
    """Half-open: low ≤ value < high."""
    return [
        f"{name} is {value}, not in [{low}, {high})"
        for name, value in values.items()
        if not low <= value < high
    ]


@dataclass(frozen=True)
class CorpusConfig(_Config):
    """How a text becomes tokens.

    Attributes:
        vocab_size: characters kept, the most frequent ones; reserved pieces come on top.
        oov: what becomes of the others: ``bytes`` (UTF-8 byte pieces), ``unk``, or ``auto``.
        encoding: a codec's name, or ``auto`` to detect it.
        errors: ``strict`` (a byte that doesn't decode is an error) or ``replace``.
        convert: ``t2s`` or ``s2t`` between traditional and simplified script, or ``none``.
        val_frac: share of the text, at its end, kept for validation.
    """

    vocab_size: int = 3000
    oov: str = "auto"
    encoding: str = "auto"
    errors: str = "strict"
    convert: str = "none"
    val_frac: float = 0.1

    def problems(self) -> list[str]:
        return [
            *_at_least(1, vocab_size=self.vocab_size),
            *_choice("oov", self.oov, OOV_CHOICES),
            *_choice("errors", self.errors, ERROR_CHOICES),
            *_choice("convert", self.convert, CONVERT_CHOICES),
            *_within(0, 1, val_frac=self.val_frac),
        ]


@dataclass(frozen=True)
class ModelConfig(_Config):
    """The shape of a network.

    Attributes:
        vocab_size: |V|, the length of a one-hot vector: characters kept and reserved pieces.
        cell: a name of ``chargen.cells.CELLS``, or one a layer, with commas, bottom first.
        hidden_size: H, units a layer.
        num_layers: layers, each fed by the one below.
        embedding_size: length of the vector that a character is looked up as; 0 is the
            textbook's one-hot input, which multiplies by U directly.
        activation: f of the simple recurrences.
        recurrent_init: what W of the simple recurrent network starts as.
        dt: length of an Euler step of the continuous-time network, in characters.
        modules: of the clockwork network, with periods 1, 2, 4, …
        teacher_forcing: whether Jordan's network is fed true characters, not its own output.
        bias: whether the recurrences and the output have biases.
        tie_weights: whether the table of embeddings serves as the output's V too.
    """

    vocab_size: int
    cell: str = "lstm"
    hidden_size: int = 256
    num_layers: int = 1
    embedding_size: int = 128
    activation: str = "tanh"
    recurrent_init: str = "orthogonal"
    dt: float = 1.0
    modules: int = 4
    teacher_forcing: bool = False
    bias: bool = True
    tie_weights: bool = False

    def problems(self) -> list[str]:
        found = [
            *_at_least(1, vocab_size=self.vocab_size, hidden_size=self.hidden_size),
            *_at_least(1, num_layers=self.num_layers),
            *_at_least(0, embedding_size=self.embedding_size),
            *_choice("activation", self.activation, ACTIVATIONS),
            *_choice("recurrent_init", self.recurrent_init, RECURRENT_INITS),
            *_within(1, 64, modules=self.modules),
            *self._cell_problems(),
        ]
        if not 0 < self.dt <= 1 or abs(1 / self.dt - round(1 / self.dt)) > 1e-6:
            found.append(f"dt is {self.dt}, not 1, 1/2, 1/3, …")
        if self.tie_weights and not self.can_tie():
            found.append("tie_weights needs an embedding, and a cell that isn't fed the output")
        return found

    def can_tie(self) -> bool:
        """Whether the table of embeddings can serve as V: there is one, and V is the model's."""
        from chargen.cells import CELLS

        names = (name for name in self.layer_cells() if name in CELLS)
        return self.embedding_size > 0 and not any(CELLS[name].wants_output for name in names)

    def layer_cells(self) -> tuple[str, ...]:
        """The name of each layer's cell, bottom first."""
        names = tuple(self.cell.split(","))
        return names * self.num_layers if len(names) == 1 else names

    def options_of(self, cell: str) -> dict[str, Any]:
        """What this config says of the options that ``cell`` has beyond those that all have."""
        from chargen.cells import CELLS

        return {name: getattr(self, name) for name in CELLS[cell].options}

    def _cell_problems(self) -> list[str]:
        from chargen.cells import CELLS

        names = self.layer_cells()
        found = [
            line for name in dict.fromkeys(names) for line in _choice("cell", name, tuple(CELLS))
        ]
        if found:
            return found
        if len(names) != self.num_layers:
            found.append(f"cell names {len(names)} layers, but num_layers is {self.num_layers}")
        found += [
            f"cell is {self.cell}, but {name} can only be the last layer"
            for name in names[:-1]
            if CELLS[name].wants_output
        ]
        found += [
            f"{option} has no meaning for the cell {self.cell}"
            for option, default in self._idle_options().items()
            if getattr(self, option) != default
        ]
        return found

    def without_idle_options(self) -> Self:
        """The same network; what its cells don't ask is at today's default.

        A run keeps every option, and a default may change after it was written.
        """
        return replace(self, **self._idle_options())

    def _idle_options(self) -> dict[str, Any]:
        """The defaults of the options that other cells have, and these layers' cells don't."""
        from chargen.cells import CELLS

        own = {o for name in self.layer_cells() if name in CELLS for o in CELLS[name].options}
        others = {option for entry in CELLS.values() for option in entry.options} - own
        return {f.name: f.default for f in fields(self) if f.name in others}


@dataclass(frozen=True)
class TrainConfig(_Config):
    """How a network is trained.

    Attributes:
        seq_length: T, time steps a window of truncated backpropagation through time.
        batch_size: B, lanes that run down the corpus side by side.
        gradient_accumulation_steps: parts of the batch that are computed one after the other,
            their gradients added up; less memory, and the same result to rounding.
        optimizer: ``adamw``, ``sgd`` (with Nesterov momentum 0.9) or ``rmsprop``.
        lr: the highest learning rate, after warm-up.
        lr_final: the learning rate at the end, as a share of ``lr``.
        weight_decay: AdamW's decoupled decay of matrices; the other optimisers add it, times the
            weights, to the gradient (L2), and have none where it isn't chosen.
        warmup_steps: steps over which the learning rate rises linearly.
        grad_clip: largest global L2 norm of the gradient; 0 turns clipping off.
        dropout: share of activations dropped on input, between layers and before the output.
        dropout_growth: what is added to it at every doubling of 1 + the passes over the text,
            up to 0.5.
        epochs, max_steps, max_minutes: the budget, one of them at most; none: by corpus size.
        patience: evaluations without a better one before training stops; 0: never.
        eval_every, sample_every, save_every: steps between; 0: chosen from the budget.
        seed: of initial weights and dropout.
        threads: CPU threads; 0: torch's choice.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        precision: of matrix products: ``float32``, ``bfloat16`` (weights and sums stay float32),
            or ``auto``: bfloat16 on a GPU that is made for it.
    """

    seq_length: int = 64
    batch_size: int = 32
    gradient_accumulation_steps: int = 1
    optimizer: str = "adamw"
    lr: float = 4e-3
    lr_final: float = 0.02
    weight_decay: float = 0.05
    warmup_steps: int = 30
    grad_clip: float = 0.5
    dropout: float = 0.0
    dropout_growth: float = 0.0
    epochs: float | None = None
    max_steps: int | None = None
    max_minutes: float | None = None
    patience: int = 0
    eval_every: int = 0
    sample_every: int = 0
    save_every: int = 0
    seed: int = 0
    threads: int = 0
    device: str = "auto"
    precision: str = "auto"

    def problems(self) -> list[str]:
        found = [
            *_at_least(1, seq_length=self.seq_length, batch_size=self.batch_size),
            *_at_least(1, gradient_accumulation_steps=self.gradient_accumulation_steps),
            *_choice("optimizer", self.optimizer, OPTIMIZERS),
            *_choice("device", self.device, DEVICES),
            *_choice("precision", self.precision, PRECISIONS),
            *_positive(lr=self.lr, epochs=self.epochs, max_minutes=self.max_minutes),
            *_at_least(1, max_steps=self.max_steps),
            *_at_least(0, weight_decay=self.weight_decay, grad_clip=self.grad_clip),
            *_at_least(0, lr_final=self.lr_final, warmup_steps=self.warmup_steps),
            *_at_least(0, patience=self.patience, eval_every=self.eval_every),
            *_at_least(0, sample_every=self.sample_every, save_every=self.save_every),
            *_at_least(0, threads=self.threads),
            *_within(0, 2**63, seed=self.seed),
            *_within(0, 1, dropout=self.dropout, dropout_growth=self.dropout_growth),
        ]
        budgets = [n for n in ("epochs", "max_steps", "max_minutes") if getattr(self, n)]
        if len(budgets) > 1:
            found.append(f"{' and '.join(budgets)} contradict each other: give one budget")
        return found


@dataclass(frozen=True)
class SamplingConfig(_Config):
    """How text is drawn from a network.

    Applied in this order: masks, repetition penalty, temperature, top-k, top-p, min-p, draw.

    Attributes:
        length: characters to generate.
        temperature: the logits are divided by it; 0 takes the likeliest character always.
        top_k: draw from the k likeliest only; 0: off.
        top_p: draw from the fewest that together reach this probability; 1: off.
        min_p: drop what is less likely than this share of the likeliest; 0: off.
        repetition_penalty: logits of recent pieces are divided by it (multiplied where they
            are negative); 1: off.
        repetition_window: how many recent pieces that looks back on.
        stop: the text ends before the first of these strings.
    """

    length: int = 500
    temperature: float = 0.8
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    repetition_window: int = 64
    stop: tuple[str, ...] = ()

    def problems(self) -> list[str]:
        found = [
            *_at_least(0, length=self.length, temperature=self.temperature, top_k=self.top_k),
            *_at_least(1, repetition_window=self.repetition_window),
            *_positive(top_p=self.top_p, repetition_penalty=self.repetition_penalty),
            *_within(0, 1, min_p=self.min_p),
        ]
        if self.top_p > 1:
            found.append(f"top_p is {self.top_p}, above 1")
        if any(not text for text in self.stop):
            found.append("a stop string is empty")
        surrogates = sorted({c for text in self.stop for c in text if "\ud800" <= c <= "\udfff"})
        if surrogates:
            halves = ", ".join(f"U+{ord(character):04X}" for character in surrogates)
            found.append(
                f"a stop string has the lone surrogate {halves}, half a character: write both "
                "halves, or leave it out"
            )
        return found

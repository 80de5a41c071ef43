"""The recipe: every measured constant of training, recorded with a run so that it resumes alike.

None of these is an option. A value changes only with a measurement on several texts and seeds, and
an entry in tests/benchmarks/README.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Recipe:
    """What training does where neither preset nor option says.

    A pair of values is for a small vocabulary and for a large one.

    Attributes:
        large_vocabulary: |V| from which a vocabulary is large; input and output then share a table.
        embedding_size: length of a character's vector.
        lr: AdamW's learning rate for ``lr_units`` units per layer and ``lr_pieces`` pieces a step.
        lr_units, lr_pieces: the rate changes with the root of the units, inversely, and with the
            root of the pieces a step where these are fewer.
        lr_of_optimizer: an optimiser's learning rate over AdamW's.
        lr_of_tied: the learning rates of P and U over the others', where a table is shared.
        lr_hold: share of a run's steps after which the learning rate begins to fall.
        weight_decay: of AdamW.
        adamw_betas: decay of AdamW's two moments.
        sgd_momentum: of SGD (Nesterov).
        rmsprop_alpha: decay of RMSprop's moment.
        growth: what each doubling of 1 + the passes adds to the dropout share, for a text of
            ``growth_characters``.
        growth_halving: what ``growth`` gains each time the text is halved.
        growth_characters: see ``growth``.
        growth_limit: the share beyond which dropout grows no further.
        short_text: characters below which a text with a large vocabulary has constant dropout.
        short_dropout: that share, for a text of ``short_dropout_characters``.
        short_dropout_halving: what ``short_dropout`` gains each time the text is halved.
        short_dropout_characters: see ``short_dropout``.
        short_dropout_limit: the highest constant share.
        passes_root: by default a run makes this many passes over the root of the text's characters.
        passes_limit: the most passes by default.
        neighbour_pieces: pieces from the start of the text whose neighbours are counted for the
            initial vectors of a shared table.
        neighbour_spare: dimensions beyond the wanted ones that the iteration for them carries.
        neighbour_rounds: rounds of that iteration.
        neighbour_length: length of these vectors.
        fresh_after: pieces after which a lane starts from the initial state again, at least.
        rollback_limit: how often a run may go back to its last checkpoint.
        rollback_lr: factor of the learning rate each time.
        evaluated_pieces: pieces of the validation split that an evaluation scores, at most.
        forward_share: cost of a forward pass over that of a training step.
        clock_estimate: share of its minutes after which a run by the clock estimates its steps.
        clock_fix: share of ``lr_hold`` after which it fixes their number.
        clock_overtime: share of its minutes after which it ends in any case.
    """

    large_vocabulary: int = 512
    embedding_size: tuple[int, int] = (32, 128)
    lr: tuple[float, float] = (1.4e-2, 8e-3)
    lr_units: int = 256
    lr_pieces: int = 2048
    lr_of_optimizer: Mapping[str, float] = field(
        default_factory=lambda: {"adamw": 1.0, "rmsprop": 0.4, "sgd": 120.0}
    )
    lr_of_tied: Mapping[str, float] = field(default_factory=lambda: {"P": 2.0, "U": 0.5})
    lr_hold: float = 0.4
    weight_decay: tuple[float, float] = (0.05, 0.3)
    adamw_betas: tuple[float, float] = (0.6, 0.99)
    sgd_momentum: float = 0.9
    rmsprop_alpha: float = 0.95
    growth: tuple[float, float] = (0.03, 0.045)
    growth_halving: tuple[float, float] = (0.01, 0.025)
    growth_characters: float = 1e6
    growth_limit: float = 0.5
    short_text: float = 70e3
    short_dropout: float = 0.5
    short_dropout_halving: float = 0.08
    short_dropout_characters: float = 1e5
    short_dropout_limit: float = 0.8
    passes_root: float = 1e4
    passes_limit: float = 20.0
    neighbour_pieces: int = 1 << 22
    neighbour_spare: int = 16
    neighbour_rounds: int = 3
    neighbour_length: float = 1.4
    fresh_after: int = 2048
    rollback_limit: int = 3
    rollback_lr: float = 0.5
    evaluated_pieces: int = 1 << 18
    forward_share: float = 1 / 3
    clock_estimate: float = 0.03
    clock_fix: float = 0.9
    clock_overtime: float = 1.1

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)

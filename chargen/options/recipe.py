"""The recipe: all measured constants of training, recorded in a run so that resuming uses the same.

None of them is an option. Changing a value takes measurements on several texts and seeds, and an
entry in tests/benchmarks/README.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Recipe:
    """The constants of training.

    In a pair, the first value is for a small vocabulary, the second for a large one.

    Attributes:
        large_vocabulary: the least |V| that counts as large; input and output are then tied.
        embedding_size: length of a character's embedding.
        second_layer: the least |V| for which an LSTM that continues a text gets a second layer,
            unless the text is short; 0: never. The softmax dominates there, so that a layer costs
            little.
        lr: AdamW's learning rate for ``lr_units`` units per layer and ``lr_pieces`` pieces per
            step.
        lr_units, lr_pieces: the rate is inversely proportional to the square root of the units,
            and proportional to that of the pieces per step if these are fewer.
        lr_of_optimizer: ratio of an optimiser's learning rate to AdamW's.
        lr_of_tied: ratio of the learning rates of P and U to the others, if weights are tied.
        lr_of_labels: ratio of a classifier's learning rate to that of a language model.
        lr_of_ngram_weights: a classifier's weights of n-grams learn by plain gradient descent, at
            this times √L times the learning rate, for L values; 0: by the optimiser.
        lr_of_answers: the same for a network that answers: it predicts half of a batch's pieces.
        lr_hold: share of a run's steps after which the learning rate begins to fall.
        weight_decay: AdamW's weight decay.
        adamw_betas: decay of AdamW's two moments.
        sgd_momentum: SGD's momentum (Nesterov).
        rmsprop_alpha: decay of RMSprop's moment.
        growth: increase of dropout with each doubling of 1 + the passes, for a text of
            ``growth_characters``.
        growth_halving: increase of ``growth`` each time the text is halved.
        growth_characters: see ``growth``.
        growth_limit: dropout at which the growth ends.
        short_text: characters below which a text with a large vocabulary has constant dropout.
        short_dropout: this dropout, for a text of ``short_dropout_characters``.
        short_dropout_halving: increase of ``short_dropout`` each time the text is halved.
        short_dropout_characters: see ``short_dropout``.
        short_dropout_limit: the highest constant dropout.
        shifted_passes: whether each pass but the first begins at another place of the text.
        dropout_of_labels: dropout of a classifier, which has one label to learn from a whole text.
        passes_root: the default number of passes is this over the square root of the characters.
        passes_limit: the highest default number of passes.
        neighbour_pieces: pieces at the start of the text whose neighbours are counted for the
            initial embeddings of tied weights.
        neighbour_spare: extra dimensions in the subspace iteration for them.
        neighbour_rounds: rounds of this iteration.
        neighbour_length: norm of these embeddings.
        fresh_after: the least number of pieces after which a lane's state is reset.
        rollback_limit: how often a run may go back to its last checkpoint.
        rollback_lr: factor applied to the learning rate each time.
        gate_worth: nats a piece of the validation split that setting the gate right on it must
            save, or else it stays; 0: it always stays, and a classifier isn't calibrated.
        evaluated_pieces: the most pieces of the validation split that an evaluation scores.
        forward_share: cost of a forward pass relative to a training step.
        forward_share_bfloat16: the same on a CPU that makes the steps in bfloat16: evaluations
            are in float32.
        clock_estimate: share of its minutes after which a timed run estimates its steps.
        clock_fix: share of ``lr_hold`` after which it fixes their number.
        clock_overtime: share of its minutes after which it ends in any case.
    """

    large_vocabulary: int = 512
    embedding_size: tuple[int, int] = (32, 128)
    second_layer: int = 3000
    lr: tuple[float, float] = (1.4e-2, 8e-3)
    lr_units: int = 256
    lr_pieces: int = 2048
    lr_of_optimizer: Mapping[str, float] = field(
        default_factory=lambda: {"adamw": 1.0, "rmsprop": 0.4, "sgd": 120.0}
    )
    lr_of_tied: Mapping[str, float] = field(default_factory=lambda: {"P": 2.0, "U": 0.5})
    lr_of_labels: float = 0.5
    lr_of_ngram_weights: float = 360.0
    lr_of_answers: float = 0.6
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
    shifted_passes: bool = True
    dropout_of_labels: float = 0.5
    passes_root: float = 1e4
    passes_limit: float = 20.0
    neighbour_pieces: int = 1 << 22
    neighbour_spare: int = 16
    neighbour_rounds: int = 3
    neighbour_length: float = 1.4
    fresh_after: int = 2048
    rollback_limit: int = 3
    rollback_lr: float = 0.5
    gate_worth: float = 1e-3
    evaluated_pieces: int = 1 << 18
    forward_share: float = 1 / 3
    forward_share_bfloat16: float = 0.8
    clock_estimate: float = 0.03
    clock_fix: float = 0.9
    clock_overtime: float = 1.1

    def to_dict(self) -> dict[str, Any]:
        """Return the constants as JSON values."""
        return asdict(self)

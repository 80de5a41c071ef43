"""Learning to fill gaps: lines of text, some of whose characters are hidden."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chargen.corpus.batching import RecordBatches, framed
from chargen.evaluation.gaps import score_gaps
from chargen.evaluation.scores import Score, score_by_leader
from chargen.generation.filling.filler import Filler
from chargen.generation.filling.gapped import GAP, Gapped
from chargen.machine.devices import resolve_device
from chargen.network.base import ModelState
from chargen.network.dropout import Dropout
from chargen.network.infiller import Infiller
from chargen.options import InfillConfig
from chargen.training.lessons import Share, WholeTexts, inside

if TYPE_CHECKING:
    from chargen.corpus.prepared import PreparedCorpus
    from chargen.runs.config import RunConfig
    from chargen.training.state import TrainingState

_MEAN_GAP = 2.0
"""Characters of a hidden span, on average."""
_SIGN = "\U0010fffd"
"""What marks a gap in a text that may have any character: a private one."""


@dataclass(frozen=True)
class Gaps(WholeTexts):
    """Texts side by side, each of whose characters is predicted from the others.

    Attributes:
        framed: ids, (n + 2, B) int64, a piece before and after each text, padded at the end.
        lengths: of the texts without these, (B,) int64.
        hidden: what only its prediction knows of, and those to the right of it; (n + 2, B) bool.
    """

    framed: Tensor
    lengths: Tensor
    hidden: Tensor

    def part(self, rows: slice) -> Gaps:
        return Gaps(self.framed[:, rows], self.lengths[rows], self.hidden[:, rows])

    def loss(self, model: Any, dropout: Dropout | None) -> tuple[Tensor, ModelState]:
        within = inside(self.lengths, len(self.framed) - 2)
        return model.loss_of_gaps(self.framed, self.lengths, within, self.hidden, dropout), ()


def hidden_spans(
    draw: np.random.Generator, lengths: NDArray[np.int64], share: float
) -> NDArray[np.bool_]:
    """Spans of random length and place, which are hidden.

    From piece to piece a span begins with probability a and ends with probability 1/2, so that
    it is two pieces long on average; a is such that ``share`` of the pieces are hidden.

    Args:
        draw: what is drawn from.
        lengths: of the texts, (B,).
        share: of the pieces that are hidden, in [0, 2/3].

    Returns:
        Whether each piece is hidden, (n + 2, B); never the frame, nor padding.
    """
    longest = int(lengths.max(initial=0))
    hidden = np.zeros((longest + 2, len(lengths)), bool)
    begins = share / (1 - share) / _MEAN_GAP
    uniform = draw.random(hidden.shape)
    for t in range(1, longest + 1):
        stays = uniform[t] < np.where(hidden[t - 1], 1 - 1 / _MEAN_GAP, begins)
        hidden[t] = stays & (t <= lengths)
    return hidden


class Lines:
    """Lines of text, each of them read from both ends, in batches of similar length."""

    def __init__(self, config: RunConfig, corpus: PreparedCorpus) -> None:
        options, self._options = config.training, config.training
        self._train, self._val = corpus.train_records, corpus.val_records
        pieces = options.batch_size * options.seq_length
        self._batches = RecordBatches(self._train, pieces, options.seed)
        self._tokenizer = corpus.tokenizer
        self._device = resolve_device(options.device)
        ends = len(self._val)
        self.val_characters = corpus.manifest.val.characters - ends if ends else 0

    @property
    def steps_per_epoch(self) -> int:
        return self._batches.steps_per_epoch

    def lesson(self, state: TrainingState) -> Share:
        ids, lengths = framed(
            self._train, self._batches.records(state.step), self._tokenizer.newline_id
        )
        draw = np.random.default_rng((self._options.seed, state.step, len(lengths)))
        hidden = hidden_spans(draw, lengths, self._options.gap_share)
        arrays = (ids, lengths, hidden)
        gaps = Gaps(*(torch.from_numpy(each).to(self._device) for each in arrays))
        return Share.of(gaps, state.team)

    def prepare(self, step: int) -> None:
        """Nothing is sent ahead."""

    def score(self, state: TrainingState) -> Score:
        model, tokenizer = cast("Infiller", state.model), self._tokenizer
        return score_by_leader(state.team, lambda: score_gaps(model, tokenizer, self._val).total())

    def sample(self, state: TrainingState, seed: int) -> str:
        """A line with a gap of one to three pieces, and how the network fills it."""
        split = self._val if len(self._val) else self._train
        draw = np.random.default_rng(seed)
        ids = split.side(int(draw.integers(len(split))))[:-1].astype(np.int64).tolist()
        first = int(draw.integers(len(ids)))
        count = min(int(draw.integers(1, 4)), len(ids) - first)
        before, after = ids[:first], ids[first + count :]
        decode = self._tokenizer.decode
        text = f"{decode(before)}{_SIGN * count}{decode(after)}"
        line = Gapped(text, _SIGN, (*before, *[GAP] * count, *after))
        filler = Filler(cast("Infiller", state.model), self._tokenizer)
        (filling,) = filler.fill(line, InfillConfig())
        return f"{text.replace(_SIGN, InfillConfig.mark)}\n{filling.text}"

"""Filling the gaps of a line: its likeliest fillings by a beam, or fillings that are drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from chargen.corpus.tokenizer import Tokenizer
from chargen.errors import ConfigError
from chargen.generation.drawing import BLOCK, draw
from chargen.generation.filling.context import BothSides, Context, LeftSide, fed
from chargen.generation.filling.gapped import GAP, Gapped, characters_for_gaps, read_gapped
from chargen.generation.folded import Rows
from chargen.generation.sampler import Uniforms, drawing_device, tempered_softmax
from chargen.generation.seeds import text_seeds
from chargen.network.infiller import Infiller
from chargen.network.model import CharModel
from chargen.ngrams import KneserNey
from chargen.options import InfillConfig

_DRAWN_AT_ONCE = 64


@dataclass(frozen=True)
class Filling:
    """A line whose gaps are filled.

    Attributes:
        text: the line.
        filled: the characters of its gaps, in their order.
        bits: −log2 of the probability of these characters given the rest of the line. For a
            language model, it is estimated among the fillings that it compared.
    """

    text: str
    filled: str
    bits: float

    def __str__(self) -> str:
        return self.text


@dataclass
class _Beam:
    """Fillings side by side, the likeliest first: what was put into gaps, and its nats (B,)."""

    filled: list[list[int]] = field(default_factory=lambda: [[]])
    nats: Tensor = field(default_factory=lambda: torch.zeros(1, dtype=torch.float64))


class Filler:
    """Fills gaps with a network's weights as they are at the start.

    A filling depends on the line, the options and the seed alone.

    Args:
        model: on the device that is to do the work.
        tokenizer: the model's.
        ngram: the counts that are mixed with a language model, or None.
    """

    def __init__(
        self, model: Infiller | CharModel, tokenizer: Tokenizer, ngram: KneserNey | None = None
    ) -> None:
        self._tokenizer = tokenizer
        self._context: Context
        if isinstance(model, Infiller):
            self._context = BothSides(model, tokenizer)
        else:
            self._context = LeftSide(model, tokenizer, ngram)
        self._network = self._context.network
        self._device = drawing_device(self._network.device)
        self._allowed = torch.full((tokenizer.size,), -torch.inf, dtype=torch.float64)
        self._allowed[characters_for_gaps(tokenizer)] = 0
        self._allowed = self._allowed.to(self._device)

    def read(self, text: str, mark: str) -> Gapped:
        """A line whose gaps can be filled; GenerationError where there is none."""
        return read_gapped(text, mark, self._tokenizer)

    def check(self, config: InfillConfig) -> None:
        """Raise ConfigError where the network has no use for an option."""
        drawn_freely = config.temperature and self._context.conditional
        if drawn_freely and config.beam_size != InfillConfig.beam_size:
            raise ConfigError(
                "`beam_size` is for the likeliest fillings, and with `temperature` a run of the "
                "task infill draws each by itself.",
                "Leave one of them out.",
            )

    @torch.inference_mode()
    def fill(self, line: Gapped, config: InfillConfig, seed: int = 0) -> list[Filling]:
        """Fill a line in several ways, the likeliest first; drawn ones as they were drawn.

        There are fewer where there are no more ways to fill it.

        Raises:
            ConfigError: a seed is out of range.
        """
        if not 0 <= seed < 1 << 64:
            raise ConfigError(f"The seed {seed} is out of range.", "Use 0 to 18446744073709551615.")
        self._context.begin(line)
        if not config.temperature:
            beam = self._searched(line, config.beam_size)
            found = beam.filled, beam.nats
        elif self._context.conditional:
            found = self._drawn(line, config, seed)
        else:
            found = self._chosen(line, config, seed)
        return [
            self._filling(line, filled, nats)
            for filled, nats in list(zip(found[0], found[1].tolist(), strict=True))[
                : config.num_samples
            ]
        ]

    def _filling(self, line: Gapped, filled: list[int], nats: float) -> Filling:
        characters = [self._tokenizer.decode([id_]) for id_ in filled]
        text, bits = line.with_characters(characters), abs(nats) / math.log(2)
        return Filling(text, "".join(characters), bits)

    def _searched(self, line: Gapped, size: int) -> _Beam:
        """The likeliest fillings, (B ≤ size): the best of each step go on to the next.

        With as many as there are fillings, the search is exhaustive.
        """
        beam, rows = _Beam(), self._network.rows(size)
        s = self._read(rows, [self._tokenizer.newline_id], fresh=True)
        judged = not self._context.conditional
        for place, piece in enumerate((*line.ids, *([self._context.last_piece] * judged))):
            if piece == GAP:
                beam, parents, pieces = self._grown(beam, self._costs(rows, s, beam, place), size)
                rows.take(parents)
            else:
                if judged and beam.filled[0]:
                    beam.nats = beam.nats + self._costs(rows, s, beam, place)[:, piece]
                pieces = [piece] * len(beam.filled)
            if place == (len(line.ids) if judged else line.last):
                break
            s = self._read(rows, pieces)
        return self._in_order(beam)

    def _in_order(self, beam: _Beam) -> _Beam:
        """The likeliest first, with their probabilities among them where only these are known."""
        nats, order = torch.sort(beam.nats, stable=True)
        if not self._context.conditional:
            nats = nats + torch.logsumexp(-nats, 0)
        return _Beam([beam.filled[n] for n in order.tolist()], nats)

    def _costs(self, rows: Rows, s: Tensor, beam: _Beam, place: int) -> Tensor:
        """−log p of each piece at a place after each filling, (B, |V|), float64.

        In a gap, those that can't fill it are infinite; given both sides, the others share all of
        the probability.
        """
        o = self._context.scores(rows, s, len(beam.filled), place)
        return -torch.log_softmax(o.to(self._device).double(), 1)

    def _grown(
        self, beam: _Beam, costs: Tensor, size: int
    ) -> tuple[_Beam, np.ndarray[tuple[int], np.dtype[np.int64]], list[int]]:
        """The likeliest ways to go on, with what they go on from and with what."""
        if self._context.conditional:
            costs = -torch.log_softmax(self._allowed - costs, 1)
        total = beam.nats.to(costs.device)[:, None] + costs - self._allowed
        count = min(size, int(total.isfinite().sum()))
        best = torch.topk(total.flatten(), count, largest=False)
        parents, pieces = np.divmod(best.indices.cpu().numpy(), total.shape[1])
        filled = [
            [*beam.filled[a], b] for a, b in zip(parents.tolist(), pieces.tolist(), strict=True)
        ]
        return _Beam(filled, best.values), parents, pieces.tolist()

    def _read(self, rows: Rows, pieces: list[int], *, fresh: bool = False) -> Tensor:
        """Let each filling read a piece: outputs (B', H')."""
        if fresh:
            for row in range(len(pieces)):
                rows.load(row, None)
        return rows.step(fed(pieces, self._network))

    def _drawn(
        self, line: Gapped, config: InfillConfig, seed: int
    ) -> tuple[list[list[int]], Tensor]:
        """Fillings that are drawn from left to right, each from a seed of its own."""
        seeds = list(text_seeds(seed, config.num_samples))
        filled: list[list[int]] = []
        nats: list[Tensor] = []
        for first in range(0, len(seeds), _DRAWN_AT_ONCE):
            uniforms = [Uniforms(each) for each in seeds[first : first + _DRAWN_AT_ONCE]]
            some = self._drawn_together(line, config.temperature, uniforms)
            filled += some.filled
            nats.append(some.nats)
        return filled, torch.cat(nats)

    def _drawn_together(self, line: Gapped, temperature: float, uniforms: list[Uniforms]) -> _Beam:
        """A filling for each of some streams of random numbers."""
        count = len(uniforms)
        rows = self._network.rows(count)
        found = _Beam([[] for _ in uniforms], torch.zeros(count, dtype=torch.float64))
        s = self._read(rows, [self._tokenizer.newline_id] * count, fresh=True)
        inverse = torch.full((count, 1), min(1 / temperature, 1e30), device=self._device)
        for place, piece in enumerate(line.ids[: line.last + 1]):
            pieces = [piece] * count
            if piece == GAP:
                o = self._context.scores(rows, s, count, place).to(self._device)
                o = o + self._allowed.to(o)
                costs = -torch.log_softmax(o.double(), 1)
                spare = -o.shape[1] % BLOCK
                p = tempered_softmax(F.pad(o, [0, spare], value=-torch.inf), inverse)
                u = torch.tensor([each.next(1).tolist() for each in uniforms], dtype=torch.float64)
                chosen = draw(p, u.to(self._device))
                found.nats = found.nats + costs.gather(1, chosen[:, None])[:, 0].cpu()
                pieces = chosen.tolist()
                found.filled = [[*a, b] for a, b in zip(found.filled, pieces, strict=True)]
            s = self._read(rows, pieces)
        return found

    def _chosen(
        self, line: Gapped, config: InfillConfig, seed: int
    ) -> tuple[list[list[int]], Tensor]:
        """Fillings that are drawn among those of a beam, by their probabilities there."""
        beam = self._searched(line, config.beam_size)
        weights = torch.softmax(-beam.nats / config.temperature, 0).cumsum(0).cpu().numpy()
        numbers = [Uniforms(each).next(1)[0] for each in text_seeds(seed, config.num_samples)]
        places = np.searchsorted(weights[:-1], numbers, side="right")
        return [beam.filled[n] for n in places.tolist()], beam.nats.cpu()[torch.from_numpy(places)]

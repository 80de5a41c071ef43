"""A text to its answer: an encoder, a code, and a language model that is told the code."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from chargen.network.attention import Attention
from chargen.network.base import Model, ModelState
from chargen.network.dropout import Dropout
from chargen.network.encoder import Encoder
from chargen.network.model import CharModel
from chargen.network.softmax import Rows, score_targets
from chargen.options import ModelConfig


@dataclass(frozen=True)
class Encoded:
    """What is known of texts that were read.

    Attributes:
        v: the code, (B, L).
        state: of the decoder before its first step.
        memory: the encoder's outputs and what it read, (S, B, M).
        lengths: of the texts, (B,), int64.
    """

    v: Tensor
    state: ModelState
    memory: Tensor
    lengths: Tensor


class Seq2Seq(Model):
    """A network that answers: x_1 … x_S to y_1 … y_T through a code v, and by looking back.

    h_1 … h_S = encoder(x_1 … x_S),  v = h at the end of each direction,  m_i = [h_i; x_i]
    s_0 = tanh(S v),  s_t = decoder(y_{t−1}, s_{t−1}, v),  o_t = V s̃_t + c
    s̃_t = s_t, or the state and what it finds in m_1 … m_S together: see ``Attention``

    The decoder is a ``CharModel`` that has v beside its input at every step, as a text has labels.
    Each part of its state but counters starts from v as well, by a matrix S of its own. Its table
    serves the encoder too, and with ``tie_weights`` the softmax; with one-hot input the encoder has
    a table of its own, ``E``. What comes before y_1 is a newline. No s̃ is fed back to the decoder,
    so all steps of an answer that is known are computed at once. Attention finds what a character
    is, its embedding x_i, beside what the encoder makes of it; with one-hot input, m_i = h_i.

    With an ``ngram`` order, answers alone are counted, and s̃ decides the gate of the mixture.

    With ``also_reversed`` it learns to answer second texts with first ones too; a learnt vector,
    added to v, tells the decoder which way it answers. Texts of one kind are then learnt from both
    sides of the pairs, and both sides are counted.

    In both directions, each has half of the H units, so that the code is as wide as that of one.

    Shapes: S steps of the text, T of the answer, B rows, H hidden size, L the width of the code,
    H or H + 1, M = L + E that of the memory.

    Sources: Sutskever, Vinyals and Le, "Sequence to sequence learning with neural networks",
    NeurIPS 2014; the code beside every input, Cho et al., "Learning phrase representations using
    RNN encoder-decoder for statistical machine translation", EMNLP 2014; one table for all, Press
    and Wolf, 2017; one network for both directions that is told which, Johnson et al., "Google's
    multilingual neural machine translation system", TACL 5, 2017.
    """

    rows_of_pieces = ("decoder.table", "decoder.V", "decoder.c", "E")

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.begins_with_neighbours = config.tie_weights
        directions = 2 if config.bidirectional else 1
        half = replace(config, hidden_size=-(-config.hidden_size // directions))
        self.encoder = Encoder(half, config.embedding_size, bidirectional=config.bidirectional)
        width = self.encoder.outputs
        plain = replace(config, task="lm", bidirectional=False, attention="none")
        self.decoder = CharModel(replace(plain, labels=width))
        self.input_scale = self.decoder.input_scale
        self.E: nn.Parameter | None = None
        if not config.embedding_size:
            self.E = nn.Parameter(torch.empty(config.vocab_size, self.encoder.inputs))
        self.attention: Attention | None = None
        if config.attention != "none":
            size = width + config.embedding_size
            self.attention = Attention(config.attention, config.hidden_size, size)
        self.reversed: nn.Parameter | None = None
        if config.also_reversed:
            self.reversed = nn.Parameter(torch.zeros(width))
        self.starts = nn.ParameterList(
            nn.Parameter(torch.empty(part.shape[1], width))
            for cell in self.decoder.cells
            for part in cell.initial_state(1)
            if cell.carries and part.is_floating_point()
        )

    @property
    def table(self) -> Tensor:  # type: ignore[override]
        """The decoder's table, (|V|, E) or (|V|, G)."""
        return self.decoder.table

    @torch.no_grad()
    def reset_parameters(self, seed: int) -> None:
        """Initial weights, a function of ``seed`` alone."""
        self.decoder.reset_parameters(seed)
        generator = torch.Generator().manual_seed(seed + 1)
        self.encoder.reset_parameters(generator)
        if self.attention is not None:
            self.attention.reset_parameters(generator)
        if self.E is not None:
            bound = 1 / math.sqrt(self.config.hidden_size)
            self.E.uniform_(-bound, bound, generator=generator)
        if self.reversed is not None:
            self.reversed.zero_()
        for matrix in [*self.starts, self.decoder.R]:
            if matrix is not None:
                bound = 1 / math.sqrt(matrix.shape[1])
                matrix.uniform_(-bound, bound, generator=generator)

    def expect(self, counts: Tensor) -> None:
        self.decoder.expect(counts)

    def encode(
        self,
        ids: Tensor,
        lengths: Tensor,
        dropout: Dropout | None = None,
        back: Tensor | None = None,
    ) -> Encoded:
        """Read texts, ids (S, B), int64, padded at the end, of ``lengths`` (B,).

        ``back`` (B,) is 1 for a second text, which is answered with a first one, and 0 for others.
        """
        if self.E is None:
            x = F.embedding(ids, self.table) * self.decoder.input_scale
        else:
            x = F.embedding(ids, self.E)
        outputs = self.encoder(x, lengths, dropout)
        v = self.encoder.last(outputs, lengths)
        if back is not None and self.reversed is not None:
            v = v + back[:, None] * self.reversed
        memory = outputs
        if self.E is None:
            memory = torch.cat([outputs, F.embedding(ids, self.table).to(outputs.dtype)], dim=-1)
        return Encoded(v, self.initial_state_of(v), memory, lengths)

    def outputs(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Return what the encoder puts out at each character of texts: (T, B, L)."""
        return self.encode(ids, lengths).memory[..., : self.encoder.outputs]

    def last(self, y: Tensor, lengths: Tensor) -> Tensor:
        """Return the codes of texts: outputs y (T, B, L) to (B, L)."""
        return self.encoder.last(y, lengths)

    def initial_state_of(self, v: Tensor) -> ModelState:
        """The decoder's state before its first step, from codes v (B, L)."""
        starts = iter(self.starts)
        return tuple(
            tuple(
                torch.tanh(F.linear(v, next(starts))).to(part.dtype)
                if cell.carries and part.is_floating_point()
                else part
                for part in cell.initial_state(len(v))
            )
            for cell in self.decoder.cells
        )

    def decode(self, ids: Tensor, read: Encoded, dropout: Dropout | None = None) -> Tensor:
        """Compute s̃ after each piece of answers that are known: ids (T, B) to (T, B, H)."""
        s: Tensor = self.decoder(ids, read.state, dropout, read.v)[0]
        if self.attention is None:
            return s
        keys = self.attention.keys(read.memory)
        found: Tensor = self.attention(s, read.memory, keys, read.lengths)
        return found

    def looks(self, ids: Tensor, read: Encoded) -> Tensor:
        """How much each step of an answer looks at each step of its text: (T, B, S)."""
        if self.attention is None:
            raise ValueError("this network has no attention")
        s, _ = self.decoder(ids, read.state, None, read.v)
        return self.attention.weights(s, self.attention.keys(read.memory), read.lengths)

    def loss_of_answers(
        self,
        source: Tensor,
        lengths: Tensor,
        ids: Tensor,
        targets: Tensor,
        inside: Tensor | None,
        dropout: Dropout | None = None,
        counted: Tensor | None = None,
        back: Tensor | None = None,
    ) -> Tensor:
        """Mean nats a piece over whole answers.

        Args:
            source: texts, (S, B), padded at the end.
            lengths: of the texts, (B,).
            ids: what the decoder reads, (T, B), padded at the end.
            targets: what follows, (T, B).
            inside: places of what is no padding among the T·B, (N,); None: all.
            dropout: of units.
            counted: P_n of the targets, (T, B), as in ``CharModel.loss``.
            back: as in ``encode``.
        """
        s = self.decode(ids, self.encode(source, lengths, dropout, back), dropout)
        return self.decoder.loss_after(s, targets, counted, inside)

    def gate(self, s: Tensor) -> Tensor:
        """The network's share g of the mixture after rows s̃ (N, H): (N, 1)."""
        return self.decoder.gate(s)

    @contextmanager
    def calibrated(self, scale: float, offset: float) -> Iterator[None]:
        """As ``CharModel.calibrated``."""
        with self.decoder.calibrated(scale, offset):
            yield

    def score_mixed(
        self, s: Tensor, targets: Tensor, counted: Tensor, rows_of: Rows
    ) -> tuple[Tensor, Tensor, Tensor]:
        """As ``CharModel.score_mixed``, after rows s̃ (N, H)."""
        return self.decoder.score_mixed(s, targets, counted, rows_of)

    def score(self, s: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """What each target costs after rows s̃ (N, H), in nats, and whether it was likeliest."""
        features, V = self.decoder.read_out(s)
        return score_targets(features, V, self.decoder.c, targets)

    def parts(self) -> dict[str, dict[str, Tensor]]:
        """Return the parameters of each part by their names in the equations."""
        decoder = self.decoder.parts()
        parts = {"table": decoder.pop("table")}
        if self.E is not None:
            parts["encoder table"] = {"E": self.E}
        parts |= {f"encoder {name}": part for name, part in self.encoder.parts().items()}
        code: dict[str, Tensor] = {f"S{n}": matrix for n, matrix in enumerate(self.starts)}
        if self.reversed is not None:
            code["reversed"] = self.reversed
        parts["code"] = {**decoder.pop("labels"), **code}
        output = decoder.pop("output")
        parts |= {f"decoder {name}": part for name, part in decoder.items()}
        if self.attention is not None:
            parts["attention"] = dict(self.attention.named_parameters())
        return {**parts, "output": output}

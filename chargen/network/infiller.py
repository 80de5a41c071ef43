"""A text read from both ends, which tells each character from all the others."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from chargen.network.base import PieceModel
from chargen.network.dropout import Dropout
from chargen.network.encoder import Encoder, reorder, turned
from chargen.network.model import CharModel
from chargen.network.softmax import softmax_loss
from chargen.options import ModelConfig


class Infiller(PieceModel):
    """Two stacks of cells that read towards each other, and predict where they meet.

    s→_t = cells(x_t, s→_{t−1}),  s←_t = cells(x_t, s←_{t+1}),
    o_t = V [s→_{t−1}; s←_{t+1}] + c,  p(x_t | all others) = softmax(o_t)

    Neither state has read x_t, so one pass predicts every character of a text. Each direction has
    all its layers to itself: cells above that read both would have seen x_t.

    Where several characters are missing, s← reads m, a learnt vector, in place of each that isn't
    known yet, while s→ reads what has been filled in. So a gap x_a … x_b has the joint probability

    p(x_a … x_b | others) = Π_t p(x_t | x_1 … x_{t−1}, m for x_{t+1} … x_b, x_{b+1} … x_n),

    a product of what training teaches: there, spans of the text are hidden from s← alone.

    Letters in shapes: n characters of the longest text, B rows, |V| pieces, E embedding size,
    H hidden size, G gates · H. A text is framed, (n + 2, B): a piece before it, x_1 … x_n, and a
    piece after it; rows are padded at the end.

    With ``tie_weights`` V = table·P, where P (E, 2H), as in ``CharModel``. With ``embedding_size``
    0 the table (|V|, 2G) has the columns of both directions' U, and m is (G,), else (E,).

    Sources: for two directions, Schuster and Paliwal, "Bidirectional recurrent neural networks",
    1997; for predicting between them, Mousa and Schuller, "Contextual bidirectional long
    short-term memory recurrent neural network language models", EACL 2017.
    """

    rows_of_pieces = ("table", "V", "c")

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        size, width = config.vocab_size, config.embedding_size
        self.ahead = Encoder(config, width, bidirectional=False)
        self.back = Encoder(config, width, bidirectional=False)
        self.V: nn.Parameter | None = None
        self.P: nn.Parameter | None = None
        self.input_scale = 1.0
        if config.tie_weights:
            self.P = nn.Parameter(torch.empty(width, 2 * config.hidden_size))
            self.input_scale = math.sqrt(width)
        else:
            self.V = nn.Parameter(torch.empty(size, 2 * config.hidden_size))
        self.c = nn.Parameter(torch.empty(size)) if config.bias else None
        self.m = nn.Parameter(torch.empty(width or self.back.inputs))
        self.table = nn.Parameter(torch.empty(size, width or 2 * self.back.inputs))
        self.begins_with_neighbours = config.tie_weights

    @torch.no_grad()
    def reset_parameters(self, seed: int) -> None:
        """Initial weights, a function of ``seed`` alone."""
        generator = torch.Generator().manual_seed(seed)
        self._draw_table(generator)
        self.ahead.reset_parameters(generator)
        self.back.reset_parameters(generator)
        self._draw_output(1 / math.sqrt(2 * self.config.hidden_size), generator)
        self.m.zero_()
        if self.c is not None:
            self.c.zero_()

    def forward(
        self,
        framed: Tensor,
        lengths: Tensor,
        hidden: Tensor | None = None,
        dropout: Dropout | None = None,
    ) -> Tensor:
        """Read texts from both ends.

        Args:
            framed: ids, (n + 2, B), int64.
            lengths: characters of each text without the frame, (B,), int64.
            hidden: which pieces are hidden from s←, (n + 2, B), bool; None: none.
            dropout: of units.

        Returns:
            [s→_{t−1}; s←_{t+1}] for t = 1 … n, (n, B, 2H); zeros beyond a row's length.
        """
        later = None if hidden is None else hidden[2:]
        ahead = self.read_ahead(framed[:-2], lengths, dropout)
        return torch.cat([ahead, self.read_back(framed[2:], lengths, later, dropout)], dim=-1)

    def outputs(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Return [s→_t; s←_t], what is known after each character from both sides: (T, B, 2H)."""
        return torch.cat([self.read_ahead(ids, lengths), self.read_back(ids, lengths)], dim=-1)

    def last(self, y: Tensor, lengths: Tensor) -> Tensor:
        """Return what each direction knows at its end: outputs y (T, B, 2H) to (B, 2H)."""
        H = self.config.hidden_size
        return torch.cat([super().last(y, lengths)[:, :H], y[0, :, H:]], dim=-1)

    def read_ahead(self, ids: Tensor, lengths: Tensor, dropout: Dropout | None = None) -> Tensor:
        """What is known after each of the pieces (n, B), from the left: (n, B, H)."""
        x = F.embedding(ids, self._tables()[0]) * self.input_scale
        return self.ahead.forward(x, lengths, dropout)

    def read_back(
        self,
        ids: Tensor,
        lengths: Tensor,
        hidden: Tensor | None = None,
        dropout: Dropout | None = None,
    ) -> Tensor:
        """What is known after each of the pieces (n, B), from the right: (n, B, H).

        Of those that are ``hidden`` (n, B) only their number is known.
        """
        y = F.embedding(ids, self._tables()[1])
        if hidden is not None:
            y = torch.where(hidden[..., None], self.m, y)
        order = turned(lengths, len(ids))
        y = reorder(y * self.input_scale, order)
        return reorder(self.back(y, lengths, dropout), order)

    def _tables(self) -> tuple[Tensor, Tensor]:
        """The rows of characters that each direction reads."""
        if self.config.embedding_size:
            return self.table, self.table
        ahead, back = self.table.chunk(2, dim=1)
        return ahead, back

    def loss_of_gaps(
        self,
        framed: Tensor,
        lengths: Tensor,
        inside: Tensor | None,
        hidden: Tensor | None = None,
        dropout: Dropout | None = None,
    ) -> Tensor:
        """Mean nats of each piece of the texts, given the others.

        Args:
            framed: as in ``forward``.
            lengths: as in ``forward``.
            inside: places of what is no padding among the n·B, (N,); None: all.
            hidden: as in ``forward``.
            dropout: of units.
        """
        s = self(framed, lengths, hidden, dropout).flatten(0, 1)
        targets = framed[1:-1].flatten()
        if inside is not None:
            s, targets = s[inside], targets[inside]
        features, V = self.read_out(s)
        return softmax_loss(features, V, self.c, targets)

    def logits(self, s: Tensor) -> Tensor:
        """The logits o = V s + c: (…, 2H) to (…, |V|)."""
        features, V = self.read_out(s)
        return F.linear(features, V, self.c)

    @torch.no_grad()
    def ahead_alone(self) -> CharModel:
        """The forward half as a language model, whose logits are V→ s→ + c: a copy."""
        config = replace(self.config, task="lm", bidirectional=False)
        half = CharModel(config).to(self.table)
        H = config.hidden_size
        half.table.copy_(self._tables()[0])
        for mine, its in zip(self.ahead.cells, half.cells, strict=True):
            its.load_state_dict(mine[0].state_dict())
        for whole, part in ((self.V, half.V), (self.P, half.P)):
            if whole is not None and part is not None:
                part.copy_(whole[:, :H])
        if self.c is not None and half.c is not None:
            half.c.copy_(self.c)
        return half

    def back_matrix(self) -> Tensor:
        """V←, what s← is multiplied by on its way to the logits: (|V|, H)."""
        H = self.config.hidden_size
        if self.V is not None:
            return self.V[:, H:]
        assert self.P is not None
        return self.table @ self.P[:, H:]

    def parts(self) -> dict[str, dict[str, Tensor]]:
        """Return the parameters of each part by their names in the equations."""
        entry = "embedding" if self.config.embedding_size else "Uᵀ"
        parts: dict[str, dict[str, Tensor]] = {"table": {entry: self.table, "m": self.m}}
        for name, half in (("forward", self.ahead), ("backward", self.back)):
            for n, layer in enumerate(half.cells):
                parts[f"{name} {n}"] = dict(layer[0].named_parameters())
        output = {"V": self.V, "P": self.P, "c": self.c}
        parts["output"] = {name: p for name, p in output.items() if p is not None}
        return parts

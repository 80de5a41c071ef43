"""One-hot characters to a stack of cells to a softmax: the network as a whole."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from chargen.cells import build_cell
from chargen.cells.base import Cell
from chargen.cells.jordan import Output
from chargen.machine.precision import no_autocast
from chargen.network.base import ModelState, PieceModel
from chargen.network.dropout import Dropout
from chargen.network.softmax import Rows, score_mixed, softmax_loss
from chargen.options import ModelConfig


class CharModel(PieceModel):
    """A character-level language model: x_t to s_t to o_t = V s_t + c, which predicts x_{t+1}.

    Shapes: T time steps, B rows, |V| pieces, E embedding size, G gates · H.

    ``table`` has a row a character: its embedding (|V|, E), or, with ``embedding_size`` 0, its
    column of the first layer's U, (|V|, G), which is what U times a one-hot vector picks.

    With ``tie_weights`` the table serves as V too, o_t = table·P s_t + c, where P (E, H) leads
    back to the size of an embedding; the input is then multiplied by √E. A character's row learns
    from where it stands and from where it is predicted, and the softmax costs E instead of H:
    Press and Wolf, "Using the output embedding to improve language models", EACL 2017.

    With an ``ngram`` order the distribution is a mixture of the network and of counting,
    p(x) = g · softmax(o_t)(x) + (1 − g) · P_n(x). The network learns its share at each position:
    the gate g = σ(w·s_t + b). The counts are not part of this module; what they say is passed in.

    With ``labels`` a vector v (L,) stands beside the input of a text at every step,
    h_t = f(U x_t + W h_{t−1} + R v + b) in the first layer. With an embedding R = U·R', and R' v is
    added to the embedding, so that the product with U serves both; ``R`` is R', (E, L), or, with
    one-hot input, R itself, (G, L).
    """

    rows_of_pieces = ("table", "V", "c")
    rows_of_labels = ("R",)

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.begins_with_neighbours = config.tie_weights
        self.V: nn.Parameter | None = None
        self.P: nn.Parameter | None = None
        self.input_scale = 1.0
        if config.tie_weights:
            self.P = nn.Parameter(torch.empty(config.embedding_size, config.hidden_size))
            self.input_scale = math.sqrt(config.embedding_size)
        else:
            self.V = nn.Parameter(torch.empty(config.vocab_size, config.hidden_size))
        self.c = nn.Parameter(torch.empty(config.vocab_size)) if config.bias else None
        self.w: nn.Parameter | None = None
        self.b: nn.Parameter | None = None
        if config.ngram_order:
            self.w = nn.Parameter(torch.empty(config.hidden_size))
            self.b = nn.Parameter(torch.empty(1))
        layers = [
            build_cell(
                name,
                config.hidden_size if n else config.embedding_size,
                config.hidden_size,
                bias=config.bias,
                output=None if self.V is None else Output(self.V, self.c),
                **config.options_of(name),
            )
            for n, name in enumerate(config.layer_cells())
        ]
        self.layers = nn.ModuleList(layers)
        width = config.embedding_size or layers[0].gates * config.hidden_size
        self.table = nn.Parameter(torch.empty(config.vocab_size, width))
        self.R: nn.Parameter | None = None
        if config.labels:
            self.R = nn.Parameter(torch.empty(width, config.labels))

    @property
    def cells(self) -> list[Cell]:
        """The layers, bottom first."""
        return [layer for layer in self.layers if isinstance(layer, Cell)]

    @torch.no_grad()
    def reset_parameters(self, seed: int) -> None:
        """Initial weights, a function of ``seed`` alone."""
        generator = torch.Generator().manual_seed(seed)
        self._draw_table(generator)
        for cell in self.cells:
            cell.reset_parameters(generator)
        self._draw_output(1 / math.sqrt(self.config.hidden_size), generator)
        for parameter in (self.c, self.w, self.b, self.R):
            if parameter is not None:
                parameter.zero_()

    def initial_state(self, batch: int) -> ModelState:
        """The state before the first character, for ``batch`` rows."""
        return tuple(cell.initial_state(batch) for cell in self.cells)

    def forward(
        self,
        ids: Tensor,
        state: ModelState,
        dropout: Dropout | None = None,
        v: Tensor | None = None,
    ) -> tuple[Tensor, ModelState]:
        """Read a window: ids (T, B), int64, to the last layer's outputs (T, B, H) and a state.

        ``v`` (B, L) are the labels of the rows.
        """
        x = F.embedding(ids, self.table) * self.input_scale
        if dropout is not None and self.config.embedding_size:
            x = dropout(x)
        if v is not None and self.R is not None:
            x = x + F.linear(v, self.R)
        after = []
        for n, (cell, before) in enumerate(zip(self.cells, state, strict=True)):
            if dropout is not None and n:
                x = dropout(x)
            x, cell_state = cell(x, before)
            after.append(cell_state)
        if dropout is not None:
            x = dropout(x)
        return x, tuple(after)

    def outputs(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Return the last layer's outputs at each character of texts, (T, B) to (T, B, H)."""
        y: Tensor
        y, _ = self(ids, self.initial_state(len(lengths)))
        return y

    def loss(
        self,
        ids: Tensor,
        targets: Tensor,
        state: ModelState,
        dropout: Dropout | None = None,
        counted: Tensor | None = None,
    ) -> tuple[Tensor, ModelState]:
        """Mean nats a piece over a window, ids and targets (T, B), and the state after it.

        With ``counted`` (T, B), P_n of the targets, that is half −log of the mixture and half −log
        of the network: by the mixture's alone the gate closes before the network has learnt.
        """
        s, state = self(ids, state, dropout)
        return self.loss_after(s, targets, counted), state

    def loss_of_texts(
        self,
        ids: Tensor,
        targets: Tensor,
        inside: Tensor | None,
        v: Tensor | None = None,
        dropout: Dropout | None = None,
        counted: Tensor | None = None,
    ) -> Tensor:
        """Mean nats a piece over whole texts, ids and targets (T, B).

        Args:
            ids: what is read, padded at the end.
            targets: what follows.
            inside: places of what is no padding among the T·B, (N,); None: all.
            v: labels, (B, L).
            dropout: of units.
            counted: as in ``loss``.
        """
        s, _ = self(ids, self.initial_state(ids.shape[1]), dropout, v)
        return self.loss_after(s, targets, counted, inside)

    def loss_after(
        self,
        s: Tensor,
        targets: Tensor,
        counted: Tensor | None = None,
        inside: Tensor | None = None,
    ) -> Tensor:
        """Mean nats a piece of targets (T, B) after outputs s (T, B, H); else as in ``loss``."""
        s, targets = s.flatten(0, 1), targets.flatten()
        p = None if counted is None else counted.reshape(-1, 1)
        if inside is not None:
            s, targets = s[inside], targets[inside]
            p = None if p is None else p[inside]
        features, V = self.read_out(s)
        if p is None:
            return softmax_loss(features, V, self.c, targets)
        return softmax_loss(features, V, self.c, targets, self.gate(s), p.to(V.dtype))

    def gate(self, s: Tensor) -> Tensor:
        """The network's share g of the mixture after rows s (N, H): (N, 1)."""
        assert self.w is not None
        assert self.b is not None
        with no_autocast(s):
            return torch.sigmoid(torch.mv(s.to(self.w.dtype), self.w) + self.b)[:, None]

    @contextmanager
    def calibrated(self, scale: float, offset: float) -> Iterator[None]:
        """A block in which the gate is σ(scale · (w·s + b) + offset); after it, as before."""
        if self.w is None or self.b is None:
            yield
            return
        before = self.w.detach().clone(), self.b.detach().clone()
        with torch.no_grad():
            self.w.mul_(scale)
            self.b.mul_(scale).add_(offset)
        try:
            yield
        finally:
            with torch.no_grad():
                self.w.copy_(before[0])
                self.b.copy_(before[1])

    def score_mixed(
        self, s: Tensor, targets: Tensor, counted: Tensor, rows_of: Rows
    ) -> tuple[Tensor, Tensor, Tensor]:
        """As ``score``, under the mixture; see ``chargen.network.softmax.score_mixed``."""
        features, V = self.read_out(s)
        gate, p = self.gate(s), counted[:, None].to(V.dtype)
        return score_mixed(features, V, self.c, targets, gate, p, rows_of)

    def logits(self, s: Tensor) -> Tensor:
        """The logits o = V s + c: (…, H) to (…, |V|)."""
        return F.linear(s, self.output_matrix(), self.c)

    def output_matrix(self) -> Tensor:
        """V, or table·P where weights are tied: (|V|, H)."""
        if self.V is not None:
            return self.V
        assert self.P is not None
        return self.table @ self.P

    def input_table(self) -> Tensor:
        """U·x + b of the first layer for each character, (|V|, G): sampling looks it up."""
        return self.cells[0].project(self.table * self.input_scale)

    @torch.no_grad()
    def input_of_labels(self, v: Tensor) -> Tensor:
        """R·v (G,) of labels v (L,), which is added to a text's rows of ``input_table``."""
        assert self.R is not None
        R_v, U = torch.mv(self.R, v), self.cells[0].U
        return R_v if U is None else torch.mv(U, R_v)

    def step(self, u: Tensor, state: ModelState) -> tuple[Tensor, ModelState]:
        """One time step from rows u (B, G) of ``input_table``: outputs (B, H) and a state."""
        after = []
        s = u
        for n, (cell, before) in enumerate(zip(self.cells, state, strict=True)):
            s, cell_state = cell.step(cell.project(s) if n else u, before)
            after.append(cell_state)
        return s, tuple(after)

    def parts(self) -> dict[str, dict[str, Tensor]]:
        """Return the parameters of each part by their names in the equations.

        The parts are the table, every layer, the output, and the gate where there is one. With
        one-hot input the table is the first layer's U, transposed.
        """
        entry = "embedding" if self.config.embedding_size else "Uᵀ"
        parts: dict[str, dict[str, Tensor]] = {"table": {entry: self.table}}
        if self.R is not None:
            parts["labels"] = {"R": self.R}
        for n, cell in enumerate(self.cells):
            parts[f"layer {n}"] = dict(cell.named_parameters())
        output = {"V": self.V, "P": self.P, "c": self.c}
        parts["output"] = {name: p for name, p in output.items() if p is not None}
        if self.w is not None and self.b is not None:
            parts["gate"] = {"w": self.w, "b": self.b}
        return parts

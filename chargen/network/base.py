"""What the networks of all tasks have in common."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from chargen.cells.base import State
from chargen.network.softmax import score_targets
from chargen.options import ModelConfig

ModelState = tuple[State, ...]
"""One cell's state a layer; every tensor in it has the batch as its first dimension."""


def map_state(state: ModelState, function: Callable[[Tensor], Tensor]) -> ModelState:
    """``function`` of every tensor in ``state``, in the same structure."""
    return tuple(tuple(function(tensor) for tensor in layer) for layer in state)


class Model(nn.Module):
    """A network, one of the shapes in ``chargen.network.shapes``.

    Attributes:
        config: its options.
        table: with a row a character, (|V|, E) or more.
        input_scale: that the rows of the table are multiplied by when they are read.
        begins_with_neighbours: whether its rows begin at vectors of the pieces' neighbours.
        rows_of_pieces, rows_of_labels: names of the parameters with a row, or a column, each.
        sparse_parameters: names of linear weights of which a text has few; see ``Recipe``.
    """

    config: ModelConfig
    table: Tensor
    input_scale: float
    begins_with_neighbours: bool
    rows_of_pieces: tuple[str, ...] = ("table",)
    rows_of_labels: tuple[str, ...] = ()
    sparse_parameters: tuple[str, ...] = ()

    def reset_parameters(self, seed: int) -> None:
        """Set initial weights, a function of ``seed`` alone."""
        raise NotImplementedError

    def expect(self, counts: Tensor) -> None:
        """Let the biases of the output stand for the frequencies of pieces, counted (|V|,) times.

        A network whose output isn't pieces ignores them.
        """

    def _draw_table(self, generator: torch.Generator) -> None:
        """Draw the table: embeddings that are read as vectors of length √E, or columns of U."""
        if self.config.embedding_size:
            self.table.normal_(0, 1 / self.input_scale, generator=generator)
        else:
            bound = 1 / math.sqrt(self.config.hidden_size)
            self.table.uniform_(-bound, bound, generator=generator)

    def drop_counts(self) -> None:
        """Go on without what was counted, if that is a part of this module."""

    @contextmanager
    def calibrated(self, scale: float, offset: float) -> Iterator[None]:
        """A block in which the network is as sure as suits a text that wasn't learnt from.

        A gate is σ(scale · (w·s + b) + offset) there, and the logits of a classifier are times
        ``scale``; other networks are as they were.
        """
        del scale, offset
        yield

    def given_by(self, source: Model) -> dict[str, Tensor]:
        """Return the weights of another network by the names that they have in this one."""
        return source.state_dict()

    def outputs(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Return what the network knows at each character of texts.

        Args:
            ids: of the texts, a newline first, (T, B), padded at the end.
            lengths: of the texts, (B,).

        Returns:
            Outputs (T, B, N); those beyond a text's end are of no account.
        """
        raise NotImplementedError

    def last(self, y: Tensor, lengths: Tensor) -> Tensor:
        """Return what is known at the end of texts: outputs y (T, B, N) to (B, N)."""
        at = (lengths - 1)[None, :, None].expand(1, -1, y.shape[-1])
        return y.gather(0, at)[0]

    def pooled(self, y: Tensor, lengths: Tensor) -> Tensor:
        """Return the vectors by which the network itself goes: outputs y (T, B, N) to (B, M)."""
        return self.last(y, lengths)

    def initial_state(self, batch: int) -> ModelState:
        """The state that the first lesson starts from; empty where none is carried."""
        del batch
        return ()

    def parts(self) -> dict[str, dict[str, Tensor]]:
        """Return the parameters of each part by their names in the equations."""
        raise NotImplementedError

    def parameters_by_part(self) -> dict[str, int]:
        """Return how many numbers each part has."""
        return {name: sum(p.numel() for p in part.values()) for name, part in self.parts().items()}


class PieceModel(Model):
    """A network whose output is a softmax over pieces, o = V s + c.

    Attributes:
        V: output weights, (|V|, N) for states of N numbers; None where the table serves as V.
        P: what leads from a state to the size of the table's rows, (E, N), where it does.
        c: output biases, (|V|,), or None.
    """

    V: nn.Parameter | None
    P: nn.Parameter | None
    c: nn.Parameter | None

    def _draw_output(self, spread: float, generator: torch.Generator) -> None:
        """Draw V up to ``spread`` in size, or P with that deviation."""
        if self.V is not None:
            self.V.uniform_(-spread, spread, generator=generator)
        if self.P is not None:
            self.P.normal_(0, spread, generator=generator)

    @torch.no_grad()
    def expect(self, counts: Tensor) -> None:
        """Let the biases c stand for the frequencies of pieces counted (|V|,) times.

        With o = c the softmax gives (n + 1) / Σ (n + 1); without biases nothing happens.
        """
        if self.c is not None:
            self.c.copy_(((counts + 1) / (counts + 1).sum()).log())

    def read_out(self, s: Tensor) -> tuple[Tensor, Tensor]:
        """What the softmax multiplies: rows s (B, N), or P·s (B, E), and V."""
        if self.V is not None:
            return s, self.V
        assert self.P is not None
        return F.linear(s, self.P), self.table

    def score(self, s: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """What each target costs after rows s (B, N), in nats, and whether it was likeliest."""
        features, V = self.read_out(s)
        return score_targets(features, V, self.c, targets)

"""What the networks of all tasks have in common."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from chargen.cells.base import State
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
    """

    config: ModelConfig
    table: Tensor
    input_scale: float
    begins_with_neighbours: bool
    rows_of_pieces: tuple[str, ...] = ("table",)
    rows_of_labels: tuple[str, ...] = ()

    def reset_parameters(self, seed: int) -> None:
        """Set initial weights, a function of ``seed`` alone."""
        raise NotImplementedError

    def expect(self, counts: Tensor) -> None:
        """Let the biases of the output stand for the frequencies of pieces, counted (|V|,) times.

        A network whose output isn't pieces ignores them.
        """

    def drop_counts(self) -> None:
        """Go on without what was counted, if that is a part of this module."""

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

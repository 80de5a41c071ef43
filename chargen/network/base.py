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
    """

    config: ModelConfig
    table: Tensor

    def reset_parameters(self, seed: int) -> None:
        """Set initial weights, a function of ``seed`` alone."""
        raise NotImplementedError

    def expect(self, counts: Tensor) -> None:
        """Let the biases of the output stand for the frequencies of pieces, counted (|V|,) times.

        A network whose output isn't pieces ignores them.
        """

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

"""f of the simple recurrences, and what going backwards needs of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from chargen.cells.unrolled import relu_backward, sigmoid_backward, tanh_backward


@dataclass(frozen=True)
class Activation:
    """A function f of one number whose slope follows from its value.

    Attributes:
        function: a to f(a).
        in_place: the same, a overwritten.
        backward: (∂L/∂s, s, out) with s = f(a): writes ∂L/∂s · f′(a) into out.
        slope: s to f′(a), as a share of f's steepest slope.
    """

    function: Callable[[Tensor], Tensor]
    in_place: Callable[[Tensor], Tensor]
    backward: Callable[[Tensor, Tensor, Tensor], Tensor]
    slope: Callable[[Tensor], Tensor]


ACTIVATIONS: Mapping[str, Activation] = MappingProxyType(
    {
        "tanh": Activation(torch.tanh, torch.tanh_, tanh_backward, lambda s: 1 - s * s),
        "sigmoid": Activation(
            torch.sigmoid, torch.sigmoid_, sigmoid_backward, lambda s: 4 * s * (1 - s)
        ),
        "relu": Activation(torch.relu, torch.relu_, relu_backward, lambda s: (s > 0).to(s)),
    }
)

"""The non-linearities f of the simple cells."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor


@dataclass(frozen=True)
class Activation:
    """A function f whose slope follows from its value.

    Attributes:
        function: from a to f(a), elementwise.
        slope: from f(a) to f′(a), as a share of the steepest slope of f.
        steepest: that slope.
    """

    function: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor], Tensor]
    steepest: float = 1.0


ACTIVATIONS: Mapping[str, Activation] = MappingProxyType(
    {
        "tanh": Activation(torch.tanh, lambda s: 1 - s * s),
        "sigmoid": Activation(torch.sigmoid, lambda s: 4 * s * (1 - s), steepest=0.25),
        "relu": Activation(torch.relu, lambda s: (s > 0).to(s)),
    }
)

"""The non-linearities of ``chargen.cells.activations``, in place and backwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from chargen.cells.fast.unrolled import relu_backward, sigmoid_backward, tanh_backward


@dataclass(frozen=True)
class FastActivation:
    """How a hand-written pass through time computes f.

    Attributes:
        in_place: overwrites a with f(a).
        backward: takes ∂L/∂s, s = f(a) and out; writes ∂L/∂a into out.
    """

    in_place: Callable[[Tensor], Tensor]
    backward: Callable[[Tensor, Tensor, Tensor], Tensor]


FAST_ACTIVATIONS: Mapping[str, FastActivation] = MappingProxyType(
    {
        "tanh": FastActivation(torch.tanh_, tanh_backward),
        "sigmoid": FastActivation(torch.sigmoid_, sigmoid_backward),
        "relu": FastActivation(torch.relu_, relu_backward),
    }
)

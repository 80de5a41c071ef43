"""Torch's functions for a whole recurrent layer, computed by oneDNN on CPUs and cuDNN on GPUs."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from chargen.cells.base import RecurrentCell, State
from chargen.machine.precision import kernel_dtype, no_autocast


def run_kernel(
    kernel: Callable[..., Any],
    cell: RecurrentCell,
    x: Tensor,
    state: State,
    recurrent_bias: Tensor | None = None,
) -> tuple[Tensor, State]:
    """Make T time steps as ``cell.forward`` does, with one of torch's functions.

    The casts are explicit because autocast on CUDA would turn everything into float16, whatever
    format was asked for.

    Args:
        kernel: the function: ``torch.lstm``, ``torch.gru``, ``torch.rnn_tanh``, ``torch.rnn_relu``.
        cell: where the weights are; it has a U.
        x: inputs, (T, B, I).
        state: the state before, of one tensor or two.
        recurrent_bias: added to the product with W, (G,); None for zeros.
    """
    if cell.U is None:
        raise ValueError("torch's kernels have no one-hot input")
    weights: list[Tensor] = [cell.U, cell.W]
    if cell.b is not None:
        zeros = torch.zeros_like(cell.b)
        weights += [cell.b, zeros if recurrent_bias is None else recurrent_bias]
    dtype = kernel_dtype(x, cell.W.dtype)
    with no_autocast(x), _without_packing_warning(x):
        before = tuple(tensor[None].to(dtype) for tensor in state)
        outputs, *after = kernel(
            x.to(dtype),
            before if len(before) > 1 else before[0],
            [weight.to(dtype) for weight in weights],
            *(cell.b is not None, 1, 0.0, cell.training, False, False),
        )
    pairs = zip(after, state, strict=True)
    return outputs, tuple(new[0].to(old.dtype) for new, old in pairs)


@contextlib.contextmanager
def _without_packing_warning(x: Tensor) -> Iterator[None]:
    """Silence cuDNN's warning that it packs the weights at every call.

    Checkpoints and optimisers need parameters that lie in memory one by one, and one copy is
    cheap compared to a window of many steps.
    """
    if not x.is_cuda:
        yield
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="RNN module weights are not part of single")
        yield

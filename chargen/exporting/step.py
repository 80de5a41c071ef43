"""One step of a language model with explicit state, as operations."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from chargen.exporting.tracing import Traced, trace
from chargen.network.base import ModelState
from chargen.network.model import CharModel

SURE = 15.0
"""Bound of the gate's logit, as in ``chargen.generation.mixture``."""
_ROWS = 3


def traced_step(model: CharModel, *, gate: bool = True) -> Traced:
    """The step from a piece and a state to logits and the next state.

    Inputs: ``ids`` (B,) int64; ``state.LAYER.N`` (B, …) as ``CharModel.initial_state`` has them;
    with labels, ``labels`` (B, L). Outputs: ``logits`` (B, |V|); with counts ``gate`` (B, 1), the
    network's share of the mixture; ``next.LAYER.N``, which the following step is given. Zeros are
    the state before a text, whose first piece is the newline.

    Args:
        model: on the CPU, in float32.
        gate: False: without the gate, even if the model has one.
    """
    state = model.initial_state(_ROWS)
    inputs = {"ids": torch.zeros(_ROWS, dtype=torch.int64)}
    inputs |= {f"state.{name}": tensor for name, tensor in _flat(state).items()}
    if model.R is not None:
        inputs["labels"] = model.table.new_zeros(_ROWS, model.R.shape[1])

    def step(given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        before = tuple(
            tuple(given[f"state.{n}.{m}"] for m in range(len(layer)))
            for n, layer in enumerate(state)
        )
        s, after = model.step(_input(model, given), before)
        outputs = {"logits": _logits(model, s)}
        if gate and model.w is not None and model.b is not None:
            logit = F.linear(s, model.w[None], model.b)
            outputs["gate"] = torch.sigmoid(logit.clamp(-SURE, SURE))
        return outputs | {f"next.{name}": tensor for name, tensor in _flat(after).items()}

    return trace(step, inputs, dict(model.named_parameters()))


def _input(model: CharModel, given: Mapping[str, Tensor]) -> Tensor:
    """U·x + b of the first layer.

    Unlike the engine's table it isn't multiplied out, which would be some times as large a file.
    """
    x = F.embedding(given["ids"], model.table)
    if model.input_scale != 1:
        x = x * model.input_scale
    if model.R is not None:
        x = x + F.linear(given["labels"], model.R)
    return model.cells[0].project(x)


def _logits(model: CharModel, s: Tensor) -> Tensor:
    if model.V is not None:
        return F.linear(s, model.V, model.c)
    assert model.P is not None
    return F.linear(F.linear(s, model.P), model.table, model.c)


def _flat(state: ModelState) -> dict[str, Tensor]:
    return {f"{n}.{m}": tensor for n, layer in enumerate(state) for m, tensor in enumerate(layer)}

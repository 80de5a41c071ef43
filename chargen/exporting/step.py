"""One step of a language model or a decoder with explicit state, as operations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional as F

from chargen.exporting.tracing import Traced, trace
from chargen.network.attention import FARTHEST, Attention
from chargen.network.base import ModelState
from chargen.network.model import CharModel
from chargen.network.seq2seq import Seq2Seq

SURE = 15.0
"""Bound of the gate's logit, as in ``chargen.generation.mixture``."""
_ROWS, _READ = 3, 5
_VARYING = frozenset({"memory", "keys", "mask", "state.distance", "next.distance"})


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
    inputs = _inputs(model)
    if model.R is not None:
        inputs["labels"] = model.table.new_zeros(_ROWS, model.R.shape[1])

    def step(given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        s, after = _stepped(model, given, given.get("labels"))
        return _outputs(model, s, gate=gate) | after

    return trace(step, inputs, dict(model.named_parameters()))


def traced_answer(model: Seq2Seq, *, gate: bool = True) -> Traced:
    """The step of a decoder, as ``traced_step``, from the end of what an encoder has read.

    Inputs besides: ``code`` (B, L), and with attention, for S characters that were read, ``memory``
    (B, S, M), ``keys`` (B, S, H), ``mask`` (B, S), which is added to how much each is looked at,
    and ``state.distance`` (B, S) int64, i − t. ``next.distance`` is an output.
    """
    decoder, look = model.decoder, model.attention
    inputs = _inputs(decoder)
    inputs["code"] = model.table.new_zeros(_ROWS, model.encoder.outputs)
    if look is not None:
        M = look.W_c.shape[1] - len(look.W_c)
        inputs["memory"] = model.table.new_zeros(_ROWS, _READ, M)
        inputs["keys"] = model.table.new_zeros(
            _ROWS, _READ, len(look.W if look.U is None else look.U)
        )
        inputs["mask"] = model.table.new_zeros(_ROWS, _READ)
        inputs["state.distance"] = torch.zeros(_ROWS, _READ, dtype=torch.int64)

    def step(given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        s, after = _stepped(decoder, given, given["code"])
        if look is not None:
            s = _looked(look, s, given)
            after["next.distance"] = given["state.distance"] - 1
        return _outputs(decoder, s, gate=gate) | after

    traced = trace(step, inputs, dict(model.named_parameters()))
    return replace(traced, varying=_VARYING)


def _looked(look: Attention, s: Tensor, given: Mapping[str, Tensor]) -> Tensor:
    """s̃ = tanh(W_c [c; s]) as ``Attention`` has it, of one step for each row."""
    if look.a is None:
        energy = (given["keys"] * s.unsqueeze(1)).sum(-1)
    else:
        z = torch.tanh(given["keys"] + F.linear(s, look.W).unsqueeze(1))
        energy = (z * look.a).sum(-1)
    distance = given["state.distance"].clamp(-FARTHEST, FARTHEST) + FARTHEST
    a = torch.softmax(energy + look.d[distance] + given["mask"], -1)
    c = (a.unsqueeze(-1) * given["memory"]).sum(1)
    return torch.tanh(F.linear(torch.cat([c, s], -1), look.W_c))


def _inputs(model: CharModel) -> dict[str, Tensor]:
    """Examples of what every step is given."""
    inputs = {"ids": torch.zeros(_ROWS, dtype=torch.int64)}
    return inputs | {f"state.{n}": each for n, each in _flat(model.initial_state(_ROWS)).items()}


def _stepped(
    model: CharModel, given: Mapping[str, Tensor], labels: Tensor | None
) -> tuple[Tensor, dict[str, Tensor]]:
    """The last layer's outputs, and the states afterwards by name."""
    state = model.initial_state(_ROWS)
    before = tuple(
        tuple(given[f"state.{n}.{m}"] for m in range(len(layer))) for n, layer in enumerate(state)
    )
    s, after = model.step(_input(model, given["ids"], labels), before)
    return s, {f"next.{name}": tensor for name, tensor in _flat(after).items()}


def _outputs(model: CharModel, s: Tensor, *, gate: bool) -> dict[str, Tensor]:
    """Logits, and the gate where it is wanted and there is one."""
    outputs = {"logits": _logits(model, s)}
    if gate and model.w is not None and model.b is not None:
        logit = F.linear(s, model.w[None], model.b)
        outputs["gate"] = torch.sigmoid(logit.clamp(-SURE, SURE))
    return outputs


def _input(model: CharModel, ids: Tensor, labels: Tensor | None) -> Tensor:
    """U·x + b of the first layer.

    Unlike the engine's table it isn't multiplied out, which would be some times as large a file.
    """
    x = F.embedding(ids, model.table)
    if model.input_scale != 1:
        x = x * model.input_scale
    if labels is not None and model.R is not None:
        x = x + F.linear(labels, model.R)
    return model.cells[0].project(x)


def _logits(model: CharModel, s: Tensor) -> Tensor:
    if model.V is not None:
        return F.linear(s, model.V, model.c)
    assert model.P is not None
    return F.linear(F.linear(s, model.P), model.table, model.c)


def _flat(state: ModelState) -> dict[str, Tensor]:
    return {f"{n}.{m}": tensor for n, layer in enumerate(state) for m, tensor in enumerate(layer)}

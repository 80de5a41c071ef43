"""The gradient of a window, in parts where the whole batch doesn't fit into memory."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor

from chargen.network.model import CharModel, Dropout, ModelState, map_state


def accumulate_gradient(
    model: CharModel,
    ids: Tensor,
    targets: Tensor,
    state: ModelState,
    counted: Tensor | None = None,
    dropout: Dropout | None = None,
    parts: int = 1,
    autocast: AbstractContextManager[object] | None = None,
) -> tuple[Tensor, ModelState]:
    """Add the gradient of a window's mean loss to that of the parameters.

    The B lanes are cut into ``parts``, which run one after the other in the memory of one part.
    A part's loss is weighted by its number of lanes, and dropout masks are drawn for the whole
    batch, so that loss, gradient and state are those of the whole batch up to rounding.

    Args:
        model: its parameters' ``grad`` is added to.
        ids: characters, (T, B).
        targets: the characters that follow them, (T, B).
        state: before the window.
        counted: P_n of the targets, (T, B), for the loss with counts; see ``CharModel.loss``.
        dropout: its generator advances by the draws of one window, however many parts there are.
        parts: gradient accumulation steps; a part has at least one lane.
        autocast: the precision of the forward pass.

    Returns:
        The mean in nats per piece, and the state after the window, detached from its graph.
    """
    batch = ids.shape[1]
    parts = min(parts, batch)
    drawn_from = dropout.generator.get_state() if dropout and parts > 1 else None
    losses, states = [], []
    for first, last in pairwise(batch * n // parts for n in range(parts + 1)):
        rows = slice(first, last)
        if dropout and drawn_from is not None:
            dropout.generator.set_state(drawn_from)
            dropout = replace(dropout, batch=batch, rows=rows)
        before = _rows_of(state, rows)
        with autocast or nullcontext():
            p = None if counted is None else counted[:, rows]
            loss, after = model.loss(ids[:, rows], targets[:, rows], before, dropout, p)
        share = loss * ((last - first) / batch)
        share.backward()  # type: ignore[no-untyped-call]
        losses.append(share.detach())
        states.append(map_state(after, lambda tensor: tensor.detach()))
    return torch.stack(losses).sum(), _joined(states)


def _rows_of(state: ModelState, rows: slice) -> ModelState:
    return map_state(state, lambda tensor: tensor[rows])


def _joined(states: list[ModelState]) -> ModelState:
    """One state made of several, row after row."""
    return tuple(
        tuple(torch.cat(tensors) for tensors in zip(*layers, strict=True))
        for layers in zip(*states, strict=True)
    )

"""The gradient of a lesson, in parts where the whole batch doesn't fit into memory."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor, nn

from chargen.network.base import ModelState, map_state
from chargen.network.dropout import Dropout
from chargen.training.lessons import Lesson, Share


def accumulate_gradient(
    model: nn.Module,
    lesson: Lesson | Share,
    dropout: Dropout | None = None,
    parts: int = 1,
    autocast: AbstractContextManager[object] | None = None,
) -> tuple[Tensor, ModelState]:
    """Add the gradient of a lesson's mean loss to that of the parameters.

    The B rows are cut into ``parts``, which run one after the other in the memory of one part.
    A part's loss is weighted by its number of pieces, and dropout masks are drawn for the whole
    batch, so that loss, gradient and state are those of the whole batch up to rounding.
    Likewise for a share of a lesson: the sums over all shares are those of the lesson.

    Args:
        model: its parameters' ``grad`` is added to.
        lesson: what the loss is of, or this process's share of it.
        dropout: its generator advances by the draws of one lesson, however many parts there are.
        parts: gradient accumulation steps; a part has at least one row.
        autocast: the precision of the forward pass.

    Returns:
        The mean in nats per piece, or what a share adds to it; and the state after the lesson,
        detached from its graph.
    """
    share = lesson if isinstance(lesson, Share) else Share.whole(lesson)
    own, place = share.lesson, share.first
    parts = min(parts, own.rows)
    in_parts = parts > 1 or own.rows < share.rows
    drawn_from = dropout.generator.get_state() if dropout and in_parts else None
    losses, states = [], []
    for first, last in pairwise(own.rows * n // parts for n in range(parts + 1)):
        if dropout and drawn_from is not None:
            dropout.generator.set_state(drawn_from)
            rows = slice(place + first, place + last)
            dropout = replace(dropout, batch=share.rows, rows=rows)
        part = own if parts == 1 else own.part(slice(first, last))
        with autocast or nullcontext():
            loss, after = part.loss(model, dropout)
        loss = loss * (0.0 if share.idle else part.pieces / share.pieces)
        loss.backward()  # type: ignore[no-untyped-call]
        losses.append(loss.detach())
        states.append(map_state(after, lambda tensor: tensor.detach()))
    return torch.stack(losses).sum(), _joined(states)


def _joined(states: list[ModelState]) -> ModelState:
    """One state made of several, row after row."""
    return tuple(
        tuple(torch.cat(tensors) for tensors in zip(*layers, strict=True))
        for layers in zip(*states, strict=True)
    )

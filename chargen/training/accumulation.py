"""The gradient of a lesson, in parts where the whole batch doesn't fit into memory."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor, nn

from chargen.network.base import ModelState, map_state
from chargen.network.dropout import Dropout
from chargen.training.lessons import Lesson


def accumulate_gradient(
    model: nn.Module,
    lesson: Lesson,
    dropout: Dropout | None = None,
    parts: int = 1,
    autocast: AbstractContextManager[object] | None = None,
) -> tuple[Tensor, ModelState]:
    """Add the gradient of a lesson's mean loss to that of the parameters.

    The B rows are cut into ``parts``, which run one after the other in the memory of one part.
    A part's loss is weighted by its number of pieces, and dropout masks are drawn for the whole
    batch, so that loss, gradient and state are those of the whole batch up to rounding.

    Args:
        model: its parameters' ``grad`` is added to.
        lesson: what the loss is of.
        dropout: its generator advances by the draws of one lesson, however many parts there are.
        parts: gradient accumulation steps; a part has at least one row.
        autocast: the precision of the forward pass.

    Returns:
        The mean in nats per piece, and the state after the lesson, detached from its graph.
    """
    parts = min(parts, lesson.rows)
    drawn_from = dropout.generator.get_state() if dropout and parts > 1 else None
    losses, states = [], []
    for first, last in pairwise(lesson.rows * n // parts for n in range(parts + 1)):
        rows = slice(first, last)
        if dropout and drawn_from is not None:
            dropout.generator.set_state(drawn_from)
            dropout = replace(dropout, batch=lesson.rows, rows=rows)
        part = lesson if parts == 1 else lesson.part(rows)
        with autocast or nullcontext():
            loss, after = part.loss(model, dropout)
        share = loss * (part.pieces / lesson.pieces)
        share.backward()  # type: ignore[no-untyped-call]
        losses.append(share.detach())
        states.append(map_state(after, lambda tensor: tensor.detach()))
    return torch.stack(losses).sum(), _joined(states)


def _joined(states: list[ModelState]) -> ModelState:
    """One state made of several, row after row."""
    return tuple(
        tuple(torch.cat(tensors) for tensors in zip(*layers, strict=True))
        for layers in zip(*states, strict=True)
    )

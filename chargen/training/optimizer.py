"""Optimisers, their state as tensors, and the learning rate's schedule."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, AdamW, Optimizer, RMSprop

from chargen.config import TrainConfig
from chargen.network.model import CharModel

_BETAS = (0.6, 0.99)
_TIED_RATES = {"P": 2.0, "U": 0.5}
"""Learning rates over the others', where one table serves input and output."""
HOLD = 0.4
"""The share of a run's steps before the learning rate begins to fall."""
_MOST_GROWN = 0.5
"""The share of dropout beyond which it grows no further."""


def build_optimizer(model: CharModel, config: TrainConfig) -> Optimizer:
    """The optimiser of ``config``; weight decay acts on matrices, never on biases."""
    rates = _TIED_RATES if model.config.tie_weights else {}
    found: dict[tuple[bool, float], list[Tensor]] = {}
    for name, p in model.named_parameters():
        kind = p.ndim > 1, rates.get(name.rpartition(".")[2], 1.0)
        found.setdefault(kind, []).append(p)
    decay = config.weight_decay
    groups: list[dict[str, Any]] = [
        {"params": params, "rate": rate, "weight_decay": decay if is_matrix else 0.0}
        for (is_matrix, rate), params in found.items()
    ]
    if config.optimizer == "sgd":
        return SGD(groups, config.lr, momentum=0.9, nesterov=True, weight_decay=decay, fused=True)
    if config.optimizer == "rmsprop":
        return RMSprop(groups, config.lr, alpha=0.95, weight_decay=decay)
    return AdamW(groups, config.lr, betas=_BETAS, weight_decay=decay, fused=True)


def learning_rate(step: int, total_steps: int | None, config: TrainConfig) -> float:
    """The rate of step ``step`` (from 0): a linear rise, ``lr``, a cosine to ``lr_final`` · lr.

    The rise has a fixed number of steps, and ``lr`` is held for the ``HOLD`` of ``total_steps``,
    which need not be known before: a run by the clock then knows how fast the machine is.
    """
    if step < config.warmup_steps:
        return config.lr * (step + 1) / config.warmup_steps
    if total_steps is None:
        return config.lr
    held = max(config.warmup_steps, HOLD * total_steps)
    done = max(0.0, step - held) / max(1, total_steps - held)
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
    return config.lr * (config.lr_final + (1 - config.lr_final) * cosine)


def dropout_share(passes: float, config: TrainConfig) -> float:
    """The share dropped after so many passes over the text: it rises with their logarithm.

    A text that is new needs no dropout, which only slows learning; the more often it has been
    read, the more of it is known by heart. The share is a function of what was read, not of the
    budget, so that a run by the clock can be repeated by its number of steps.
    """
    grown = config.dropout + config.dropout_growth * math.log2(1 + passes)
    return max(config.dropout, min(_MOST_GROWN, grown))


def set_learning_rate(optimizer: Optimizer, lr: float) -> None:
    """Let the next step of an optimiser of ``build_optimizer`` be made at ``lr``."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group["rate"]


def optimizer_tensors(optimizer: Optimizer, model: CharModel) -> dict[str, Tensor]:
    """The optimiser's memory by ``parameter.name``: moments and step counters."""
    return {
        f"{parameter}.{name}": value
        for parameter, p in model.named_parameters()
        for name, value in optimizer.state.get(p, {}).items()
        if isinstance(value, Tensor)
    }


def restore_optimizer(
    optimizer: Optimizer, model: CharModel, tensors: Mapping[str, Tensor]
) -> None:
    """Put back what ``optimizer_tensors`` gave; ValueError: it isn't of this model."""
    parameters = dict(model.named_parameters())
    optimizer.state.clear()
    for key, tensor in tensors.items():
        parameter, name = key.rsplit(".", 1)
        if parameter not in parameters:
            raise ValueError(f"the optimiser knows {parameter}, the network doesn't")
        p = parameters[parameter]
        optimizer.state[p][name] = tensor.to(p.device, copy=True)


def clip_gradients(parameters: list[torch.nn.Parameter], largest: float) -> float:
    """Scale the gradients to a global L2 norm of ``largest`` at most (0: leave them).

    Returns the norm before: Pascanu, Mikolov and Bengio, "On the difficulty of training
    recurrent neural networks", ICML 2013.
    """
    limit = largest if largest else math.inf
    return float(torch.nn.utils.clip_grad_norm_(parameters, limit))

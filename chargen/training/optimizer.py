"""Optimisers: how they are built, clipped gradients, and their state as tensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.optim import SGD, AdamW, Optimizer, RMSprop

from chargen.network.base import Model
from chargen.options import Recipe, TrainConfig

Groups: TypeAlias = list[dict[str, Any]]
"""Parameters with a weight decay and a learning rate of their own, as torch takes them."""


def _adamw(groups: Groups, config: TrainConfig, recipe: Recipe) -> Optimizer:
    return AdamW(groups, config.lr, betas=recipe.adamw_betas, fused=True)


def _sgd(groups: Groups, config: TrainConfig, recipe: Recipe) -> Optimizer:
    return SGD(groups, config.lr, momentum=recipe.sgd_momentum, nesterov=True, fused=True)


def _rmsprop(groups: Groups, config: TrainConfig, recipe: Recipe) -> Optimizer:
    return RMSprop(groups, config.lr, alpha=recipe.rmsprop_alpha)


OPTIMIZERS: Mapping[str, Callable[[Groups, TrainConfig, Recipe], Optimizer]] = MappingProxyType(
    {"adamw": _adamw, "sgd": _sgd, "rmsprop": _rmsprop}
)
"""How the optimisers that ``TrainConfig.optimizer`` may name are built."""


def build_optimizer(model: Model, config: TrainConfig, recipe: Recipe) -> Optimizer:
    """The optimiser of ``config``; weight decay acts on matrices, never on biases."""
    rates = recipe.lr_of_tied if model.config.tie_weights else {}
    found: dict[tuple[bool, float], list[Tensor]] = {}
    plain: list[Tensor] = []
    for name, p in model.named_parameters():
        if recipe.lr_of_ngram_weights and name in model.sparse_parameters:
            plain.append(p)
            continue
        kind = p.ndim > 1, rates.get(name.rpartition(".")[2], 1.0)
        found.setdefault(kind, []).append(p)
    groups: Groups = [
        {
            "params": params,
            "rate": rate,
            "weight_decay": config.weight_decay if is_matrix else 0.0,
        }
        for (is_matrix, rate), params in found.items()
    ]
    optimizer = OPTIMIZERS[config.optimizer](groups, config, recipe)
    if plain:
        of_adamw = recipe.lr_of_ngram_weights * math.sqrt(model.config.labels)
        rate = of_adamw / recipe.lr_of_optimizer[config.optimizer]
        optimizer.register_step_post_hook(_descent(plain, rate))
    return optimizer


def _descent(parameters: list[Tensor], rate: float) -> Callable[..., None]:
    """A step of plain gradient descent, taken after each step of an optimiser.

    AdamW scales each parameter's step by its own gradients, so rare n-grams would learn as fast as
    frequent ones, and their weights would learn the training texts by heart.
    """

    def step(optimizer: Optimizer, *_: Any) -> None:
        group = optimizer.param_groups[0]
        lr = group["lr"] / group["rate"] * rate
        with torch.no_grad():
            for p in parameters:
                if p.grad is not None:
                    p.sub_(p.grad, alpha=lr)

    return step


def set_learning_rate(optimizer: Optimizer, lr: float) -> None:
    """Set the rate of the next step of an optimiser of ``build_optimizer``."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group["rate"]


def optimized(optimizer: Optimizer) -> list[torch.nn.Parameter]:
    """The parameters of an optimiser, without those of plain descent: their scale is another."""
    return [p for group in optimizer.param_groups for p in group["params"]]


def clip_gradients(parameters: list[torch.nn.Parameter], largest: float) -> float:
    """Scale the gradients to a global L2 norm of at most ``largest``; 0 leaves them.

    Returns the norm before: Pascanu, Mikolov and Bengio, "On the difficulty of training
    recurrent neural networks", ICML 2013.
    """
    limit = largest if largest else math.inf
    return float(torch.nn.utils.clip_grad_norm_(parameters, limit))


def optimizer_tensors(optimizer: Optimizer, model: Model) -> dict[str, Tensor]:
    """The optimiser's memory by ``parameter.name``: moments and step counters."""
    return {
        f"{parameter}.{name}": value
        for parameter, p in model.named_parameters()
        for name, value in optimizer.state.get(p, {}).items()
        if isinstance(value, Tensor)
    }


def restore_optimizer(optimizer: Optimizer, model: Model, tensors: Mapping[str, Tensor]) -> None:
    """Put back what ``optimizer_tensors`` returned; ValueError: it isn't of this model."""
    parameters = dict(model.named_parameters())
    optimizer.state.clear()
    for key, tensor in tensors.items():
        parameter, name = key.rsplit(".", 1)
        if parameter not in parameters:
            raise ValueError(f"the optimiser has a state for {parameter}, the network does not")
        p = parameters[parameter]
        optimizer.state[p][name] = tensor.to(p.device, copy=True)

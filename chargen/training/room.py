"""Whether a network that is to be trained fits into memory, found before any is asked for."""

from __future__ import annotations

import torch

from chargen.errors import ConfigError
from chargen.machine.memory import in_words, usable_bytes
from chargen.network.shapes import build_model
from chargen.options import ModelConfig, Recipe, TrainConfig

_MOMENTS = {"adamw": 2, "sgd": 1, "rmsprop": 1}
"""Numbers that an optimiser keeps for each parameter."""
_WHILE_SAVING = 3
"""Copies of weights and moments: one to train with, one by tensors, one that is written."""
_REMEDY = "Choose a smaller `hidden_size`, `embedding_size` or `num_layers`."


def require_room(
    model: ModelConfig, training: TrainConfig, recipe: Recipe, device: torch.device
) -> None:
    """Raise ConfigError where a network can't be trained in the memory that there is.

    Weights, moments and their copies while a checkpoint is written are counted, not activations.
    So what is refused can't fit; what isn't may still be too large. Weights that descend by their
    gradient alone have no moments.
    """
    try:
        with torch.device("meta"):
            network = build_model(model)
        sizes = {name: each.numel() for name, each in network.named_parameters()}
    except (RuntimeError, OverflowError, TypeError) as error:
        raise ConfigError("The network is larger than any memory.", _REMEDY) from error
    plain = network.sparse_parameters if recipe.lr_of_ngram_weights else ()
    parameters = sum(sizes.values())
    moving = sum(size for name, size in sizes.items() if name not in plain)
    numbers = parameters + moving * _MOMENTS[training.optimizer]
    needed = 4 * numbers * _WHILE_SAVING
    usable = usable_bytes()
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        if 4 * (numbers + parameters) > free:  # gradients too
            needed, usable = 4 * (numbers + parameters), free
    if usable is not None and needed > usable:
        raise ConfigError(
            f"The network has {parameters:,} parameters. Training it needs at least "
            f"{in_words(needed)} of memory, and {in_words(usable)} can be had.",
            _REMEDY,
        )

"""The tensors that a run's config implies, found without memory for any of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from chargen.errors import CheckpointError
from chargen.machine.memory import in_words, usable_bytes
from chargen.network.base import Model
from chargen.network.shapes import build_model
from chargen.options import ModelConfig, Recipe, TrainConfig
from chargen.runs.reading import COPY_AGAIN
from chargen.runs.tensors import Kind

_MEMORIES = {
    "adamw": ("step", "exp_avg", "exp_avg_sq"),
    "sgd": ("momentum_buffer",),
    "rmsprop": ("step", "square_avg"),
}
"""What torch's optimisers keep for each parameter, by torch's names."""


def outline(model: ModelConfig, where: Path) -> Model:
    """The network of a config with shapes and no numbers: it has no memory.

    Raises:
        CheckpointError: there can be no such network.
    """
    with _sizes_of(where), torch.device("meta"):
        return build_model(model)


def of_weights(network: Model) -> dict[str, Kind]:
    """The tensors of ``model.safetensors``, which an export may have rounded to float16."""
    return {
        name: Kind.of(tensor)._replace(narrow=True) for name, tensor in network.state_dict().items()
    }


def of_checkpoint(
    network: Model, training: TrainConfig, recipe: Recipe, step: int, where: Path
) -> dict[str, Kind]:
    """The tensors of ``last/STEP``: weights, memories of the optimiser, generator, carried state.

    Before the first step there are neither memories nor a carried state; where each text is read
    from its beginning, none is ever carried.

    Raises:
        CheckpointError: there can be no such state.
    """
    found = {f"model.{name}": Kind.of(each) for name, each in network.state_dict().items()}
    found["generator"] = Kind(torch.uint8, None)  # its length is the device's own
    if not step:
        return found
    without = network.sparse_parameters if recipe.lr_of_ngram_weights else ()
    for name, parameter in network.named_parameters():
        if name in without:
            continue
        for memory in _MEMORIES[training.optimizer]:
            kind = Kind(torch.float32, ()) if memory == "step" else Kind.of(parameter)
            found[f"optimizer.{name}.{memory}"] = kind
    if network.config.records:
        return found
    with _sizes_of(where):
        carried = network.initial_state(training.batch_size)
    for layer, state in enumerate(carried):
        found |= {f"carried.{layer}.{n}": Kind.of(tensor) for n, tensor in enumerate(state)}
    return found


def of_ngram(model: ModelConfig) -> dict[str, Kind]:
    """The tensors of ``ngram.safetensors``; see ``chargen.ngrams.storage``."""
    pieces = torch.uint16 if model.vocab_size <= 1 << 16 else torch.uint32
    found = {
        "facts": Kind(torch.int64, (3,)),
        "discounts": Kind(torch.float64, (model.ngram_order, 4)),
        "levels": Kind(torch.int64, (model.ngram_order + 1,)),
        "pieces": Kind(pieces, (-1,)),
    }
    for name in ("continuations", "counts", "dropped"):
        found[name] = Kind(torch.uint8, (-1,))
        found[f"{name}.large"] = Kind(torch.uint32, (-1,))
    return found


def require_room(network: Model, copies: int, where: Path | str) -> None:
    """Raise CheckpointError where copies of the weights can't all be in memory."""
    numbers = sum(parameter.numel() for parameter in network.parameters())
    require_bytes(4 * copies * numbers, f"The network of {where}")


def require_bytes(needed: int, what: str) -> None:
    """Raise CheckpointError where so many bytes of memory can't be had for ``what``."""
    usable = usable_bytes()
    if usable is not None and needed > usable:
        raise CheckpointError(
            f"{what} needs {in_words(needed)} of memory, and {in_words(usable)} can be had.",
            "Use a machine with more memory, or a smaller network.",
        )


@contextmanager
def _sizes_of(where: Path) -> Iterator[None]:
    """A block in which sizes beyond 64 bits are a CheckpointError."""
    try:
        yield
    except (RuntimeError, OverflowError, TypeError) as error:
        raise CheckpointError(
            f"{where} asks for an impossibly large network.", COPY_AGAIN
        ) from error

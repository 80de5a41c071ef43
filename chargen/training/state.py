"""All that training carries from step to step, and its way to disk and back."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor

from chargen.errors import CheckpointError
from chargen.evaluation.gate import Calibration
from chargen.machine.team import ALONE, Saved, Team
from chargen.network.base import ModelState, map_state
from chargen.network.dropout import Dropout
from chargen.network.model import CharModel
from chargen.network.shapes import build_model
from chargen.runs.config import RunConfig
from chargen.runs.tensors import load_weights, part
from chargen.training.optimizer import build_optimizer, optimizer_tensors, restore_optimizer


class TrainingState:
    """Weights, optimiser, generators, carried state, position, and the best so far.

    The lane position follows from ``step``. Nothing outside this object decides what the next step
    does, so that a run resumes exactly from what is saved here.

    Of several processes each has this object whole, except for the carried state, of which it has
    that of its own ``lanes``.
    """

    def __init__(self, config: RunConfig, device: torch.device) -> None:
        self.device = device
        self.batch_size = config.training.batch_size
        self.join(ALONE)
        windows = -(-config.recipe.fresh_after // config.training.seq_length)
        self._fresh_every = max(self.batch_size, windows)
        self.model = build_model(config.model)
        self.model.reset_parameters(config.training.seed)
        self.model.to(device)
        self.optimizer = build_optimizer(self.model, config.training, config.recipe)
        self.generator = torch.Generator(device).manual_seed(config.training.seed + 1)
        self.dropout: Dropout | None = None
        self.carried: ModelState | None = None
        self.step = 0
        self.seconds = 0.0
        self.lr_scale = 1.0
        self.rollbacks = 0
        self.best_bits = math.inf
        self.evaluations_since_best = 0
        self.evaluated_step = -1
        self.calibration = Calibration()

    def join(self, team: Team) -> None:
        """Be one of the processes of a team, from before the first lesson on."""
        self.team, self.lanes = team, team.share(self.batch_size)

    @property
    def language_model(self) -> CharModel:
        """The network, where the task is ``lm``."""
        return cast("CharModel", self.model)

    @contextmanager
    def calibrated(self) -> Iterator[None]:
        """A block in which the network is calibrated on the validation split."""
        with self.model.calibrated(self.calibration.scale, self.calibration.offset):
            yield

    def set_dropout(self, share: float) -> None:
        self.dropout = Dropout(share, self.generator) if share else None

    def before_window(self, *, epoch_starts: bool) -> ModelState:
        """The state that the next step starts from: the carried one, except in fresh lanes.

        All lanes start from the initial state at the beginning of an epoch, and each does so now
        and then in between, at most one per window. A network that saw its initial state only at
        the beginning could get lost in states that it never leaves, in sampling and evaluation.
        Clocks go on.
        """
        if epoch_starts or self.carried is None:
            return self.model.initial_state(self.lanes.stop - self.lanes.start)
        lane = self.step % self._fresh_every
        if not self.lanes.start <= lane < self.lanes.stop:
            return self.carried
        lane -= self.lanes.start
        initial = self.model.initial_state(1)
        return tuple(
            tuple(_with_row(old, lane, new) for old, new in zip(layer, fresh, strict=True))
            for layer, fresh in zip(self.carried, initial, strict=True)
        )

    def saved(self) -> Saved:
        """What a checkpoint holds; collective, as ``tensors`` is."""
        return self.tensors(), self.values()

    def tensors(self) -> dict[str, Tensor]:
        """The tensors of a checkpoint; collective, since it has the carried state of all lanes."""
        found = {f"model.{name}": t for name, t in self.model.state_dict().items()}
        found |= {
            f"optimizer.{n}": t for n, t in optimizer_tensors(self.optimizer, self.model).items()
        }
        found["generator"] = self.generator.get_state()
        for layer, state in enumerate(self.carried or ()):
            whole = enumerate(map(self.team.gathered, state))
            found |= {f"carried.{layer}.{n}": tensor for n, tensor in whole}
        return found

    def values(self) -> dict[str, Any]:
        return {
            "step": self.step,
            "seconds": self.seconds,
            "lr_scale": self.lr_scale,
            "rollbacks": self.rollbacks,
            "best_bits": None if math.isinf(self.best_bits) else self.best_bits,
            "evaluations_since_best": self.evaluations_since_best,
            "evaluated_step": self.evaluated_step,
            "gate_scale": self.calibration.scale,
            "gate_offset": self.calibration.offset,
        }

    def restore(self, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
        """Take over what ``tensors()`` and ``values()`` returned.

        Raises:
            CheckpointError: they are of another model, or incomplete.
        """
        try:
            load_weights(self.model, part(tensors, "model"), "the resumable checkpoint")
            restore_optimizer(self.optimizer, self.model, part(tensors, "optimizer"))
            self._restore_generator(tensors["generator"], values["step"])
            self.carried = self._carried_from(part(tensors, "carried"))
            self.step = values["step"]
            self.seconds = values["seconds"]
            self.lr_scale = values["lr_scale"]
            self.rollbacks = values["rollbacks"]
            self.best_bits = math.inf if values["best_bits"] is None else values["best_bits"]
            self.evaluations_since_best = values["evaluations_since_best"]
            self.evaluated_step = values["evaluated_step"]
            self.calibration = Calibration(values["gate_scale"], values["gate_offset"])
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise CheckpointError(
                f"The resumable checkpoint is damaged, or from an older chargen: {error}.",
                "Train again under a new `name` (with `init_from` set to this run).",
            ) from error

    def _restore_generator(self, saved: Tensor, step: int) -> None:
        if len(saved) == len(self.generator.get_state()):
            self.generator.set_state(saved)
        else:  # from another kind of device: the resume can't be exact
            self.generator.manual_seed(self.generator.initial_seed() + step)

    def _carried_from(self, tensors: Mapping[str, Tensor]) -> ModelState | None:
        """Its own lanes of the state of ``tensors()``; ValueError where that has another shape.

        It is copied: tensors of a checkpoint are views of a mapped file that may be deleted.
        """
        if not tensors:
            return None
        wanted = self.model.initial_state(self.batch_size)
        state = tuple(
            tuple(tensors[f"{n}.{k}"] for k in range(len(layer))) for n, layer in enumerate(wanted)
        )
        for found, expected in zip(_flat(state), _flat(wanted), strict=True):
            if found.shape != expected.shape:
                raise ValueError(f"a carried state is {tuple(found.shape)}")
        return map_state(state, lambda tensor: tensor[self.lanes].to(self.device, copy=True))


def _with_row(tensor: Tensor, row: int, other: Tensor) -> Tensor:
    """A copy of ``tensor`` (B, …) with a row from ``other`` (1, …); a clock is left as it is."""
    if not tensor.is_floating_point():
        return tensor
    return torch.cat([tensor[:row], other, tensor[row + 1 :]])


def _flat(state: ModelState) -> list[Tensor]:
    return [tensor for layer in state for tensor in layer]

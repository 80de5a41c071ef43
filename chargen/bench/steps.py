"""Training steps of processes that alternate: one with all threads, several with one each."""

from __future__ import annotations

import multiprocessing
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from typing import Any

import torch

from chargen.errors import ConfigError
from chargen.machine.allocator import freed_memory_kept
from chargen.machine.devices import autocast, resolve_device, resolve_precision
from chargen.machine.group import team_of
from chargen.machine.launch import Launch
from chargen.machine.precision import exact_float32
from chargen.machine.team import Team
from chargen.network.model import CharModel
from chargen.options import ModelConfig, Recipe, TrainConfig
from chargen.training.accumulation import accumulate_gradient
from chargen.training.extent import Extent
from chargen.training.lessons import Passage, Share
from chargen.training.optimizer import build_optimizer, clip_gradients
from chargen.training.presets import PRESETS, choose_model

SETTLING_STEPS = 2
_CHARACTERS = 10**6
"""Of the text that a preset is adapted to."""
_FORMATS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def config_of(preset: str, vocab_size: int) -> tuple[ModelConfig, int, int]:
    """The network of a preset, its lanes, and the time steps of its windows."""
    extent = Extent(vocab_size, _CHARACTERS, _CHARACTERS)
    model = choose_model(PRESETS[preset], {"ngram": "3"}, extent, Recipe())
    training = TrainConfig(**PRESETS[preset].training)
    return model.with_ngram_order(3), training.batch_size, training.seq_length


class Trainer:
    """A network that makes training steps on random characters, its counts mixed in.

    Args:
        preset: of the network.
        vocab_size: of the text.
        device: that trains.
        team: the processes that share the lanes.
    """

    def __init__(self, preset: str, vocab_size: int, device: str, team: Team) -> None:
        config, self.lanes, self._window = config_of(preset, vocab_size)
        self._device, self._team, self._mixed = resolve_device(device), team, config.mixed_order > 0
        team.require(self._device)
        precision = resolve_precision("auto", self._device)
        self._autocast = autocast(precision, self._device)
        self._model = CharModel(config)
        self._model.reset_parameters(0)
        self._model.to(self._device)
        self._optimizer = build_optimizer(self._model, TrainConfig(lr=1e-3), Recipe())
        self.parameters = list(self._model.parameters())
        self._ids = torch.randint(vocab_size, (self._window + 1, self.lanes)).to(self._device)
        self._counted = torch.rand(self._window, self.lanes).to(self._device)

    def step(self, lanes: int, sent_as: str) -> None:
        """Make a step with so many lanes in all processes together."""
        own = lanes // self._team.size
        state = self._model.initial_state(own)
        ids = self._ids[:, :own]
        counted = self._counted[:, :own].contiguous() if self._mixed else None
        passage = Passage(ids[:-1], ids[1:], state, counted)
        pieces = self._window * lanes
        share = Share(passage, own * self._team.rank, lanes, pieces, pieces)
        self._optimizer.zero_grad(set_to_none=True)
        loss, _ = accumulate_gradient(self._model, share, autocast=self._autocast)
        loss = self._team.sum_gradients(self.parameters, loss, _FORMATS[sent_as])
        clip_gradients(self.parameters, 1.0)
        self._optimizer.step()
        self._team.any(not float(loss) < 1e9)

    def exchange(self, sent_as: str) -> None:
        """Only sum gradients."""
        for each in self.parameters:
            if each.grad is None:
                each.grad = torch.zeros_like(each)
        zero = torch.zeros((), device=self._device)
        self._team.sum_gradients(self.parameters, zero, _FORMATS[sent_as])

    def agree(self) -> None:
        """Only agree on something small, as every step does twice."""
        self._team.any(True)

    def timed(self, what: str, arguments: Sequence[Any], settle: int, times: int) -> float:
        """Seconds of one of the methods above, after some that are not timed."""
        method: Callable[..., None] = getattr(self, what)
        with exact_float32(), freed_memory_kept():
            for _ in range(settle):
                method(*arguments)
            self._wait()
            began = time.perf_counter()
            for _ in range(times):
                method(*arguments)
            self._wait()
        return (time.perf_counter() - began) / times

    def _wait(self) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize()


class Workers:
    """Processes that make steps together, and sleep in between."""

    def __init__(self, pipes: Sequence[Connection]) -> None:
        self._pipes = pipes

    def timed(
        self, what: str, *arguments: Any, settle: int = SETTLING_STEPS, times: int = 1
    ) -> float:
        """Seconds of a method of ``Trainer``: those of the slowest process."""
        return max(float(each) for each in self._ask("timed", what, arguments, settle, times))

    def begin(self, preset: str, vocab_size: int, device: str) -> None:
        """Let each process have a ``Trainer``."""
        self._ask("begin", preset, vocab_size, device)

    def _ask(self, *request: Any) -> list[Any]:
        for pipe in self._pipes:
            pipe.send(request)
        try:
            return [pipe.recv() for pipe in self._pipes]
        except EOFError as error:
            raise ConfigError(
                "A process of the benchmark has ended: it says why.", "Free some memory."
            ) from error


@contextmanager
def workers(size: int, threads: int) -> Iterator[Workers]:
    """Start so many processes for a block, each with so many threads."""
    context = multiprocessing.get_context("spawn")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with ExitStack() as stack:
        pipes = []
        for rank in range(size):
            ours, theirs = context.Pipe()
            launch = Launch(rank, size, rank, size, "127.0.0.1", port)
            process = context.Process(target=_serve, args=(launch, threads, theirs), daemon=True)
            process.start()
            theirs.close()
            stack.callback(process.join)
            pipes.append(stack.enter_context(ours))
        yield Workers(pipes)


def _serve(launch: Launch, threads: int, pipe: Connection) -> None:
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo0" if sys.platform == "darwin" else "lo")
    torch.set_num_threads(threads)
    with team_of(launch) as team:
        trainer: Trainer | None = None
        while True:
            try:
                name, *arguments = pipe.recv()
            except EOFError:
                return
            if name == "begin":
                preset, vocab_size, device = arguments
                trainer = Trainer(preset, vocab_size, device, team)
                pipe.send(None)
            elif trainer is not None:
                pipe.send(trainer.timed(*arguments))

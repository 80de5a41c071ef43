"""A team of several processes, by ``torch.distributed``.

Small decisions, states and checkpoints travel by gloo, gradients by the backend of their device:
gloo on CPUs, NCCL on NVIDIA GPUs.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from chargen.errors import ChargenError, ConfigError, OtherFailedError, TrainingError
from chargen.machine.launch import Launch
from chargen.machine.meeting import POLL_SECONDS, Store, meet, part_of
from chargen.machine.team import ALONE, Saved, Team

T = TypeVar("T")
_COLLECTIVE = timedelta(minutes=30)
_PARTING_SECONDS = 2.0
_FAILED = "failed"


class LostPeerError(TrainingError):
    """The connection to another process broke."""


@contextmanager
def team_of(launch: Launch, stop: Callable[[], bool] = lambda: False) -> Iterator[Team]:
    """Join the other processes of a launch for a block, in which errors are told once.

    An error of this process is raised as it is, with its rank, unless another process told its
    own first; then it is an ``OtherFailedError``, as after ``stop``, called while it waits for the
    others, returned True.

    Raises:
        TrainingError: the others can't be reached, or run another release.
    """
    if launch.size == 1:
        yield ALONE
        return
    group = Group(launch)
    try:
        group.open(stop)
        yield group
    except ChargenError as error:
        error.rank = launch.rank
        raise (error if group.speaks_first() else OtherFailedError()) from error
    except Exception as error:
        if group.speaks_first():
            raise
        raise OtherFailedError from error
    finally:
        group.close()


class Group(Team):
    """Several processes that were started together; see ``Team``."""

    def __init__(self, launch: Launch) -> None:
        self._launch = launch
        self.rank, self.size = launch.rank, launch.size
        self._store: Store = None
        self._told = False

    def open(self, stop: Callable[[], bool]) -> None:
        """Connect to the others; ``stop`` is called meanwhile.

        Raises:
            ConfigError: this build of torch can't.
            TrainingError: the address doesn't answer, processes don't come, or they differ.
        """
        if not (dist.is_available() and dist.is_gloo_available()):
            raise ConfigError(
                "This build of torch can't train with several processes: it has no gloo backend.",
                "Install another build of torch, or start one process.",
            )
        launch = self._launch
        if torch.cuda.is_available() and launch.local_rank < torch.cuda.device_count():
            torch.cuda.set_device(launch.local_rank)
        self._store = meet(launch, stop)
        nccl = torch.cuda.is_available() and dist.is_nccl_available()
        with _connected():
            dist.init_process_group(
                "cpu:gloo,cuda:nccl" if nccl else "gloo",
                store=part_of(self._store, "group"),
                rank=self.rank,
                world_size=self.size,
                timeout=_COLLECTIVE,
            )

    def close(self) -> None:
        """Leave the others, once they know of an error that was told."""
        if dist.is_available() and dist.is_initialized():
            with suppress(RuntimeError):
                dist.destroy_process_group()
        if not self._told or not self.leads or self._launch.hosted:
            return
        with suppress(RuntimeError):  # the store ends with this process
            deadline = time.monotonic() + _PARTING_SECONDS
            while time.monotonic() < deadline and self._store.add(_FAILED, 0) < self.size:
                time.sleep(POLL_SECONDS)

    def speaks_first(self) -> bool:
        """Whether no other process has told of an error before."""
        with suppress(RuntimeError):
            if self._store is not None:
                self._told = True
                return bool(self._store.add(_FAILED, 1) == 1)
        return True

    def tell(self, name: str, value: str) -> None:
        """Leave a message for processes that call ``hear``."""
        with _connected():
            self._store.set(name, value)

    def hear(self, name: str, stop: Callable[[], bool]) -> str:
        """Wait for a message of the leading process, however long it takes.

        Raises:
            OtherFailedError: a process failed, or ``stop`` returned True.
        """
        with _connected():
            while not self._store.check([name]):
                if stop() or self._store.check([_FAILED]):
                    raise OtherFailedError
                time.sleep(POLL_SECONDS)
            return str(self._store.get(name), "utf-8")

    def require(self, device: torch.device) -> None:
        if device.type == "cpu":
            return
        if device.type != "cuda" or not dist.is_nccl_available():
            raise ConfigError(
                f"Several processes can't train together on {device.type}: this build of torch has "
                "no backend for it.",
                'Use `device="cpu"`, or start one process.',
            )
        if self._launch.local_size > torch.cuda.device_count():
            raise ConfigError(
                f"{self._launch.local_size} processes were started on a machine with "
                f"{torch.cuda.device_count()} GPUs.",
                "Start one process for each GPU.",
            )

    def any(self, *flags: bool) -> tuple[bool, ...]:
        found = torch.tensor(flags, dtype=torch.int32)
        with _connected():
            dist.all_reduce(found, dist.ReduceOp.MAX)
        return tuple(bool(flag) for flag in found)

    def by_leader(self, work: Callable[[], T]) -> T:
        content = json.dumps(work()).encode() if self.leads else b""
        size = torch.tensor(len(content))
        with _connected():
            dist.broadcast(size, 0)
            sent = torch.empty(int(size), dtype=torch.uint8)
            if self.leads:
                sent = torch.frombuffer(bytearray(content), dtype=torch.uint8)
            dist.broadcast(sent, 0)
        found: T = json.loads(bytes(sent.numpy()))
        return found

    def spread(self, load: Callable[[], Saved | None]) -> Saved | None:
        saved: Saved | None = None

        def outline() -> Any:
            nonlocal saved
            saved = load()
            if saved is None:
                return None
            kinds = {n: (str(t.dtype).split(".")[1], list(t.shape)) for n, t in saved[0].items()}
            return kinds, dict(saved[1])

        described = self.by_leader(outline)
        if described is None:
            return None
        kinds, values = described
        return self._sent(kinds, saved), values

    def _sent(self, kinds: Mapping[str, Any], saved: Saved | None) -> dict[str, Tensor]:
        tensors: dict[str, Tensor] = {}
        for name, (dtype, shape) in kinds.items():
            if saved is None:
                tensor = torch.empty(shape, dtype=getattr(torch, dtype))
            else:
                tensor = saved[0][name].detach().cpu().contiguous().clone()
            with _connected():
                dist.broadcast(tensor, 0)
            tensors[name] = tensor
        return tensors

    def sum_gradients(
        self, parameters: Sequence[nn.Parameter], loss: Tensor, dtype: torch.dtype = torch.float32
    ) -> Tensor:
        gradients = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([*(each.flatten() for each in gradients), loss.detach().reshape(1)])
        with _connected():
            if dtype == torch.bfloat16:
                total = flat[-1:].clone()
                dist.all_reduce(total)
                flat = torch.cat([self._sum_rounded(flat[:-1]), total])
            else:
                dist.all_reduce(flat)
        sums = torch.split(flat[:-1], [each.numel() for each in gradients])
        for each, total in zip(gradients, sums, strict=True):
            each.copy_(total.view_as(each))
        return flat[-1]

    def _sum_rounded(self, flat: Tensor) -> Tensor:
        """The sum over processes, sent in bfloat16 and added in float32: rounded twice in all.

        Each process adds one part, and sends it to all others; half the bytes of float32.
        """
        length = len(flat)
        width = -(-length // self.size)
        sent = torch.zeros(width * self.size, dtype=torch.bfloat16, device=flat.device)
        sent[:length] = flat
        parts = torch.empty_like(sent)
        dist.all_to_all_single(parts, sent)
        own = parts.view(self.size, width).float().sum(0).bfloat16()
        found = [torch.empty_like(own) for _ in range(self.size)]
        dist.all_gather(found, own)
        return torch.cat(found)[:length].to(flat)

    def gathered(self, rows: Tensor) -> Tensor:
        counts = [torch.tensor(0) for _ in range(self.size)]
        with _connected():
            dist.all_gather(counts, torch.tensor(len(rows)))
        sizes = [int(count) for count in counts]
        sent = rows.new_zeros((max(sizes), *rows.shape[1:]))
        sent[: len(rows)] = rows
        found = [torch.empty_like(sent) for _ in sizes]
        with _connected():
            dist.all_gather(found, sent)
        return torch.cat([each[:size] for each, size in zip(found, sizes, strict=True)])


@contextmanager
def _connected() -> Iterator[None]:
    """Turn what torch raises when a connection breaks into an error of one line."""
    try:
        yield
    except RuntimeError as error:
        first = re.sub(r"^\[[^\]]*\]\s*", "", str(error).splitlines()[0])  # without a source line
        raise LostPeerError(
            f"The connection to another process was lost: {first.split('. ')[0].rstrip('.')}.",
            "The launcher says which process ended. Continue with `resume=True`; torchrun does so "
            "by itself with its option max-restarts.",
        ) from error

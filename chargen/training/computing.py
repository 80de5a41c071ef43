"""What computes a run: device, threads, precision, and the processes that share its lanes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chargen.options import TrainConfig

if TYPE_CHECKING:
    import torch

    from chargen.runs.machine_record import MachineRecord


def problem_of_processes(batch_size: int, processes: int) -> list[str]:
    """Say why so many processes can't share a batch, in a line; nothing: they can."""
    if batch_size % processes == 0:
        return []
    return [
        f"`batch_size` is {batch_size}, the lanes of all processes, and {processes} processes "
        "can't have equal shares of them"
    ]


def gradients_sent_as(precision: str, device: torch.device) -> torch.dtype:
    """The format in which gradients travel between processes that compute in ``precision``.

    On CPUs half the bytes save less than the rounding costs; on GPUs a step is short beside the
    time that gradients take.
    """
    import torch

    rounded = precision == "bfloat16" and device.type == "cuda"
    return torch.bfloat16 if rounded else torch.float32


def machine_of(
    training: TrainConfig, before: MachineRecord | None = None, *, processes: int = 1
) -> MachineRecord:
    """What a run with this config is computed by, in this process.

    Args:
        training: its config.
        before: what it was computed by so far, if it goes on, which may decide what
            ``precision="auto"`` is.
        processes: that compute it together.
    """
    import torch

    from chargen.machine.devices import resolve_device, resolve_precision
    from chargen.runs.machine_record import MachineRecord

    device = resolve_device(training.device)
    threads = training.threads or torch.get_num_threads()
    kept = before.precision_kept(device) if before and training.precision == "auto" else None
    precision = kept or resolve_precision(training.precision, device)
    return MachineRecord.here(device, threads, precision, processes)

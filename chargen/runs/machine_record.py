"""The machine that a run was trained on, as far as it decides the bits of its weights."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, ClassVar, Self, TypeAlias

import torch

from chargen import __version__
from chargen.machine.processor import processor_kind
from chargen.runs.reading import STRICT

_Device: TypeAlias = torch.device
_IN_WORDS = {
    "chargen": "chargen",
    "torch": "torch",
    "cpu_capability": "the instruction set of the CPU",
    "processor": "the processor",
    "device": "the device",
    "threads": "the number of threads",
    "precision": "the precision",
    "processes": "the number of processes",
}
"""What decides bits; how threads wait doesn't."""


@dataclass(frozen=True)
class MachineRecord:
    """Where and by what a run was trained last; None for what it didn't record.

    Attributes:
        chargen, torch: versions.
        cpu_capability: the widest vector instructions that torch uses, such as ``AVX2``.
        device: ``cpu``, ``mps``, or ``cuda`` with the name of the GPU.
        threads: CPU threads.
        precision: of matrix products, ``float32`` or ``bfloat16``.
        spin: the value of ``GOMP_SPINCOUNT``, by which threads wait; None: it wasn't set.
        processes: that trained together, each with so many threads.
        processor: its model.
    """

    __pydantic_config__: ClassVar[Any] = STRICT

    chargen: str
    torch: str | None
    cpu_capability: str | None
    device: str | None
    threads: int | None
    precision: str | None
    spin: str | None
    processes: int = 1
    processor: str | None = None

    @classmethod
    def here(cls, device: _Device, threads: int, precision: str, processes: int = 1) -> Self:
        """Each of some processes like this one, computing on ``device`` with so many threads."""
        name = device.type
        if name == "cuda":
            name = f"cuda ({torch.cuda.get_device_name(device)})"
        return cls(
            chargen=__version__,
            torch=torch.__version__,
            cpu_capability=torch.backends.cpu.get_cpu_capability(),
            device=name,
            threads=threads,
            precision=precision,
            spin=os.environ.get("GOMP_SPINCOUNT"),
            processes=processes,
            processor=processor_kind(),
        )

    def precision_kept(self, device: _Device) -> str | None:
        """The precision in which a run goes on that leaves it open; None: what suits ``device``.

        A run that a CPU began in float32 stays in it on any CPU, and one in bfloat16 on the same
        processor, however fast that is found to be now. What an older release didn't record counts
        as float32.
        """
        if device.type != "cpu" or self.device not in (None, "cpu"):
            return None
        precision = self.precision or "float32"
        same = precision == "float32" or self.processor == processor_kind()
        return precision if same else None

    def differences(self, other: MachineRecord) -> tuple[str, ...]:
        """What decides bits and is different in ``other``, a later record, each in words."""
        pairs = ((words, getattr(self, n), getattr(other, n)) for n, words in _IN_WORDS.items())
        return tuple(
            f"{words} was {then}, is {now}"
            for words, then, now in pairs
            if None not in (then, now) and then != now
        )

    def note_on_resume(self, now: MachineRecord) -> str | None:
        """A line that says why a resume on ``now`` will have other bits; None: it will not."""
        found = self.differences(now)
        return f"This resume will not be bit for bit: {'; '.join(found)}." if found else None

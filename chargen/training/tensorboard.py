"""Curves and samples of a training run for TensorBoard, an extra of that name."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from chargen.errors import MissingExtraError
from chargen.training.events import Evaluation, Event, RolledBack, Sample, Step

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

_CURVES: dict[type[Event], tuple[str, tuple[str, ...]]] = {
    Step: ("train", ("loss", "grad_norm", "clipped", "lr", "chars_per_second")),
    Evaluation: ("val", ("bits_per_char", "nats_per_char", "accuracy")),
}


def require_tensorboard() -> None:
    """Raise MissingExtraError where tensorboard is not installed."""
    if find_spec("tensorboard") is None:
        raise MissingExtraError("tensorboard", "tensorboard", "Writing for TensorBoard")


class TensorBoardLog:
    """Writes events into files in a folder, in addition to what a run wrote there before.

    A file begins with the step from which older files no longer count: what came after it was
    undone by a kill or by going back to a checkpoint.
    """

    def __init__(self, folder: Path, step: int) -> None:
        """Go on after ``step``."""
        require_tensorboard()
        self._folder = folder
        self._writer = _open(folder, step)

    def write(self, event: Event) -> None:
        if isinstance(event, RolledBack):
            self._writer.close()
            self._writer = _open(self._folder, event.step)
        elif isinstance(event, Sample):
            # Markdown leaves an indented text as it is.
            literal = "\n".join(f"    {line}" for line in event.text.split("\n"))
            self._writer.add_text("sample", literal, event.step)
        elif type(event) in _CURVES:
            group, names = _CURVES[type(event)]
            for name in names:
                self._writer.add_scalar(f"{group}/{name}", getattr(event, name), event.step)

    def close(self) -> None:
        self._writer.close()


def _open(folder: Path, step: int) -> SummaryWriter:
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(folder, purge_step=step + 1)

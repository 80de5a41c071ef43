"""Where a network that answers looks in its text, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from chargen.errors import CheckpointError, GenerationError
from chargen.inspection.plots import new_figure, save_figure
from chargen.network.seq2seq import Seq2Seq
from chargen.runs.finding import name_of
from chargen.runs.loaded import LoadedModel

_END = "end"
_INCHES = 0.45
_MOST = 100
"""Pieces of a side that a picture shows."""


@dataclass(frozen=True)
class LookReport:
    """What attention does for one answer.

    Attributes:
        run: name of the run.
        text, answer: what is answered, and the answer.
        columns: the pieces of the text, its end last, (S,).
        rows: the pieces of the answer, its end last, (T,).
        weights: a_ti, the share of piece i when piece t is written, (T, S).
    """

    run: str
    text: str
    answer: str
    columns: tuple[str, ...]
    rows: tuple[str, ...]
    weights: NDArray[np.float64]

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return {
            "run": self.run,
            "text": self.text,
            "answer": self.answer,
            "columns": list(self.columns),
            "rows": list(self.rows),
            "weights": self.weights.round(4).tolist(),
        }


@torch.no_grad()
def inspect_looks(loaded: LoadedModel, text: str, answer: str) -> LookReport:
    """Compute how much each step of an answer looks at each piece of its text.

    Args:
        loaded: a run that answers, with attention, on the CPU.
        text: what is answered.
        answer: any answer.

    Raises:
        CheckpointError: the run has learnt another task, or has no attention.
        GenerationError: the text is empty.
    """
    network, tokenizer = loaded.of_task(Seq2Seq), loaded.tokenizer
    if network.attention is None:
        raise CheckpointError(
            f"{loaded.path} answers through the code alone, and looks at nothing.",
            "Train a run with `attention=dot` or `attention=additive`.",
        )
    if not text:
        raise GenerationError("There is no text to answer.", "Give one as `prompt`.")
    source = np.append(tokenizer.encode(text), tokenizer.end_id).astype(np.int64)
    targets = np.append(tokenizer.encode(answer), tokenizer.end_id).astype(np.int64)
    ids = torch.from_numpy(np.append([tokenizer.newline_id], targets[:-1]))[:, None]
    read = network.encode(torch.from_numpy(source)[:, None], torch.tensor([len(source)]))

    def names(pieces: NDArray[np.int64]) -> tuple[str, ...]:
        return (*(tokenizer.piece(n) for n in pieces[:-1].tolist()), _END)

    return LookReport(
        run=name_of(loaded.path),
        text=text,
        answer=answer,
        columns=names(source),
        rows=names(targets),
        weights=network.looks(ids, read)[:, 0].double().numpy(),
    )


def plot_looks(report: LookReport, out: Path) -> None:
    """Draw the weights as a matrix: the answer downwards, its text to the right.

    Characters that no installed font can show are numbered instead.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    weights = report.weights[:_MOST, :_MOST]
    T, S = weights.shape
    figure = new_figure(1.6 + _INCHES * max(S, 4), 1.2 + _INCHES * max(T, 3))
    axes = figure.subplots()
    shown = axes.imshow(weights, cmap="Blues", vmin=0, vmax=1, aspect="equal")
    axes.set_xticks(range(S), _labels(report.columns[:S]))
    axes.set_yticks(range(T), _labels(report.rows[:T]))
    axes.xaxis.tick_top()
    axes.set_xlabel("what is read")
    axes.xaxis.set_label_position("top")
    axes.set_ylabel("what is written")
    figure.colorbar(shown, ax=axes, label="share of attention", shrink=0.8)
    save_figure(figure, out)


def _labels(pieces: Sequence[str]) -> list[str]:
    """The pieces, each shown or, where a font is missing, all of them numbered."""
    if can_show("".join(pieces)):
        return [repr(p)[1:-1] if p.isspace() else p for p in pieces]
    return [f"{n}" for n in range(1, len(pieces) + 1)]


def can_show(text: str) -> bool:
    """Whether the fonts of ``new_figure`` have all characters of a text.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    new_figure(1, 1)
    import matplotlib as mpl
    from matplotlib import font_manager

    fonts = (font_manager.findfont(name) for name in mpl.rcParams["font.family"])
    known: set[int] = set().union(*(font_manager.get_font(f).get_charmap() for f in fonts))
    return all(ord(c) in known for c in text if not c.isspace())

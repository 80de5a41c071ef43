"""Training a simple network at high learning rates, with and without gradient clipping."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chargen import api
from chargen.experiments.outcome import ShowProgress, Table, silent
from chargen.experiments.runs import Course, open_text, train_course
from chargen.inspection.plots import new_figure, plain_log_axis, save_figure
from chargen.options import TrainConfig, check

RATES = (0.1, 0.3, 1.0, 3.0)
CLIP = 0.5
_SHAPE = {"cell": "rnn", "hidden_size": 128, "seq_length": 256, "batch_size": 8}


@dataclass(frozen=True)
class ClippedRun:
    """A run with or without clipping.

    Attributes:
        rate: learning rate.
        clip: largest norm of the gradient; 0: no clipping.
        guessing: bits per piece if all pieces are equally likely.
        course: the course of the training.
    """

    rate: float
    clip: float
    guessing: float
    course: Course

    @property
    def verdict(self) -> str:
        """How the run ended, in words."""
        if self.course.diverged_at is not None:
            return f"diverged at step {self.course.diverged_at:,}"
        return "worse than guessing" if self.course.bits[-1] > self.guessing else "learns"


@dataclass(frozen=True)
class ClippingOutcome:
    """The result of ``compare_clipping``."""

    corpus: str
    steps: int
    runs: tuple[ClippedRun, ...]

    def tables(self) -> tuple[Table, ...]:
        return (
            Table(
                f"A simple network on {self.corpus}, {self.steps:,} steps of SGD, windows of "
                f"{_SHAPE['seq_length']}; losses in bits, {self.runs[0].guessing:.2f} by guessing",
                ("rate", "clipped at", "loss", "validation", "largest norm", "verdict"),
                tuple(
                    (
                        f"{run.rate:g}",
                        f"{run.clip:g}" if run.clip else "never",
                        f"{run.course.bits[-1]:.4g}" if run.course.bits else "",
                        f"{run.course.best:.3f}" if run.course.best else "",
                        f"{max(run.course.grad_norms, default=math.nan):.3g}",
                        run.verdict,
                    )
                    for run in self.runs
                ),
            ),
        )

    def findings(self) -> tuple[str, str]:
        def learning(clipped: bool) -> tuple[int, int, float]:
            runs = [run for run in self.runs if bool(run.clip) == clipped]
            rates = [run.rate for run in runs if run.verdict == "learns"]
            return len(rates), len(runs), max(rates, default=0.0)

        (held, clipped, with_it), (free, plain, without) = learning(True), learning(False)
        return (
            f"With clipping {held} of {clipped} runs learn, without it {free} of {plain}.",
            f"The highest rate at which a run learns is {f'{with_it:g}' if held else 'none'} with "
            f"clipping, and {f'{without:g}' if free else 'none'} without.",
        )

    def draw(self, out: Path) -> None:
        figure = new_figure(10, 4.4)
        loss, norm = figure.subplots(1, 2)
        losses = [run.course.bits for run in self.runs]
        norms = [run.course.grad_norms for run in self.runs]
        too_much = 1.5 * self.runs[0].guessing
        largest = 2 * max((value for values in norms for value in values), default=1.0)
        rates = list(dict.fromkeys(run.rate for run in self.runs))
        for axes, curves, beyond in ((loss, losses, too_much), (norm, norms, largest)):
            for run, values in zip(self.runs, curves, strict=True):
                style = {
                    "color": f"C{rates.index(run.rate)}",
                    "linestyle": "-" if run.clip else ":",
                }
                label = f"rate {run.rate:g}, " + ("clipped" if run.clip else "not clipped")
                failed = [at for at in (run.course.diverged_at,) if at is not None]
                end = [beyond] * len(failed)
                shown = [*(min(value, beyond) for value in values), *end]
                axes.plot([*run.course.steps, *failed], shown, **style, label=label)
                axes.plot(failed, end, "x", color=style["color"])
            axes.set_xlabel("training step")
            axes.grid(alpha=0.3)
        loss.set_title("Loss, with clipping (lines) and without (dots)")
        norm.set_title("Size of the gradient")
        loss.axhline(self.runs[0].guessing, color="0.6", linewidth=1)
        lowest = min((value for values in losses for value in values), default=0.0)
        loss.set_ylim(0.9 * lowest, 1.03 * too_much)
        loss.set_ylabel("loss, bits per piece; grey: guessing; ×: not finite")
        plain_log_axis(norm)
        norm.set_ylabel("gradient norm before clipping")
        loss.legend(fontsize="small")
        figure.supxlabel("\n".join(self.findings()), fontsize="small", wrap=True)
        save_figure(figure, out)

    def to_dict(self) -> dict[str, Any]:
        runs = [{**asdict(run), "verdict": run.verdict} for run in self.runs]
        return {**asdict(self), "runs": runs}


def compare_clipping(
    corpus: api.Source | None = None,
    *,
    rates: Sequence[float] = RATES,
    clip: float = CLIP,
    steps: int = 200,
    seed: int = 0,
    threads: int = 0,
    on_progress: ShowProgress = silent,
) -> ClippingOutcome:
    """Train a simple network with SGD at each rate, with and without clipping.

    The optimiser is SGD because AdamW normalises gradients, which hides large ones.

    Args:
        corpus: a text or a prepared corpus; None is the shipped text ``shipan.txt``.
        rates: learning rates.
        clip: largest norm of the gradient in runs with clipping.
        steps: training steps; a run ends early if its loss becomes NaN or infinite.
        seed: seed of initial weights and dropout.
        threads: CPU threads; 0: torch's choice.
        on_progress: called with the progress.

    Raises:
        ConfigError: a rate is not above 0 and finite.
    """
    check(also=[line for rate in rates for line in TrainConfig.problems_in({"lr": rate})])
    prepared = open_text(corpus)
    guessing = math.log2(prepared.tokenizer.size)
    runs: list[ClippedRun] = []
    plan = [(rate, limit) for rate in rates for limit in (clip, 0.0)]
    with tempfile.TemporaryDirectory() as folder:
        for n, (rate, limit) in enumerate(plan):
            name = f"rate {rate:g}, clip {limit:g}"

            def on_share(share: float, name: str = name, before: int = n) -> None:
                on_progress(name, before + share, len(plan))

            course = train_course(
                prepared,
                Path(folder),
                name,
                on_share,
                **_SHAPE,
                optimizer="sgd",
                lr=rate,
                grad_clip=limit,
                max_steps=steps,
                warmup_steps=0,
                seed=seed,
                threads=threads,
            )
            runs.append(ClippedRun(rate, limit, guessing, course))
    return ClippingOutcome(prepared.manifest.name, steps, tuple(runs))

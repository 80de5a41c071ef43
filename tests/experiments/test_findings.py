"""What experiments say they show, against the figures that they say it about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chargen.experiments import curves
from chargen.experiments.cells import CellsOutcome, Contestant
from chargen.experiments.clipping import ClippedRun, ClippingOutcome
from chargen.experiments.clockwork import ClockworkOutcome, Search
from chargen.experiments.curves import LearningCurve, Point
from chargen.experiments.quality import QualityOutcome
from chargen.experiments.runs import Course
from chargen.experiments.vanishing import VanishingOutcome
from chargen.inspection.gradients import Clipping, GradientReport


def course(bits: float | None, last_loss: float = 1.0) -> Course:
    """A run that reached so many bits, or diverged."""
    return Course(
        "x", 9, (1,), (1.0,), (last_loss,), (1.0,), (1,), (1.0,),
        () if bits is None else (bits,), 1, 1 if bits is None else None, 1.0,
    )  # fmt: skip


def cells(*runs: tuple[str, float | None, float | None]) -> tuple[str, str]:
    found = [Contestant(name, 8, course(steps), course(time)) for name, steps, time in runs]
    return CellsOutcome("text", 1, 1.0, tuple(found)).findings()


def test_cells() -> None:
    steps, time = cells(("rnn", 3.0, 2.0), ("lstm", 2.5, 2.25))
    assert "lstm predicts best, with 2.500" in steps
    assert "rnn worst, with 3.000" in steps
    assert "rnn predicts best, with 2.000" in time
    assert time.endswith("the order is another.")
    steps, time = cells(("rnn", None, None), ("lstm", 2.5, 2.25))
    assert steps.endswith("and rnn diverges.")
    assert time.endswith("the order is the same.")
    assert cells(("gru", 2.5, 2.0)) == (
        "At equal steps gru reaches 2.500 bits per character.",
        "In equal time gru reaches 2.000 bits per character.",
    )
    assert "every cell diverges" in cells(("gru", None, 2.0))[0]


@pytest.mark.parametrize(
    ("runs", "parts"),
    [
        ([(1.0, 0.5, 3.0), (1.0, 0.0, None), (0.1, 0.5, 3.0), (0.1, 0.0, 3.0)],
         ("With clipping 2 of 2 runs learn, without it 1 of 2.", "is 1 with", "and 0.1 without")),
        ([(1.0, 0.5, 3.0), (1.0, 0.0, 99.0)],
         ("1 of 1 runs learn, without it 0 of 1.", "is 1 with", "and none without")),
    ],
)  # fmt: skip
def test_clipping(runs: Any, parts: tuple[str, ...]) -> None:
    made = [
        ClippedRun(rate, clip, 6.0, course(None) if loss is None else course(3.0, loss))
        for rate, clip, loss in runs
    ]
    said = " ".join(ClippingOutcome("text", 1, tuple(made)).findings())
    assert all(part in said for part in parts)


def test_clockwork() -> None:
    def search(cell: str, mse: float) -> Search:
        return Search(cell, 1, 1, {0.1: (mse,)}, 0.1, (mse,), (0.0,))

    wave = (1.0, -1.0)  # of variance 1
    found = (search("lstm", 0.5), search("clockwork", 0.05), search("rnn", 0.2))
    best, follow = ClockworkOutcome(1, wave, found).findings()
    assert "network clockwork comes nearest" in best
    assert "a median MSE of 0.05, against 0.2 (rnn) and 0.5 (lstm)." in best
    assert follow.endswith("is reached by clockwork.")
    assert "no network" in ClockworkOutcome(1, wave, found[::2]).findings()[1]


def test_vanishing() -> None:
    clipping = Clipping(0, (), (), ())
    reports = [
        GradientReport(run, 1, norms, (norms,) * 3, {}, 9, {}, (), clipping)
        for run, norms in (("rnn", (2.0, 0.002)), ("lstm", (1.0, 0.1)))
    ]
    shares, best = VanishingOutcome("text", 1, tuple(reports), ()).findings()
    assert "at lag 1: 1.0e-03 in rnn, 1.0e-01 in lstm" in shares
    assert "farthest back in lstm, with 1e+02 times the share of rnn" in best


def learning_curve(name: str, seconds: float, first: float, last: float) -> LearningCurve:
    """A curve that falls along a line, and ends where it is scored."""
    return LearningCurve(name, 1, (Point(0, 0, first), Point(seconds, 9, last)), last)


def quality(ours: float) -> QualityOutcome:
    made = {
        "chargen": learning_curve("small", 100, 5.0, ours),
        "short": learning_curve("small, short", 12.5, 5.0, 3.5),
        "plain": learning_curve("plain loop", 100, 5.0, 2.5),
        "gpt": learning_curve("small GPT", 80, 5.0, 3.0),
        "recalling": learning_curve("small, recalling", 1, 2.0, 2.0),
        "counting": learning_curve("counting alone", 1, 4.0, 4.0),
        "ppmd": learning_curve("PPMd", 1, 4.0, 4.0),
    }
    return QualityOutcome("machine", "cpu", 1, "2", "float32", "text", 9, 9, 9, 0, **made)


def test_quality() -> None:
    better, reached = quality(2.0).findings()
    assert "small ends at 2.000 bits per character" in better
    assert "0.500 fewer than plain loop and 1.000 fewer than small GPT." in better
    # 5 - 0.03 t = 3 at t = 66.7 s, of 80 s.
    assert reached == "It reaches the end of the curve of small GPT in 0.83 of its time."
    worse, never = quality(3.25).findings()
    assert "0.750 more than plain loop and 0.250 more than small GPT." in worse
    assert never == "It doesn't reach the end of the curve of small GPT."


def test_only_what_was_scored_on_the_same_text_has_a_time_to_the_gpts_end() -> None:
    table, _ = quality(2.0).tables()
    assert [row[-1] for row in table.rows] == ["66.7 s", "never", "80.0 s", "80.0 s", *"---"]


def test_the_picture_of_quality_says_what_to_see(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures: list[Any] = []
    monkeypatch.setattr(curves, "save_figure", lambda figure, out: figures.append(figure))
    outcome = quality(2.0)
    outcome.draw(tmp_path / "x.png")
    shown = figures[0].get_supxlabel()
    assert "The dotted line is the end of the curve of small GPT." in shown
    assert all(sentence in shown for sentence in outcome.findings())

"""The display of a training run at any size, and what is known of the run."""

from __future__ import annotations

import io
import math
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from chargen.terminal.dashboard import Dashboard
from chargen.terminal.plain import PlainView
from chargen.terminal.watched import Watched
from chargen.training.events import (
    Earlier,
    Evaluation,
    Event,
    Planned,
    RolledBack,
    Sample,
    Started,
    Step,
)

STORY = "小熊吃到一个香蕉，又看见小熊的手上有一个大大的蛋糕。\n\n他有一只小勺子，敲了一次。\x1b[31m"
SIZES = [(40, 15), (80, 24), (120, 40), (20, 8), (8, 3), (300, 100)]


def started(step: int = 0) -> Started:
    return Started(
        step,
        0.0,
        parameters=1_000_000,
        threads=2,
        device="cpu",
        train_characters=300_000,
        steps_per_epoch=100,
        seq_length=64,
        batch_size=32,
        bits_per_nat=1.5,
        unknown_bits=0.25,
        mixed=True,
    )


def evaluation(step: int, bits: float) -> Evaluation:
    return Evaluation(step, step * 0.4, bits, bits * math.log(2), 0.3, 30_000, best=True)


def trained(step: int, loss: float, left: float | None = None) -> Step:
    return Step(step, step * 0.4, loss, 0.4, 0.0, 0.01, step / 100, 15_230.0, left)


def watched(bits: tuple[float, ...] = (9.0, 7.0, 6.0, 5.9, 6.1, 6.3)) -> Watched:
    run = Watched()
    events: list[Event] = [started(), Planned(0, 0.0, 1000, 1050.0, fixed=True)]
    for step in range(10, 100 * len(bits) + 1, 10):
        events.append(trained(step, 3 + 5 * math.exp(-step / 40) - step / 1000, 412.0))
        if step % 100 == 0:
            events += [evaluation(step, bits[step // 100 - 1]), Sample(step, 0.0, STORY)]
    for event in events:
        run.note(event)
    return run


def shown(run: Watched, width: int, height: int) -> list[str]:
    console = Console(
        width=width, height=height, file=io.StringIO(), force_terminal=True, color_system=None
    )
    with console.capture() as captured:
        console.print(Dashboard(run, ["novel.txt was read as gb18030. " * 5]))
    return captured.get().splitlines()


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_it_fits_any_terminal(width: int, height: int) -> None:
    lines = shown(watched(), width, height)
    assert len(lines) <= height
    assert max(map(cell_len, lines)) <= width


@pytest.mark.parametrize(("width", "height"), SIZES[:3])
def test_it_uses_the_lines_that_there_are(width: int, height: int) -> None:
    assert len(shown(watched(), width, height)) >= height - 2


@pytest.mark.parametrize(("width", "height"), SIZES[:3])
def test_curves_best_point_and_a_sample_are_there(width: int, height: int) -> None:
    text = "\n".join(shown(watched(), width, height))
    for part in ("step 600 of 1,000", "★", "●", "sample at step 600", "小熊吃到一个香蕉", "6.300"):
        assert part in text
    assert "\x1b" not in text.replace("\x1b[31m", "")
    assert ("sample at step 400" in text) == (height == 40)
    assert ("64 chars × 32 lanes" in text) == (height > 15)


def test_the_time_left_and_the_time_in_all_agree() -> None:
    first_line = next(line for line in shown(watched(), 120, 40) if "step 600" in line)
    assert "6 min 52 s left of 10 min 52 s" in first_line  # after 4 min, whatever was announced


def test_losses_are_in_the_unit_of_evaluations() -> None:
    run = Watched()
    run.note(started())
    run.note(trained(10, 2.0))
    assert run.training == [(10, 2.0 * 1.5 + 0.25)]


def test_a_resumed_run_has_its_earlier_curves() -> None:
    run = Watched()
    run.note(started(20))
    earlier = Earlier(20, 5.0, ((10, 3.0), (20, 2.0)), ((10, 4.0), (20, 4.5)), ((20, "text"),))
    run.note(earlier)
    run.note(trained(30, 1.0))
    assert run.training == [(10, 4.75), (20, 3.25), (30, 1.75)]
    assert run.best == (10, 4.0)
    assert run.samples == [(20, "text")]


def test_a_roll_back_forgets_what_came_after() -> None:
    run = watched()
    run.note(RolledBack(300, 1.0, failed_step=600, lr_scale=0.5))
    assert run.training[-1][0] == 300
    assert [step for step, _ in run.validation] == [100, 200, 300, 400]  # 400 is the best


def test_a_long_run_keeps_its_shape_in_few_points() -> None:
    run = Watched()
    run.note(started())
    for step in range(1, 30_001):
        run.note(trained(step, step / 10_000))
    assert len(run.training) <= 2000
    for step, bits in run.training:
        assert bits == pytest.approx(step / 10_000 * 1.5 + 0.25)


@pytest.mark.parametrize(
    ("bits", "rises"),
    [
        ((9.0, 7.0, 6.0, 5.9), False),
        ((9.0, 7.0, 6.0, 6.5), False),
        ((9.0, 7.0, 6.0, 6.5, 6.6), True),
        ((9.0, 7.0, 6.0, 6.001, 6.002), False),
        ((9.0, 7.0, 6.0, 6.5, 5.9, 5.8), False),
    ],
)
def test_a_rise_of_validation_is_told_once_it_lasts(bits: tuple[float, ...], rises: bool) -> None:
    advice = watched(bits).rising
    assert (advice is not None) == rises
    if advice:
        assert "since step 300" in advice
        assert "learnt by heart" in advice
        assert "`dropout`" in advice


def test_lines_of_text_tell_a_rise_once() -> None:
    said: list[str] = []
    view = PlainView(said.append)
    view.event(started())
    for n, bits in enumerate((6.0, 6.5, 6.6, 6.7, 6.8), start=1):
        view.event(trained(100 * n, 3 - n / 10))
        view.event(evaluation(100 * n, bits))
    assert sum("learnt by heart" in line for line in said) == 1


@pytest.mark.parametrize("mixed", [True, False])
def test_a_line_says_what_the_training_figure_of_a_run_with_counts_is(*, mixed: bool) -> None:
    said: list[str] = []
    view = PlainView(said.append)
    view.event(replace(started(), mixed=mixed))
    view.event(trained(100, 2.0))
    about = " (the mean with and without counts)" if mixed else ""
    assert said[-1].startswith(f"step 100: training 3.250 bits per character{about}, gradient")


def test_between_events_the_steps_are_counted() -> None:
    run = Watched()
    run.note(started())
    run.note(trained(10, 2.0, left=30.0))
    for _ in range(4):
        run.begin_step()
    assert run.steps == 13  # the fourth has only begun
    assert run.seconds_left is not None
    assert 29 < run.seconds_left <= 30
    run.note(trained(20, 2.0, left=20.0))
    assert run.steps == 20
    assert run.seconds_in_all == pytest.approx(20 * 0.4 + 20.0)

"""The training loop: truncated backpropagation through time over contiguous lanes."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator

from chargen.machine.settings import under_training_settings
from chargen.machine.team import ALONE, Team
from chargen.training.accumulation import accumulate_gradient
from chargen.training.dropout import dropout_share
from chargen.training.events import Event
from chargen.training.learning_rate import learning_rate
from chargen.training.optimizer import clip_gradients, optimized, set_learning_rate
from chargen.training.plan import PreparedRun
from chargen.training.session import Session

LOG_EVERY = 10


def training_events(
    run: PreparedRun, stop: Callable[[], bool], team: Team = ALONE
) -> Generator[Event, None, None]:
    """Train ``run`` from where it stands to its planned end, and yield what happens.

    The settings of the process are changed while it trains, and never between two events: see
    ``chargen.machine.settings``. The caller holds the run's lock.

    Args:
        run: training begins at the newest resumable checkpoint in its folder, if there is one.
        stop: called before every step; True saves and ends the run.
        team: the processes that train it together, each with events of its own.

    Raises:
        TrainingError: the run has diverged, which its last event says too: the loss was not
            finite, again and again, or is far worse than guessing at the end; or another process
            was lost.
    """
    return under_training_settings(_events(run, stop, team), run.plan.config.training.threads)


def _events(run: PreparedRun, stop: Callable[[], bool], team: Team) -> Generator[Event, None, None]:
    yield from session_events(Session(run, team=team), stop)


def session_events(session: Session, stop: Callable[[], bool]) -> Generator[Event, None, None]:
    """Train in an open session; the caller has changed the settings of the process.

    For every window: forward, −log softmax(o_t)[x_{t+1}] averaged over it (with counts, half of
    that and half of the mixture's), backward (in parts, where the gradient is accumulated), sum
    over the processes, clip, step. The state is carried to the next window, cut off from the graph
    behind it.
    """
    options, recipe = session.config.training, session.config.recipe
    state, means, timetable = session.state, session.means, session.timetable
    parts, parameters = options.gradient_accumulation_steps, list(state.model.parameters())
    yield from session.start()
    while True:
        yield from session.plan_by_clock()
        reason = session.reason_to_end(stop)
        if reason and session.is_sound():
            break
        if reason:
            yield from session.roll_back()
            continue
        timetable.pace.begin_step()
        lr = state.lr_scale * learning_rate(state.step, timetable.total_steps, options, recipe)
        set_learning_rate(state.optimizer, lr)
        state.set_dropout(dropout_share(session.passes, options, recipe))
        lesson = session.next_lesson()
        state.model.zero_grad(set_to_none=True)
        loss, after = accumulate_gradient(
            state.model, lesson, state.dropout, parts, session.autocast
        )
        session.material.prepare(state.step + 1)
        loss = session.team.sum_gradients(parameters, loss, session.sent_as)
        norm = clip_gradients(optimized(state.optimizer), options.grad_clip)
        nats = float(loss)
        if not math.isfinite(nats + norm):
            yield from session.roll_back()
            continue
        state.optimizer.step()
        state.carried = after
        state.step += 1
        timetable.pace.end_step()
        means.add(lesson.read, nats, norm, clipped=0 < options.grad_clip < norm)
        if state.step % LOG_EVERY == 0 or state.step in (1, timetable.total_steps):
            yield session.step_event(lr)
        due = session.due()
        if any(due) and not session.is_sound():
            yield from session.roll_back()
            continue
        if due.evaluate:
            yield session.evaluate()
        if due.sample:
            yield session.sample()
        if due.save:
            yield session.save()
    yield from session.end(reason)

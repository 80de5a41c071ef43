"""The training loop: truncated backpropagation through time over contiguous lanes."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator

from chargen.machine.allocator import freed_memory_kept
from chargen.machine.devices import cpu_threads
from chargen.machine.precision import exact_float32
from chargen.training.accumulation import accumulate_gradient
from chargen.training.events import Event
from chargen.training.optimizer import (
    clip_gradients,
    dropout_share,
    learning_rate,
    set_learning_rate,
)
from chargen.training.session import Session
from chargen.training.setup import PreparedRun

LOG_EVERY = 10


def training_events(run: PreparedRun, stop: Callable[[], bool]) -> Generator[Event, None, None]:
    """Train ``run`` from where it stands to its planned end, and tell what happens.

    Every window: forward, −log softmax(o_t)[x_{t+1}] averaged over it, backward (in parts, where
    the gradient is accumulated), clip, step; the state is carried to the next window, cut off
    from the graph behind it. The caller holds the run's lock. While it lasts the process keeps
    memory that it frees: see ``chargen.machine.allocator``.

    Args:
        run: the newest resumable checkpoint in its folder, if any, is where this begins.
        stop: asked before every step; True saves and ends the run.

    Raises:
        TrainingError: the loss was not finite, again and again.
    """
    options = run.config.training
    with cpu_threads(options.threads) as threads, freed_memory_kept(), exact_float32():
        yield from session_events(Session(run), threads, stop)


def session_events(
    session: Session, threads: int, stop: Callable[[], bool]
) -> Generator[Event, None, None]:
    """The same for a session that is open, on so many threads."""
    options = session.config.training
    state, pace, meter = session.state, session.pace, session.meter
    parts = options.gradient_accumulation_steps
    yield from session.start(threads)
    while True:
        if session.total_steps is None:
            yield from session.plan_by_clock()
        reason = session.reason_to_end(stop)
        if reason and session.is_sound():
            break
        if reason:
            yield session.roll_back()
            continue
        pace.begin_step()
        lr = state.lr_scale * learning_rate(state.step, session.total_steps, options)
        set_learning_rate(state.optimizer, lr)
        state.set_dropout(dropout_share(session.passes, options))
        ids, targets, before = session.next_window()
        state.optimizer.zero_grad(set_to_none=True)
        loss, after = accumulate_gradient(
            state.model, ids, targets, before, state.dropout, parts, session.autocast
        )
        session.feed.prepare(state.step + 1)
        norm = clip_gradients(list(state.model.parameters()), options.grad_clip)
        nats = float(loss)
        if not math.isfinite(nats + norm):
            yield session.roll_back()
            continue
        state.optimizer.step()
        state.carried = after
        state.step += 1
        pace.end_step()
        meter.add(ids.numel(), nats, norm, clipped=0 < options.grad_clip < norm)
        if state.step % LOG_EVERY == 0 or state.step in (1, session.total_steps):
            yield session.step_event(lr)
        save = session.save_due()
        if (save or session.measuring_due()) and not session.is_sound():
            yield session.roll_back()
            continue
        if session.due(session.rhythm.evaluate):
            yield session.evaluate()
        if session.due(session.rhythm.sample):
            yield session.sample()
        if save:
            yield session.save()
    yield from session.end(reason)

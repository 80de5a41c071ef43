"""One sitting of a training run: where it stands, what is due, and how that is done."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from chargen.generation.seeds import sample_seed
from chargen.machine.devices import autocast, resolve_device, resolve_precision
from chargen.machine.team import ALONE, Team
from chargen.runs.layout import LAST
from chargen.training.accumulation import accumulate_gradient
from chargen.training.beginning import take_first_state
from chargen.training.budget import Due, Timetable
from chargen.training.computing import gradients_sent_as
from chargen.training.counts import Counts
from chargen.training.events import (
    Checkpoint,
    Evaluation,
    Event,
    RolledBack,
    Sample,
    Step,
)
from chargen.training.lessons import Share
from chargen.training.material import material_of
from chargen.training.optimizer import clip_gradients, optimized
from chargen.training.pace import Clock, StepMeans, time_of_step
from chargen.training.plan import PreparedRun
from chargen.training.reports import (
    beyond_guessing,
    diverged,
    evaluation_event,
    finished_event,
    kept,
    never_finite,
    started_event,
)
from chargen.training.state import TrainingState

_SAVE_SECONDS = 60.0
_FIRST_SAMPLE_SECONDS = 3.0  # to see early that, and what, it learns


class Session:
    """What the loop works on; everything that a resume needs is in ``state``.

    Attributes:
        config: of the run; the session alone changes it, here and in the folder.
        material: what the run learns from.
        ngram: the counts that are mixed with the network, or None.
        team: the processes that train the run together.
        sent_as: the format in which gradients travel between them.

    Args:
        run: what is to be trained, and where it is kept.
        clock: the seconds by which everything is timed; one that can be stopped will do.
        validate: False leaves the validation split out: it is never scored, and the best weights
            are the last ones.
        team: the processes that train the run, of which the leading one decides, scores, samples
            and writes.
    """

    def __init__(
        self,
        run: PreparedRun,
        clock: Clock = time.perf_counter,
        *,
        validate: bool = True,
        team: Team = ALONE,
    ) -> None:
        began, self._clock, self.team = clock(), clock, team
        self.folder, self.config, self.corpus = run.folder, run.plan.config, run.plan.corpus
        self._notes, self._rebudgeted = run.plan.notes, run.plan.rebudgeted
        corpus, options = self.corpus, self.config.training
        self.means = StepMeans(clock, corpus.manifest.train)
        self.device = resolve_device(options.device)
        team.require(self.device)
        precision = resolve_precision(self.config.precision, self.device)
        self.sent_as = gradients_sent_as(precision, self.device)
        self.autocast = autocast(self.config.precision, self.device)
        self._saved_step = -1
        self._begins = run.state is not None and self.folder.last_step() == 0
        self.state = (self._begins and run.state) or TrainingState(self.config, self.device)
        self.state.join(team)
        if take_first_state(self.state, run, begins=self._begins):
            self._saved_step = self.state.step
        counts = run.counts or Counts.of(corpus, self.config.model)
        if not self._begins:
            self.folder.write_ngram(counts.ngram)  # its file comes back if it was lost
        self.ngram, self.material = counts.ngram, material_of(self.config, corpus, counts, team)
        self._val_characters = self.material.val_characters if validate else 0
        steps_per_epoch = self.material.steps_per_epoch
        self.timetable = Timetable(self.config, steps_per_epoch, self._val_characters, clock)
        self._began, self._saved_at = began - self.state.seconds, clock()
        self._opened = clock()
        self._sampled, self._next_loss = self.state.step > 0 or options.sample_every > 0, 0.0

    @property
    def seconds(self) -> float:
        """Since training began, with its initial weights, earlier sittings included."""
        return self._clock() - self._began

    @property
    def passes(self) -> float:
        """Over the text, so far."""
        return self.state.step / self.material.steps_per_epoch

    def start(self) -> Iterator[Event]:
        """Report what is about to happen; save the beginning, so that no kill can lose it."""
        yield started_event(
            self.state,
            self.corpus,
            self.config,
            seconds=self.seconds,
            device=self.device,
            steps_per_epoch=self.material.steps_per_epoch,
            notes=self._notes,
        )
        step, timetable = self.state.step, self.timetable
        if self._rebudgeted and timetable.total_steps is None and step:
            # It may go on where every rate depends on the total.
            timetable.pace.assume(time_of_step(self._clock, self._try_step))
            timetable.plan_resumed(step, *self._times())
        self._write_config(timetable.total_steps)
        if self._saved_step < 0:
            yield self.save()
        if timetable.total_steps is not None and timetable.total_steps > step:
            timetable.assumed = time_of_step(self._clock, self._try_step)
            yield timetable.announce(step, self.seconds)
        self.means.clear()

    def _write_config(self, total_steps: int | None) -> None:
        """Keep what this sitting trains with, and the schedule for every later one."""
        self.config = replace(self.config, total_steps=total_steps)
        self.folder.write_config(self.config)

    def plan_by_clock(self) -> Iterator[Event]:
        """Report the number of steps, where it isn't known yet, or else a change of their time."""
        unknown = self.timetable.total_steps is None
        times = self._times() if unknown else (self.seconds, None)
        planned = self.timetable.plan(self.state.step, *times)
        if unknown and planned and planned.fixed:
            self._write_config(planned.total_steps)
        if planned:
            yield planned

    def _times(self) -> tuple[float, float | None]:
        """The seconds of the run so far and of a step, as the leading process has timed them."""
        times = self.seconds, self.timetable.pace.seconds_per_step
        return self.team.by_leader(lambda: times)

    def reason_to_end(self, stop: Callable[[], bool]) -> str:
        """Why the run ends before the next step; empty: it doesn't."""
        options, total_steps = self.config.training, self.timetable.total_steps
        if total_steps is not None and self.state.step >= total_steps:
            return "done"
        longest = (options.max_minutes or math.inf) * 60 * self.config.recipe.clock_overtime
        stopped, late = self.team.any(stop(), self.state.step > 0 and self.seconds > longest)
        if stopped:
            return "interrupted"
        if 0 < options.patience <= self.state.evaluations_since_best:
            return "patience"
        if late:
            return "time"
        return ""

    def next_lesson(self) -> Share:
        """What the next step learns from."""
        return self.material.lesson(self.state)

    def due(self) -> Due:
        """What to do after this step: by the rhythm, and by the clock.

        The first sample comes soon after the start; no more than a minute's work is ever unsaved.
        """
        step, now = self.state.step, self._clock()
        early, long_ago = self.team.any(
            not self._sampled and now - self._opened > _FIRST_SAMPLE_SECONDS,
            now - self._saved_at > _SAVE_SECONDS and step != self.timetable.total_steps,
        )
        return self.timetable.due(step, sample=early, save=long_ago)

    def is_sound(self) -> bool:
        """Whether the next step has a finite loss and gradient; changes nothing.

        Only the next step shows that the last one blew up the weights, which must not be saved.
        """
        self._next_loss, norm = self._try_step()
        return math.isfinite(self._next_loss + norm)

    def _try_step(self) -> tuple[float, float]:
        """Loss and gradient norm of the next window, without dropout; changes nothing."""
        model, parts = self.state.model, self.config.training.gradient_accumulation_steps
        parameters = list(model.parameters())
        loss, _ = accumulate_gradient(model, self.next_lesson(), None, parts, self.autocast)
        loss = self.team.sum_gradients(parameters, loss, self.sent_as)
        norm = clip_gradients(optimized(self.state.optimizer), 0)
        model.zero_grad(set_to_none=True)
        return float(loss), norm

    def step_event(self, lr: float) -> Step:
        """The means since the last of these events."""
        step, seconds = self.state.step, self.seconds
        left = self.timetable.seconds_left(step, seconds)
        return self.means.event(step, seconds, lr, self.passes, left)

    def evaluate(self) -> Evaluation:
        """Score the validation split; the best weights so far go to disk."""
        state = self.state
        scores = self.material.score(state)
        best = scores.bits_per_char < state.best_bits
        if best:
            state.best_bits = scores.bits_per_char
            state.evaluations_since_best = 0
            with state.calibrated():
                self.folder.save_best(state.model, state.step, scores.bits_per_char)
        else:
            state.evaluations_since_best += 1
        state.evaluated_step = state.step
        self._pause()
        return evaluation_event(state.step, self.seconds, scores, best=best)

    def sample(self) -> Sample:
        """Let the model write a little, each time with the same random numbers of its own.

        So samples differ by what was learnt between them alone.
        """
        seed = sample_seed(self.config.training.seed, "sample")
        text = self.team.by_leader(lambda: self.material.sample(self.state, seed))
        self._sampled = True
        self._pause()
        return Sample(self.state.step, self.seconds, text=text)

    def save(self) -> Checkpoint:
        """Put on disk what a resume needs; without validation, the best weights are these."""
        state = self.state
        state.seconds = self.seconds
        if not self._val_characters:
            self.folder.save_best(state.model, state.step, None)
        place = self.folder.path / LAST / str(state.step)
        if not self._begins:  # then it was written with the folder
            self.folder.save_last(state.step, *state.saved())
        self._begins = False
        self._saved_at, self._saved_step = self._clock(), state.step
        self._pause()
        return Checkpoint(state.step, state.seconds, path=str(place))

    def _pause(self) -> None:
        """Leave out of the time of steps what has passed since the last one."""
        self.timetable.pause(self.state.step, self.means.skip())

    def roll_back(self) -> Iterator[Event]:
        """Go back to the last good checkpoint, with a lower learning rate.

        Raises:
            TrainingError: that was done often enough, and the run ends.
        """
        state, failed, recipe = self.state, self.state.step, self.config.recipe
        lr_scale, rollbacks = state.lr_scale * recipe.rollback_lr, state.rollbacks + 1
        best = state.best_bits, state.evaluations_since_best
        if rollbacks > recipe.rollback_limit:
            yield from self._finish("", never_finite(failed + 1, recipe.rollback_limit))
        state.model.zero_grad(set_to_none=True)
        if saved := self.team.spread(self.folder.load_last):
            state.restore(*saved)
            self._saved_step = state.step
        state.lr_scale, state.rollbacks, state.seconds = lr_scale, rollbacks, self.seconds
        state.best_bits, state.evaluations_since_best = best  # of weights that are on disk
        self.folder.change_last(state.step, state.values())
        self.means.clear()
        yield RolledBack(state.step, state.seconds, failed_step=failed, lr_scale=lr_scale)

    def end(self, reason: str) -> Iterator[Event]:
        """The last evaluation, the last sample, the last checkpoint, and why the run ends.

        Raises:
            TrainingError: what it has come to is far worse than guessing.
        """
        state, unsaved = self.state, self._saved_step != self.state.step
        unmeasured = bool(self._val_characters) and state.evaluated_step != state.step
        if reason != "interrupted" and unmeasured:
            yield self.evaluate()
            if not unsaved:
                state.seconds = self.seconds
                self.folder.change_last(state.step, state.values())
        if reason != "interrupted" and unsaved:
            yield self.sample()
        if unsaved:
            yield self.save()
        lost = beyond_guessing(state.step, self._next_loss, self.config.model)
        yield from self._finish(reason, "" if reason == "interrupted" else lost)

    def _finish(self, reason: str, lost: str) -> Iterator[Event]:
        """Say that the run ends, or why it is lost: then an error says what to do."""
        yield finished_event(self.state, self.seconds, self.folder, "diverged" if lost else reason)
        if lost:
            raise diverged(lost, self.team.by_leader(lambda: kept(self.folder, self.config)))

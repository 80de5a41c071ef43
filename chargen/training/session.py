"""One sitting of a training run: where it stands, what is due, and how that is done."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from statistics import median

from torch import Tensor

from chargen.config import SamplingConfig
from chargen.corpus.windows import Windows
from chargen.errors import TrainingError
from chargen.evaluation.scores import head_of_text, score_characters
from chargen.generation.engine import Engine
from chargen.generation.requests import Request
from chargen.generation.sampler import sample_seed
from chargen.machine.devices import autocast, resolve_device
from chargen.network.model import ModelState
from chargen.training.accumulation import accumulate_gradient
from chargen.training.beginning import begin_weights
from chargen.training.budget import EVALUATED_PIECES, Pace, Rhythm, planned_steps
from chargen.training.events import (
    Checkpoint,
    Evaluation,
    Event,
    Finished,
    Planned,
    RolledBack,
    Sample,
    Started,
    Step,
)
from chargen.training.feed import Feed
from chargen.training.optimizer import HOLD, clip_gradients
from chargen.training.setup import PreparedRun
from chargen.training.state import TrainingState

MOST_ROLLBACKS = 3
SAMPLE = SamplingConfig(length=120, temperature=0.8)
_SAVE_SECONDS = 60.0
_ESTIMATED = 0.03
"""The share of its minutes after which a run says how many steps it will make, about."""
_FIXED = 0.9 * HOLD
"""The share of its steps after which it decides: a little before the learning rate falls."""
_NEWS = 1.1
"""An estimate is told again when it has changed by such a factor."""
_TRIED_STEPS = 4
"""To find out how long one takes; the first is slower, and one of the others may be disturbed."""
_WHOLE_STEP = 1.1
"""A step, dropout and optimiser included, over its forward and backward pass."""
_OVERTIME = 1.1
"""A run that the machine slowed down after it was planned ends at this share of its minutes."""


class Meter:
    """Means over the steps since they were last asked for; ``seconds`` are those of steps."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.steps, self.pieces, self.clipped = 0, 0, 0
        self.nats, self.norm, self.seconds = 0.0, 0.0, 0.0
        self.skip()

    def skip(self) -> None:
        """What was done since the last step is none of it."""
        self._since = time.perf_counter()

    def add(self, pieces: int, nats: float, norm: float, *, clipped: bool) -> None:
        self.steps += 1
        self.pieces += pieces
        self.nats += nats
        self.norm += norm
        self.clipped += clipped
        now = time.perf_counter()
        self.seconds += now - self._since
        self._since = now


class Session:
    """What the loop works on; everything that a resume needs is in ``state``.

    Args:
        run: what is to be trained.
        clock: seconds by which it is timed; one that others stop may be given.
    """

    def __init__(self, run: PreparedRun, clock: Callable[[], float] = time.perf_counter) -> None:
        began, self._clock = clock(), clock
        self.run, self.config, self.corpus = run.folder, run.config, run.corpus
        self.notes = run.notes
        config, corpus, options = run.config, run.corpus, run.config.training
        self.pace, self.meter = Pace(), Meter()
        self.device = resolve_device(options.device)
        self.autocast = autocast(options.precision, self.device)
        self.state = TrainingState(config, self.device)
        self._saved_step = -1
        self._estimate = 0
        if not self._load_last():
            begin_weights(self.state.model, corpus, run.source)
        self.windows = Windows(
            corpus.train, options.batch_size, options.seq_length, corpus.tokenizer.newline_id
        )
        self.feed = Feed(self.windows, self.device)
        self._val = head_of_text(corpus.tokenizer, corpus.val, EVALUATED_PIECES)
        self._val_characters = corpus.manifest.val.characters if len(corpus.val) else 0
        self.total_steps = config.total_steps or planned_steps(
            options, self.windows.steps_per_epoch, corpus.manifest.train.characters
        )
        self.rhythm = Rhythm.of(options, self.total_steps, self._val_characters)
        self._began = began - self.state.seconds
        self._saved_at = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Since training began, with its initial weights, earlier sittings included."""
        return self._clock() - self._began

    @property
    def passes(self) -> float:
        """Over the text, so far."""
        return self.state.step / self.windows.steps_per_epoch

    def _load_last(self) -> bool:
        saved = self.run.load_last()
        if saved is None:
            return False
        self.state.restore(*saved)
        self._saved_step = self.state.step
        return True

    def start(self, threads: int) -> Iterator[Event]:
        """Tell what is about to happen; save the beginning, so that a kill can't lose it."""
        yield Started(
            self.state.step,
            self.seconds,
            parameters=sum(p.numel() for p in self.state.model.parameters()),
            threads=threads,
            device=str(self.device),
            train_characters=self.corpus.manifest.train.characters,
            steps_per_epoch=self.windows.steps_per_epoch,
            notes=self.notes,
        )
        if self._saved_step < 0:
            yield self.save()
        if self.total_steps is not None:
            self._record_total(self.total_steps)
        elif self.state.step:
            # Later sittings may begin where every rate depends on the total.
            self.pace.assume(self._time_a_step())
        if self.total_steps is not None and self.total_steps > self.state.step:
            each = self._time_a_step()
            left = (self.total_steps - self.state.step) * each
            yield Planned(
                self.state.step, self.seconds, self.total_steps, self.seconds + left, True
            )
        self.meter.clear()

    def _time_a_step(self) -> float:
        """Seconds of a step, by trying its passes on the next window; changes nothing."""
        seconds = []
        for _ in range(_TRIED_STEPS):
            began = time.perf_counter()
            self._try_step()
            seconds.append(time.perf_counter() - began)
        return median(seconds[1:]) * _WHOLE_STEP

    def plan_by_clock(self) -> Iterator[Event]:
        """Estimate the number of steps that the minutes allow; fix it before a rate needs it."""
        options, step, spent = self.config.training, self.state.step, self.seconds
        minutes = (options.max_minutes or 0.0) * 60
        if spent < _ESTIMATED * minutes:
            return
        total = self.pace.affordable_steps(options, step, spent, self._val_characters)
        if total is None:
            return
        fixed = step >= _FIXED * total and spent >= _FIXED / 2 * minutes  # a hiccup is no pace
        if fixed:
            # After a long hiccup even the steps made already must be ones of an unfallen rate.
            total = max(total, math.ceil((step - 1) / HOLD))
            self.total_steps = total
            self._record_total(total)
        elif self._estimate / _NEWS < total < self._estimate * _NEWS:
            return
        self._estimate = total
        self.rhythm = Rhythm.of(options, total, self._val_characters)
        yield Planned(step, spent, total, minutes, fixed)

    def _record_total(self, total: int) -> None:
        """Fix the schedule for every later sitting."""
        if self.config.total_steps != total:
            self.config = replace(self.config, total_steps=total)
            self.run.write_config(self.config)

    def reason_to_end(self, stop: Callable[[], bool]) -> str:
        """Why the run ends before the next step; empty: it doesn't."""
        options = self.config.training
        if self.total_steps is not None and self.state.step >= self.total_steps:
            return "done"
        if stop():
            return "interrupted"
        if 0 < options.patience <= self.state.evaluations_since_best:
            return "patience"
        longest = (options.max_minutes or math.inf) * 60 * _OVERTIME
        if self.state.step and self.seconds > longest:
            return "time"
        return ""

    def next_window(self) -> tuple[Tensor, Tensor, ModelState]:
        """Inputs (T, B), targets (T, B) and the carried state of the next step."""
        ids, targets, fresh = self.feed.window(self.state.step)
        return ids, targets, self.state.before_window(epoch_starts=fresh)

    def due(self, every: int) -> bool:
        """Whether something that happens every so many steps does now; the end comes apart."""
        return bool(every) and self.state.step % every == 0 and self.state.step != self.total_steps

    def save_due(self) -> bool:
        """Whether to save now: by the rhythm, or since a minute's work would be lost."""
        long_ago = time.perf_counter() - self._saved_at > _SAVE_SECONDS
        return self.due(self.rhythm.save) or (long_ago and self.state.step != self.total_steps)

    def measuring_due(self) -> bool:
        """Whether to evaluate or to sample now."""
        return self.due(self.rhythm.evaluate) or self.due(self.rhythm.sample)

    def is_sound(self) -> bool:
        """Whether the next step has a finite loss and gradient; changes nothing.

        Weights that a step has blown up show it only in the step after: what fails here must
        become no checkpoint, since there would be no way back from it.
        """
        loss, norm = self._try_step()
        return math.isfinite(loss + norm)

    def _try_step(self) -> tuple[float, float]:
        """Loss and gradient norm of the next window, without dropout; changes nothing."""
        model, parts = self.state.model, self.config.training.gradient_accumulation_steps
        window = self.next_window()
        loss, _ = accumulate_gradient(model, *window, parts=parts, autocast=self.autocast)
        norm = clip_gradients(list(model.parameters()), 0)
        self.state.optimizer.zero_grad(set_to_none=True)
        return float(loss), norm

    def step_event(self, lr: float) -> Step:
        meter, characters = self.meter, self.corpus.manifest.train.characters
        chars = meter.pieces * characters / max(1, len(self.corpus.train))
        event = Step(
            self.state.step,
            self.seconds,
            loss=meter.nats / meter.steps,
            grad_norm=meter.norm / meter.steps,
            clipped=meter.clipped / meter.steps,
            lr=lr,
            epoch=self.passes,
            chars_per_second=chars / max(meter.seconds, 1e-9),
        )
        meter.clear()
        return event

    def evaluate(self) -> Evaluation:
        """Measure the model on the validation split; the best weights so far go to disk."""
        state = self.state
        scores = score_characters(state.model, self.corpus.tokenizer, self._val).total()
        best = scores.bits_per_char < state.best_bits
        if best:
            state.best_bits = scores.bits_per_char
            state.evaluations_since_best = 0
            self.run.save_best(state.model, state.step, scores.bits_per_char)
        else:
            state.evaluations_since_best += 1
        state.evaluated_step = state.step
        self.meter.skip()
        return Evaluation(
            state.step,
            self.seconds,
            bits_per_char=scores.bits_per_char,
            nats_per_char=scores.nats_per_char,
            accuracy=scores.accuracy,
            characters=scores.characters,
            best=best,
        )

    def sample(self) -> Sample:
        """Let the model write a little, from generators of its own."""
        engine = Engine(self.state.model, self.corpus.tokenizer, slots=1)
        seed = sample_seed(self.config.training.seed, self.state.step)
        (result,) = engine.generate([Request("", SAMPLE, seed)])
        self.meter.skip()
        return Sample(self.state.step, self.seconds, text=result.text)

    def save(self) -> Checkpoint:
        """Put on disk what a resume needs; without a validation split, the best is the last."""
        state = self.state
        state.seconds = self.seconds
        if not self._val_characters:
            self.run.save_best(state.model, state.step, None)
        place = self.run.save_last(state.step, state.tensors(), state.values())
        self._saved_at, self._saved_step = time.perf_counter(), state.step
        self.meter.skip()
        return Checkpoint(state.step, state.seconds, path=str(place))

    def roll_back(self) -> RolledBack:
        """Go back to the last good checkpoint with half the learning rate.

        Raises:
            TrainingError: that was done often enough.
        """
        state, failed = self.state, self.state.step
        lr_scale, rollbacks = state.lr_scale / 2, state.rollbacks + 1
        best = state.best_bits, state.evaluations_since_best
        if rollbacks > MOST_ROLLBACKS:
            raise TrainingError(
                f"The loss at step {failed + 1} is not finite, after {MOST_ROLLBACKS} restarts "
                "with half the learning rate each.",
                "Train under a new --name with a lower --lr; --grad-clip 1 if it was turned off.",
            )
        state.optimizer.zero_grad(set_to_none=True)
        self._load_last()
        state.lr_scale, state.rollbacks, state.seconds = lr_scale, rollbacks, self.seconds
        state.best_bits, state.evaluations_since_best = best  # of weights that are on disk
        self.run.change_last(state.step, state.values())
        self.meter.clear()
        return RolledBack(state.step, state.seconds, failed_step=failed, lr_scale=lr_scale)

    def end(self, reason: str) -> Iterator[Event]:
        """The last measurement, the last checkpoint, the last word."""
        state, unsaved = self.state, self._saved_step != self.state.step
        unmeasured = bool(self._val_characters) and state.evaluated_step != state.step
        if reason != "interrupted" and unmeasured:
            yield self.evaluate()
            if not unsaved:
                state.seconds = self.seconds
                self.run.change_last(state.step, state.values())
        if reason != "interrupted" and unsaved:
            yield self.sample()
        if unsaved:
            yield self.save()
        best = state.best_bits
        yield Finished(
            state.step,
            self.seconds,
            reason=reason,
            best_bits_per_char=best if math.isfinite(best) else None,
            run=str(self.run.path),
        )

"""The display of a training run as lines of text."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from chargen.terminal.watched import Watched
from chargen.terminal.words import counted, duration, human, visible
from chargen.training.events import (
    Evaluation,
    Event,
    Finished,
    Planned,
    RolledBack,
    Sample,
    Started,
    Step,
)

PHASES = {
    "hash": "checking for a prepared corpus",
    "wait": "waiting for another process that is preparing it",
    "detect": "detecting the encoding",
    "count": "counting characters",
    "encode": "encoding and verifying",
}


class TrainingView(Protocol):
    """A display of a training run."""

    def preparing(self, phase: str, done: float, total: float) -> None: ...

    def event(self, event: Event) -> None: ...

    def tick(self) -> None:
        """Called before every step."""


class PlainView:
    """Prints evaluations, samples and other events as lines, and a step every ten seconds."""

    def __init__(self, say: Callable[[str], None], words: Callable[[str], str] = str) -> None:
        self._say = say
        self._said_at = -10.0
        self._phase, self._prepared_at = "", 0.0
        self._run = Watched(words)
        self._advised = False

    def preparing(self, phase: str, done: float, total: float) -> None:
        now = time.monotonic()
        if phase != self._phase or now - self._prepared_at >= 10:
            share = f", {done / total:.0%}" if done and total else ""
            self._say(f"Preparing the text: {PHASES.get(phase, phase)}{share}.")
            self._phase, self._prepared_at = phase, now

    def tick(self) -> None:
        pass

    def event(self, event: Event) -> None:
        self._run.note(event)
        match event:
            case Step():
                planned = self._run.planned
                last = planned is not None and event.step == planned.total_steps
                if event.seconds - self._said_at >= 10 or last:
                    self._said_at = event.seconds
                    self._say(self._step_line(event))
            case Planned():
                self._say(plan_line(event))
            case Sample():
                self._say(f"--- sample at step {event.step:,}\n{visible(event.text)}\n---")
            case _:
                for line in lines_of(event, self._run.words, self._run.unit):
                    self._say(line)
        if isinstance(event, Evaluation) and not self._advised and (advice := self._run.rising):
            self._advised = True
            self._say(advice)

    def _step_line(self, event: Step) -> str:
        planned, left = self._run.planned, event.seconds_left
        of = f"/{planned.total_steps:,}" if planned else ""
        more = f", {duration(left)} left" if planned and left else ""
        about = f" ({self._run.training_note})" if self._run.training_note else ""
        return (
            f"step {event.step:,}{of}: training {self._run.bits(event.loss):.3f} "
            f"{self._run.unit}{about}, gradient norm {event.grad_norm:.2f}, "
            f"{human(event.chars_per_second)} characters/s{more}"
        )


def lines_of(event: Event, words: Callable[[str], str], unit: str = Started.unit) -> list[str]:
    """Describe an event in lines; no lines for events that are displayed in other ways.

    ``words`` turns the names of options into what the reader calls them; scores are in ``unit``.
    """
    match event:
        case Started():
            where = counted(event.threads, "thread") if event.device == "cpu" else event.device
            begun = f"continuing at step {event.step:,}, " if event.step else ""
            line = (
                f"{begun}{human(event.parameters)} parameters, "
                f"{event.train_characters:,} characters of training text, {where}"
            )
            return [
                *(visible(words(note)) for note in event.notes),
                line[0].upper() + line[1:] + ".",
            ]
        case Evaluation():
            mark = " (best so far)" if event.best else ""
            return [
                f"step {event.step:,}: validation {event.bits_per_char:.3f} {unit}, "
                f"accuracy {event.accuracy:.1%}{mark}"
            ]
        case RolledBack():
            return [
                f"The loss after step {event.failed_step:,} was not finite: going back to step "
                f"{event.step:,}, with the learning rate × {event.lr_scale:g}."
            ]
        case Finished():
            why = {
                "done": "Done",
                "patience": "Stopped: no improvement",
                "time": "Stopped: time is up",
                "diverged": "Diverged",
                "interrupted": words("Interrupted; continue with `resume=True`"),
            }[event.reason]
            best = event.best_bits_per_char
            figure = "" if best is None else f", best validation {best:.3f} {unit}"
            return [f"{why}: step {event.step:,}, {duration(event.seconds)}{figure}. {event.run}"]
    return []


def plan_line(event: Planned) -> str:
    steps, time = f"{event.total_steps:,} steps in all", duration(event.total_seconds)
    return f"{steps}, about {time}." if event.fixed else f"About {steps}, in {time}."

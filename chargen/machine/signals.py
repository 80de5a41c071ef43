"""Signals that ask a long computation to end, held until it has saved."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from chargen.machine.launch import launched


@contextlib.contextmanager
def held_signals(*numbers: int) -> Iterator[list[int]]:
    """Collect the first of some signals in a list; a second one has its usual effect.

    Not so where a launcher started this process: it sends on what reaches this process too, and
    ends it by force in the end.
    Only the main thread can hold signals; elsewhere the list stays empty.
    """
    seen: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield seen
        return
    before = {number: signal.getsignal(number) for number in numbers}

    def note(number: int, _frame: FrameType | None) -> None:
        seen.append(number)
        if launched():
            return
        for each, handler in before.items():
            signal.signal(each, handler)

    for number in numbers:
        signal.signal(number, note)
    try:
        yield seen
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def interrupts_python() -> bool:
    """Return whether Ctrl-C raises KeyboardInterrupt, as it does unless a program changed that."""
    return signal.getsignal(signal.SIGINT) is signal.default_int_handler

"""The terminal as it was before a display took all of it, however the program ends."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType

_LEAVE = b"\x1b[?1049l\x1b[?25h"
"""Leaves the alternate screen, and shows the cursor."""
_DEADLY = ("SIGTERM", "SIGHUP", "SIGQUIT")


@contextlib.contextmanager
def restored_terminal(descriptor: int) -> Iterator[None]:
    """A block in which a signal that ends the process first gives the terminal back.

    Only signals that nothing else handles are caught, in the main thread; each then has its usual
    effect. A program that exits without leaving the block gives the terminal back as well.

    Args:
        descriptor: of the terminal.
    """

    def restore() -> None:
        with contextlib.suppress(OSError):  # the terminal may be gone
            os.write(descriptor, _LEAVE)

    def end(number: int, _frame: FrameType | None) -> None:
        restore()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    caught = []
    if threading.current_thread() is threading.main_thread():
        known = [getattr(signal, name) for name in _DEADLY if hasattr(signal, name)]
        caught = [each for each in known if signal.getsignal(each) is signal.SIG_DFL]
    for number in caught:
        signal.signal(number, end)
    atexit.register(restore)
    try:
        yield
    finally:
        atexit.unregister(restore)
        for number in caught:
            if signal.getsignal(number) is end:
                signal.signal(number, signal.SIG_DFL)

"""Work beside asyncio's thread."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from typing import TypeVar

T = TypeVar("T")
_working: set[Thread] = set()


async def in_thread(work: Callable[[], T], turn: asyncio.Lock | None = None) -> T:
    """Wait for ``work`` in a thread that doesn't keep the process from ending.

    asyncio's own pool would be waited for at the end, and a run takes seconds to load.

    Args:
        work: what is to be done.
        turn: held until the thread is done, even where nobody waits for it any more. Whoever
            stops waiting while the lock is held by others leaves their place in the line.
    """
    if turn is not None:
        await turn.acquire()
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if turn is not None:
            turn.release()
        if done.cancelled():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        try:
            result, error = work(), None
        except BaseException as raised:
            result, error = None, raised
        _working.discard(thread)
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(settle, result, error)

    thread = Thread(target=run, name="work", daemon=True)
    _working.add(thread)
    try:
        thread.start()
    except RuntimeError:  # there are too many threads
        _working.discard(thread)
        if turn is not None:
            turn.release()
        raise
    return await done


def wait_for_threads(seconds: float) -> None:
    """Let what was begun end, for so long: a process that ends while torch computes is aborted."""
    until = time.monotonic() + seconds
    for thread in tuple(_working):
        thread.join(max(0.0, until - time.monotonic()))

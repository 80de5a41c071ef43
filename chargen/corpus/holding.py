"""One process at a time makes a folder: an operating system's lock, and what kills leave behind.

The lock file lies beside the folder, hidden, and is removed when the work is done. After a kill it
stays, with what was unfinished; the next process that makes a folder there removes both, unless
somebody holds the lock.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from chargen.files import ASIDE, UNFINISHED, errors_about, parents_of, unfinished_name

_POLL_SECONDS = 0.02
_REPORT_SECONDS = 0.2
_LOCK = ".lock"
_RANDOM_PART = re.compile("[a-z0-9_]{8}")  # what tempfile appends to a name


@contextmanager
def held(out: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold the folder ``out``, which need not exist, for writing.

    Args:
        out: the folder; missing parents are made, and removed again if the block fails.
        on_wait: called again and again while another process holds it.

    Raises:
        OSError: the lock can't be made.
    """
    out = Path(os.path.abspath(out))  # noqa: PTH100 - unlike resolve(), leaves links alone
    with parents_of(out):
        path = out.parent / (unfinished_name(out) + _LOCK)
        with errors_about(out):
            lock = _acquired(path, on_wait)
        try:
            _sweep(path)
            _sweep_others(path)
            yield
        finally:
            _let_go(lock, path)


def _acquired(path: Path, on_wait: Callable[[], None]) -> FileLock:
    lock = FileLock(path)
    while True:
        try:
            lock.acquire(timeout=_REPORT_SECONDS, poll_interval=_POLL_SECONDS)
        except Timeout:
            on_wait()
        except FileNotFoundError:  # whoever held it has failed, and removed the folder it is in
            path.parent.mkdir(parents=True, exist_ok=True)
        else:
            return lock


def _let_go(lock: FileLock, path: Path) -> None:
    # Removed while it is held: whoever waits for it notices, and makes a new one. Windows removes
    # no open file; there the lock file goes when it is released, or stays.
    with suppress(OSError):
        path.unlink()
    lock.release()


def _sweep_others(own: Path) -> None:
    """Delete what killed processes left of other folders here, except where a lock is held."""
    for path in own.parent.glob(f"{UNFINISHED}*{_LOCK}"):
        if path == own:
            continue
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except (Timeout, OSError):
            continue
        try:
            _sweep(path)
        finally:
            _let_go(lock, path)


def _sweep(lock: Path) -> None:
    """Delete what killed processes left of the folder whose lock is held.

    A folder that was moved aside for one that never came is put back.
    """
    begins = lock.name.removesuffix(_LOCK) + "-"
    for entry in list(os.scandir(lock.parent)):
        end = entry.name[len(begins) :].removesuffix(ASIDE)
        if not entry.name.startswith(begins) or not _RANDOM_PART.fullmatch(end):
            continue
        if entry.name.endswith(ASIDE):
            for old in Path(entry.path).iterdir():
                if old.is_dir() and not (lock.parent / old.name).exists():
                    old.rename(lock.parent / old.name)
        shutil.rmtree(entry.path, ignore_errors=True)

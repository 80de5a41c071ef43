"""A folder that is there as a whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A temporary folder beside ``out`` that takes its place when the block ends well.

    Its files are flushed to disk first. An older ``out`` is moved aside, and deleted when the new
    one stands. After an error, or Ctrl-C, nothing is left but what was there before.

    Raises:
        OSError: as the operating system has it.
    """
    out = Path(os.path.abspath(out))  # noqa: PTH100 - unlike resolve(), leaves links alone
    made = _make_parents(out.parent)
    temporary = None
    try:
        temporary = Path(tempfile.mkdtemp(prefix=f".{out.name[:100]}.", dir=out.parent))
        temporary.chmod(0o777 & ~_umask())
        yield temporary
        for path in sorted(temporary.iterdir()):
            flush(path)
        flush(temporary)
        _swap(temporary, out)
    except BaseException:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
        for folder in reversed(made):
            _try(folder.rmdir)
        raise


def flush(path: Path) -> None:
    """Have a file's or a folder's content written to the disk itself."""
    if path.is_dir() and os.name == "nt":
        return  # Windows opens no folders
    handle = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _swap(new: Path, out: Path) -> None:
    """Put ``new`` in the place of ``out``, which comes back if that fails."""
    old = None
    if out.is_dir():
        old = Path(tempfile.mkdtemp(prefix=f".{out.name[:100]}.old.", dir=out.parent))
        try:
            out.rename(old / out.name)
        except BaseException:
            _try(old.rmdir)
            raise
    try:
        new.rename(out)
    except BaseException:
        if old:
            (old / out.name).rename(out)
            _try(old.rmdir)
        raise
    flush(out.parent)
    if old:
        shutil.rmtree(old, ignore_errors=True)


def _make_parents(folder: Path) -> list[Path]:
    """Make ``folder``; those that weren't there, outermost first."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    missing.reverse()
    made: list[Path] = []
    try:
        for path in missing:
            path.mkdir()
            made.append(path)
    except BaseException:
        for path in reversed(made):
            _try(path.rmdir)
        raise
    return made


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _try(remove: Callable[[], object]) -> None:
    """What can't be removed stays: the error under way matters more."""
    with suppress(OSError):
        remove()

"""Files and folders that are whole or not there: written beside their place, flushed, renamed."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

UNFINISHED = ".unfinished-"
"""What the name of a file or folder begins with until it is whole; a kill may leave it behind."""


def write_bytes(path: Path, content: bytes) -> None:
    """Put ``content`` at ``path`` in one instant; what was there stays until then."""
    with _blaming(path):
        handle, name = tempfile.mkstemp(prefix=UNFINISHED, dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    flush(path.parent)


def write_json(path: Path, value: Any) -> None:
    """``value`` as readable JSON at ``path``, in one instant."""
    text = json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False)
    write_bytes(path, text.encode("utf-8") + b"\n")


@contextmanager
def new_folder(out: Path, *, replace: bool = True) -> Iterator[Path]:
    """A temporary folder beside ``out`` that takes its place when the block ends well.

    Its files are flushed to disk first. An older ``out`` is moved aside, and deleted when the new
    one stands. After an error, or Ctrl-C, nothing is left but what was there before.

    Args:
        out: the folder to make; missing parents are made too.
        replace: whether an older one may be replaced; an empty one always is.

    Raises:
        FileExistsError: there is an older one, and ``replace`` is false.
        OSError: as the operating system has it.
    """
    out = Path(os.path.abspath(out))  # noqa: PTH100 - unlike resolve(), leaves links alone
    made = _make_parents(out.parent)
    temporary = None
    try:
        with _blaming(out):
            temporary = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=out.parent))
        temporary.chmod(0o777 & ~_umask())
        yield temporary
        for path in sorted(temporary.iterdir()):
            flush(path)
        flush(temporary)
        if replace:
            _swap(temporary, out)
        else:
            _put(temporary, out)
        for folder in reversed(made):
            flush(folder.parent)
    except BaseException:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
        for folder in reversed(made):
            _try(folder.rmdir)
        raise


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sweep(folder: Path) -> None:
    """Delete what a kill left unfinished in ``folder``; nothing may be under way there."""
    for path in folder.glob(f"{UNFINISHED}*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            _try(path.unlink)


def flush(path: Path) -> None:
    """Have a file's or a folder's content written to the disk itself."""
    if path.is_dir() and os.name == "nt":
        return  # Windows opens no folders
    handle = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _put(new: Path, out: Path) -> None:
    """Put ``new`` where nothing is, or an empty folder: a rename replaces no other."""
    try:
        new.rename(out)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
            raise
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(out)) from error
    flush(out.parent)


def _swap(new: Path, out: Path) -> None:
    """Put ``new`` in the place of ``out``, which comes back if that fails."""
    old = None
    if out.is_dir():
        old = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=out.parent))
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
            path.mkdir(exist_ok=True)
            made.append(path)
    except BaseException:
        for path in reversed(made):
            _try(path.rmdir)
        raise
    return made


@contextmanager
def _blaming(path: Path) -> Iterator[None]:
    """Errors name ``path`` instead of the file beside it, of which nobody has heard."""
    try:
        yield
    except OSError as error:
        error.filename = str(path)
        raise


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _try(remove: Callable[[], object]) -> None:
    """What can't be removed stays: the error under way matters more."""
    with suppress(OSError):
        remove()

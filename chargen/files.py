"""Atomic writing: files and folders are written aside, flushed to disk, and renamed."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

UNFINISHED = ".unfinished-"
"""Prefix of files and folders that are not complete yet; a kill may leave one behind."""
ASIDE = ".old"
"""Suffix of the temporary folder for what a new folder is about to replace."""
_OPEN_FILE = re.compile(r"/dev/(stdout|stderr)|/(?:dev|proc/self)/fd/(\d{1,6})")
_LONGEST_NAME = 150  # bytes of a name to derive others from; most systems allow 255


def write_bytes(path: Path, content: bytes) -> None:
    """Write ``content`` to ``path`` atomically: the old file stays until the new one is complete.

    A symbolic link is followed: the file that it points to is replaced. Devices, pipes and sockets
    are written to in place.
    """
    with errors_about(path):
        if is_special(path):
            with open_in_place(path) as file:
                file.write(content)
            return
        target = followed(path)
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        _replace(target, content)


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` to ``path`` atomically as readable JSON."""
    text = json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False)
    write_bytes(path, text.encode("utf-8") + b"\n")


def is_special(path: Path) -> bool:
    """Return whether ``path`` can only be written to in place: a device, a pipe, a socket.

    This includes names of open files, such as ``/dev/stdout``, even of plain files.
    """
    if _descriptor(path) is not None:
        return True
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def open_in_place(path: Path) -> BinaryIO:
    """Open a path that ``is_special`` for writing, without creating or truncating anything."""
    number = _descriptor(path)
    return os.fdopen(os.open(path, os.O_WRONLY) if number is None else os.dup(number), "wb")


def followed(path: Path) -> Path:
    """Return the target of ``path`` if it is a symbolic link, else ``path`` itself."""
    return path.resolve() if path.is_symlink() else path


def open_regular(path: Path, *, links: bool = False) -> BinaryIO:
    """Open a plain file for reading, but nothing that could block or be endless.

    Args:
        path: path of the file.
        links: whether ``path`` may be a symbolic link to a plain file.

    Raises:
        OSError: it is not a plain file, or can't be opened.
    """

    def open_at_once(name: str, flags: int) -> int:
        return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))

    if links or not path.is_symlink():
        file = open(path, "rb", opener=open_at_once)  # noqa: SIM115 - Path.open has no opener
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return file
        file.close()
    raise OSError(errno.EINVAL, "Not a plain file", str(path))


def read_json(path: Path, most_bytes: int) -> Any:
    """Read the value in an untrusted JSON file.

    Raises:
        OSError: the file isn't a plain file, or can't be read.
        ValueError: it isn't JSON, is too long or too deeply nested, or has a lone surrogate.
    """
    with open_regular(path) as file:
        data = file.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise ValueError(f"it is longer than {most_bytes:,} bytes")
    try:
        value = json.loads(data, parse_constant=_no_constant)
        if b"\\u" in data:
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except UnicodeEncodeError as error:
        raise ValueError("it contains a lone surrogate") from error
    return value


@contextmanager
def new_folder(out: Path, *, replace: bool = True) -> Iterator[Path]:
    """Make a temporary folder that becomes ``out`` when the block ends without an error.

    Its files are flushed to disk first. An existing ``out`` is moved aside, and deleted once the
    new one is in place. After an error, or Ctrl-C, everything is as it was before.

    Args:
        out: the folder to make; missing parents are made too.
        replace: whether an existing folder may be replaced; an empty one always may.

    Raises:
        FileExistsError: ``out`` exists and ``replace`` is false.
    """
    out = Path(os.path.abspath(out))  # noqa: PTH100 - unlike resolve(), leaves links alone
    with parents_of(out), errors_about(out):
        temporary = Path(tempfile.mkdtemp(prefix=f"{unfinished_name(out)}-", dir=out.parent))
        try:
            temporary.chmod(0o777 & ~_umask())
            yield temporary
            for path in sorted(temporary.iterdir()):
                flush(path)
            flush(temporary)
            if replace:
                _swap(temporary, out)
            else:
                _put(temporary, out)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise


@contextmanager
def parents_of(path: Path) -> Iterator[None]:
    """Make the missing parents of ``path``, and remove them again if the block fails."""
    missing = []
    folder = path.parent
    while not folder.exists():
        if folder.is_symlink():
            raise NotADirectoryError(errno.ENOTDIR, "It is a link to nothing", str(folder))
        missing.append(folder)
        folder = folder.parent
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    made: list[Path] = []
    try:
        for folder in reversed(missing):
            folder.mkdir(exist_ok=True)
            made.append(folder)
        yield
        for folder in made:
            flush(folder.parent)
    except BaseException:
        for folder in reversed(made):
            _try(folder.rmdir)
        raise


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_values(values: Mapping[str, Any]) -> str:
    """Return the SHA-256 of names and values, which JSON can hold, in the order of the names."""
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def sweep(folder: Path) -> None:
    """Delete all unfinished files and folders in ``folder``, which must not be in use."""
    for path in folder.glob(f"{UNFINISHED}*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            _try(path.unlink)


def unfinished_name(out: Path) -> str:
    """Return the prefix of temporary folders for ``out``; a dash and a random part follow it.

    It contains the name of ``out``, so that a folder left by a kill can be attributed.
    """
    name = out.name
    raw = os.fsencode(name)
    if len(raw) > _LONGEST_NAME:
        digest = hashlib.sha256(raw).hexdigest()[:16]
        name = raw[: _LONGEST_NAME - 16].decode("utf-8", "ignore") + digest
    return UNFINISHED + name


@contextmanager
def errors_about(path: Path) -> Iterator[None]:
    """Make errors in the block name ``path`` instead of a temporary file."""
    try:
        yield
    except OSError as error:
        error.filename, error.filename2 = str(path), None
        raise


def flush(path: Path) -> None:
    """Flush a file or a folder to disk."""
    if path.is_dir() and os.name == "nt":
        return  # Windows can't open folders
    handle = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _descriptor(path: Path) -> int | None:
    """Return the file descriptor that ``path`` names, or None."""
    found = _OPEN_FILE.fullmatch(str(path))
    if not found:
        return None
    return {"stdout": 1, "stderr": 2}[found[1]] if found[1] else int(found[2])


def _replace(target: Path, content: bytes) -> None:
    handle, name = tempfile.mkstemp(prefix=UNFINISHED, dir=target.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    flush(target.parent)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _put(new: Path, out: Path) -> None:
    """Rename ``new`` to ``out``, which must not exist or must be an empty folder."""
    try:
        new.rename(out)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
            raise
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(out)) from error
    flush(out.parent)


def _swap(new: Path, out: Path) -> None:
    """Rename ``new`` to ``out``; an existing ``out`` is put back if that fails."""
    old = None
    if out.is_dir():
        old = Path(tempfile.mkdtemp(ASIDE, f"{unfinished_name(out)}-", out.parent))
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


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _try(remove: Callable[[], object]) -> None:
    """Call ``remove`` and ignore a failure: the error already being raised matters more."""
    with suppress(OSError):
        remove()

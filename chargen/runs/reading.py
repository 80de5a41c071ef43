"""The one door through which files of a run are read.

A run may come from a stranger, or from a disk that fails. So only regular files inside the run
folder are opened, no link is followed out of it, and JSON has a limited size, a limited depth,
finite numbers of 64 bits, and the fields and types of a schema. Anything else is one
CheckpointError that names the file.
"""

from __future__ import annotations

import json
import math
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from chargen.errors import CheckpointError, printable

if TYPE_CHECKING:
    from pydantic import TypeAdapter

T = TypeVar("T")

COPY_AGAIN = "Copy it again from where it came from, or train again."
TRAIN_ONE = "Name a run folder that chargen made, or train one."

MOST_CONFIG_BYTES = 16 << 20
"""A corpus of 100,000 files still has room."""
MOST_VALUES_BYTES = 64 << 10
"""Of a JSON file that holds a few numbers."""
_MOST_DEPTH = 20
_MOST_REASON = 200
_READ_ONLY = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)

STRICT = {"extra": "forbid", "allow_inf_nan": False}
"""The ``__pydantic_config__`` of a dataclass whose JSON has no other fields than its own."""


class MissingFileError(CheckpointError):
    """A file that a run should have isn't there."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is missing.", COPY_AGAIN)


def regular_file(run: Path, name: str) -> Path:
    """The path to open for the file ``name`` of a run.

    Raises:
        MissingFileError: there is none.
        CheckpointError: it can't be read, isn't a regular file, or is a link out of the run.
    """
    path = run / name
    try:
        found = path.resolve(strict=True)
        kind = found.stat().st_mode
        inside = found.is_relative_to(run.resolve(strict=True))
        if inside and stat.S_ISREG(kind):
            os.close(os.open(found, _READ_ONLY))  # safetensors calls every failure a missing file
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MissingFileError(path) from error
    except OSError as error:
        raise unreadable(path, error) from error
    except RuntimeError as error:  # a loop of links, before Python 3.13
        raise CheckpointError(
            f"{path} can't be read: its links form a loop.", COPY_AGAIN
        ) from error
    if not inside:
        raise CheckpointError(
            f"{path} is a link to something outside the run.", "Put the file itself in its place."
        )
    if not stat.S_ISREG(kind):
        raise CheckpointError(f"{path} is not a regular file.", COPY_AGAIN)
    return found


def require_own(run: Path, names: Iterable[str]) -> None:
    """Raise CheckpointError where what is to be written is a link, a pipe or a device.

    A link would lead the writing elsewhere, and a pipe would make it wait for a reader.
    """
    for path in (run / name for name in names):
        if path.is_symlink():
            raise CheckpointError(
                f"{path} is a link; a run is not written through links.",
                "Put the file or folder itself in its place.",
            )
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise CheckpointError(f"{path} is not a regular file.", COPY_AGAIN)


def read_file(run: Path, name: str, most: int) -> bytes:
    """The content of the file ``name`` of a run.

    Raises:
        MissingFileError: there is none.
        CheckpointError: see ``regular_file``; or it has more than ``most`` bytes.
    """
    path = run / name
    found = regular_file(run, name)
    try:
        # Without waiting: a FIFO may have taken the file's place since it was looked at.
        handle = os.open(found, _READ_ONLY)
        with os.fdopen(handle, "rb") as file:
            content = file.read(most + 1)
    except FileNotFoundError as error:
        raise MissingFileError(path) from error
    except OSError as error:
        raise unreadable(path, error) from error
    if len(content) > most:
        raise damaged(path, f"it has more than {most:,} bytes")
    return content


def parse(content: bytes, where: Path) -> Any:
    """The value that some JSON stands for; CheckpointError where it breaks a limit."""
    try:
        value = json.loads(content.decode("utf-8"), parse_constant=_refuse)
        _check(value, 0)
    except RecursionError as error:
        raise damaged(where, "it is nested too deeply") from error
    except ValueError as error:
        raise damaged(where, str(error)) from error
    return value


def typed(value: Any, schema: type[T], where: Path) -> T:
    """``value``, which JSON stood for, or the bytes of that JSON, as an instance of ``schema``.

    Raises:
        CheckpointError: names the first field that is missing, unknown or of another type.
    """
    from pydantic import ValidationError

    try:
        # As JSON: only there a list may become a tuple while no other type is converted.
        content = value if isinstance(value, bytes) else json.dumps(value)
        found: T = _adapter(schema).validate_json(content, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise damaged(where, f"{field}: {first['msg']}" if field else first["msg"]) from error
    return found


def _adapter(schema: type) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    if schema not in _ADAPTERS:
        _ADAPTERS[schema] = TypeAdapter(schema)
    return _ADAPTERS[schema]


_ADAPTERS: dict[type, TypeAdapter[Any]] = {}


def damaged(path: Path, reason: str) -> CheckpointError:
    """The error for a file that isn't what a run wrote; ``reason`` is cut to one short line."""
    line = "".join(c if c.isprintable() else repr(c)[1:-1] for c in printable(reason.rstrip(".")))
    if len(line) > _MOST_REASON:
        line = f"{line[:_MOST_REASON]}…"
    return CheckpointError(f"{path} is damaged: {line}.", COPY_AGAIN)


def unreadable(path: Path, error: OSError) -> CheckpointError:
    """The error for a file that is there and can't be read."""
    return CheckpointError(
        f"{path} can't be read: {error.strerror or error}.", "Check its permissions and its disk."
    )


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def _check(value: Any, depth: int) -> None:
    """Raise ValueError for a number that isn't finite or beyond 64 bits, and for deep nesting."""
    if depth > _MOST_DEPTH:
        raise ValueError("it is nested too deeply")
    if isinstance(value, dict):
        for each in value.values():
            _check(each, depth + 1)
    elif isinstance(value, list):
        for each in value:
            _check(each, depth + 1)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a number is beyond all bounds")
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError("a whole number has more than 64 bits")

"""The standard streams, which may be closed, full or broken when a command begins."""

from __future__ import annotations

import errno
import io
import os
import sys

STANDARD_OUTPUT = "standard output"
"""The ``filename`` of errors in writing to standard output."""


def prepare_streams() -> None:
    """Open the standard streams as UTF-8, whatever state their descriptors are in.

    A closed one is opened so that no file of ours gets its number: standard input and standard
    error on the null device, standard output such that writing to it fails. What can't be written
    to standard error is lost, since no command fails because nobody listens to it.
    """
    for number, flags in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, flags)  # gets the lowest number that is free
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - for good
    sys.stdout = _text(_Output(1, "wb", closefd=False), "surrogateescape", sys.stdout)
    sys.stderr = _text(_Talk(2, "wb", closefd=False), "backslashreplace", None)


def give_up_output() -> None:
    """Drop what standard output still holds: Python would complain again when it flushes it."""
    try:
        number = sys.stdout.fileno()
    except (OSError, ValueError):  # replaced by something that isn't a file
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)


class _Output(io.FileIO):
    """Standard output; errors say that they are its."""

    def write(self, data: object) -> int:
        try:
            return super().write(data)  # type: ignore[arg-type]
        except OSError as error:
            error.filename = STANDARD_OUTPUT
            raise


class _Talk(io.FileIO):
    """Standard error; a full disk there is ignored, a broken pipe is not."""

    def write(self, data: object) -> int:
        try:
            return super().write(data)  # type: ignore[arg-type]
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise
            return len(bytes(data))  # type: ignore[call-overload]


def _text(raw: io.FileIO, errors: str, before: object) -> io.TextIOWrapper:
    """A text stream over ``raw``: by lines for standard error and terminals, else in blocks."""
    by_line = before is None or raw.isatty()
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding="utf-8",
        errors=errors,
        line_buffering=by_line,
    )

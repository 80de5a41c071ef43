"""The error boundary: turns exceptions into lines on standard error and exit statuses."""

from __future__ import annotations

import errno
import functools
import signal
import sys
import warnings
from collections.abc import Callable
from types import FrameType
from typing import Any

import typer

from chargen.cli.streams import STANDARD_OUTPUT, give_up_output
from chargen.errors import (
    ChargenError,
    ChargenWarning,
    ConfigError,
    OtherFailedError,
    system_error_text,
)
from chargen.machine.launch import Launch, speaks
from chargen.machine.memory import is_out_of_memory

_LONGEST = 600
FAILED, UNUSABLE, INTERRUPTED, TERMINATED = 1, 2, 130, 143
"""Exit statuses: of an error, of options that can't be used, after SIGINT, after SIGTERM."""


class Terminated(BaseException):
    """Raised on SIGTERM, to unwind as Ctrl-C does."""


def bounded(command: Callable[..., None]) -> Callable[..., None]:
    """Wrap ``command`` so that errors, signals and broken pipes end it cleanly.

    With ``--debug`` errors are not caught, and show as tracebacks.
    """

    @functools.wraps(command)
    def run(**arguments: Any) -> None:
        before = signal.signal(signal.SIGTERM, _terminate)
        warnings.simplefilter("always", ChargenWarning)
        warnings.showwarning = _say_warnings(warnings.showwarning, quiet=arguments.get("quiet"))
        try:
            command(**arguments)
            sys.stdout.flush()
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        except Terminated:
            raise typer.Exit(TERMINATED) from None
        except Exception as error:
            if isinstance(error, typer.Exit) or arguments.get("debug"):
                raise
            raise typer.Exit(report(error)) from error
        finally:
            signal.signal(signal.SIGTERM, before)

    return run


def _say_warnings(others: Callable[..., None], *, quiet: bool | None) -> Callable[..., None]:
    """Return what shows warnings: chargen's own as a line, unless quiet, and those of others."""

    def show(message: Warning | str, category: type[Warning], *place: Any, **more: Any) -> None:
        if not issubclass(category, ChargenWarning):
            others(message, category, *place, **more)
        elif not quiet:
            print(f"note: {message}", file=sys.stderr)

    return show


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    raise Terminated


def report(error: Exception) -> int:
    """Print what is wrong and what to do, a line each, and return the exit status."""
    if isinstance(error, OSError) and error.errno == errno.EPIPE:
        give_up_output()  # the reader of our output has closed it
        return FAILED
    if isinstance(error, OtherFailedError):
        return FAILED
    if isinstance(error, ChargenError):
        from chargen.cli.naming import in_flags

        if isinstance(error, ConfigError) and error.rank is None and not speaks():
            return UNUSABLE
        say_error(in_flags(error.message), in_flags(error.remedy))
        return UNUSABLE if isinstance(error, ConfigError) else FAILED
    if isinstance(error, OSError) and error.filename == STANDARD_OUTPUT:
        give_up_output()
        say_error(
            f"Standard output can't be written: {error.strerror}.",
            "Redirect it to a file or a pipe that takes all of it, and run the command again.",
        )
    elif isinstance(error, OSError):
        say_error(f"{system_error_text(error)}.", "Check the path, its permissions and the disk.")
    elif is_out_of_memory(error):
        say_error("There is not enough memory.", "Use a smaller batch, window or model.")
    else:
        say_error(
            f"Unexpected {type(error).__name__}: {error}",
            "This is a bug in chargen: run the command again with --debug and report the output.",
        )
    return FAILED


def _launch() -> Launch:
    try:
        return Launch.here()
    except ConfigError:
        return Launch()


def say_error(message: str, remedy: str) -> None:
    """Print an error and its remedy on standard error.

    The message is joined into one line, and a name of thousands of characters is cut in its middle.
    """
    words = (w if len(w) < _LONGEST else f"{w[:400]}…{w[-150:]}" for w in message.split())
    who = f"rank {_launch().rank}: " if _launch().size > 1 else ""
    print(f"error: {who}{' '.join(words)}", file=sys.stderr)
    if remedy:
        print(f"       {remedy}", file=sys.stderr)

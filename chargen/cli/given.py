"""Texts that are given as a file or through standard input."""

from __future__ import annotations

import sys
from pathlib import Path

from chargen.errors import GenerationError, system_error_text


def read_given(name: str, what: str, most: int, remedy: str) -> str:
    """Read a text that fits in memory, without its last line end, with line ends as LF.

    Args:
        name: of a UTF-8 file; ``-`` is standard input.
        what: what it is called in errors, such as ``the prompt``.
        most: bytes that it may have.
        remedy: what to do about a longer one.

    Raises:
        GenerationError: it can't be read, is longer, or is not UTF-8.
    """
    try:
        with sys.stdin.buffer if name == "-" else Path(name).open("rb") as file:
            data = file.read(most + 1)
        if len(data) > most:
            subject = f"{what[0].upper()}{what[1:]} in {name}"
            raise GenerationError(f"{subject} has more than {most >> 20} MiB.", remedy)
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise GenerationError(
            f"{what[0].upper()}{what[1:]} can't be read: {system_error_text(error)}.",
            "Check the path.",
        ) from error
    except UnicodeDecodeError as error:
        raise GenerationError(
            f"{name} is not UTF-8 at byte {error.start}.", "Convert it to UTF-8."
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n")

"""Where on this machine a run finds what a resume needs: ``places.json``.

Paths tell of their user. So they stand in this file, which is no part of what is shared, and are
relative to the run folder where they can be: a project that moves as a whole keeps them.
"""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote, unquote

from chargen.files import write_json
from chargen.runs.layout import PLACES
from chargen.runs.reading import (
    MOST_VALUES_BYTES,
    STRICT,
    MissingFileError,
    damaged,
    parse,
    read_file,
    typed,
)


@dataclass(frozen=True)
class Places:
    """Where a run's prepared corpus lies, and the run that its initial weights came from."""

    corpus: Path | None = None
    init_from: Path | None = None

    def write(self, folder: Path, run: Path) -> None:
        """Write ``places.json`` into ``folder``, which is to be the run folder ``run``."""
        values = {"corpus": _text(self.corpus, run), "init_from": _text(self.init_from, run)}
        write_json(folder / PLACES, values)

    @classmethod
    def read(cls, run: Path) -> Places | None:
        """What ``places.json`` says; None: the run has no such file.

        Raises:
            CheckpointError: the file is damaged.
        """
        where = run / PLACES
        try:
            content = read_file(run, PLACES, MOST_VALUES_BYTES)
        except MissingFileError:
            return None
        values = typed(parse(content, where), _Written, where)
        return cls(*(_path(text, run, where) for text in (values.corpus, values.init_from)))


@dataclass(frozen=True)
class _Written:
    __pydantic_config__: ClassVar[Any] = STRICT

    corpus: str | None
    init_from: str | None


_NOT_TEXT = re.compile("[%\udc80-\udcff]")


def _text(place: Path | None, run: Path) -> str | None:
    """A path as JSON can hold it, with bytes that are no UTF-8 as ``%`` and two digits."""
    if place is None:
        return None
    target = os.path.realpath(place)  # unlike resolve(), knows no loops of links
    with contextlib.suppress(ValueError):  # on another drive
        target = os.path.relpath(target, os.path.realpath(run))
    return _NOT_TEXT.sub(lambda found: quote(os.fsencode(found[0])), target)


def _path(text: str | None, run: Path, where: Path) -> Path | None:
    if text is None:
        return None
    path = unquote(text, errors="surrogateescape")
    if "\0" in path:
        raise damaged(where, "a path has a null byte")
    return Path(os.path.normpath(run.resolve() / path))

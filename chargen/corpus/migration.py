"""The versions of the format of prepared corpora, and how older ones are read.

Version 2 gave the manifest a ``name`` and the ``chargen_version`` that wrote it, and its sources a
``name`` in place of the ``path`` that they were given by. Version 3 joins wrapped lines, which the
setting ``unwrap`` decides; before, all lines were kept. Version 4 knows records; before, a corpus
was one stream of text. Version 5 records which ``reading`` made text of the files; before, that was
the first. The folder itself is never changed: an older manifest is migrated in memory whenever it
is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chargen import __version__
from chargen.errors import CorpusError

FORMAT = "chargen-corpus"
VERSION = 5
READING = 2
"""Raised where the same files with the same settings become another text or other records, so that
a corpus of an earlier release isn't taken for what this one would make.

Reading 1 took typographic quotes for Chinese where it joined wrapped lines, quotes of speech in TSV
for those of fields, and Western letters for Central European ones; of a DOCX it lost content
controls and doubled merged cells, of an EPUB it lost what wasn't UTF-8.
"""

Values = dict[str, Any]


def migrated(values: Values, folder: Path) -> Values:
    """Bring the content of a manifest to today's version, without its format and version.

    Raises:
        CorpusError: this release doesn't know the version.
        ValueError: a field that has changed since isn't as that version has it.
    """
    values = {key: value for key, value in values.items() if key != "format"}
    version = values.pop("version", None)
    if type(version) is not int or version not in (*_STEPS, VERSION):
        raise _unknown(version, values.get("chargen_version"), folder)
    for step in range(version, VERSION):
        try:
            values = _STEPS[step](values, folder)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"its sources or warnings are not those of version {step}") from error
    return values


def _from_1(values: Values, folder: Path) -> Values:
    """Replace paths by file names, in warnings too; the corpus is named after its folder."""
    sources, warnings = [], list(values["warnings"])
    for source in values["sources"]:
        path = source["path"]
        name = re.split(r"[/\\]", path)[-1]
        sources.append({"name": name, **{k: v for k, v in source.items() if k != "path"}})
        warnings = [warning.replace(path, name) for warning in warnings]
    return {
        **values,
        "name": folder.resolve().name or "corpus",
        "chargen_version": "0.1.0",
        "sources": sources,
        "warnings": warnings,
    }


def _from_2(values: Values, folder: Path) -> Values:
    """Say that no lines were joined."""
    del folder
    return {
        **values,
        "config": {**values["config"], "unwrap": "no"},
        "sources": [{**source, "joined": 0} for source in values["sources"]],
    }


def _from_3(values: Values, folder: Path) -> Values:
    """Say that there are no records."""
    del folder
    without = {"records": "none", "text_key": "text", "label_key": [], "reverse": False}
    return {**values, "config": {**values["config"], **without}, "records": None}


def _from_4(values: Values, folder: Path) -> Values:
    """Say that its files were read as before version 5."""
    del folder
    return {**values, "reading": 1}


_STEPS: dict[int, Callable[[Values, Path], Values]] = {
    1: _from_1,
    2: _from_2,
    3: _from_3,
    4: _from_4,
}
"""For each older version, the function that brings a manifest to the next one."""


def _unknown(version: Any, release: Any, folder: Path) -> CorpusError:
    known = f"{', '.join(map(str, _STEPS))} and {VERSION}"
    of = f", written by chargen {release}" if isinstance(release, str) else ""
    return CorpusError(
        f"The prepared corpus {folder} has format version {version!r}{of}; chargen {__version__} "
        f"reads versions {known}.",
        "Use the release that wrote it or a later one, or prepare the text again.",
    )

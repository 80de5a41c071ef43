"""The texts in a folder: what is taken, and what is passed over."""

from __future__ import annotations

import codecs
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

_TEXT_SUFFIXES = frozenset({".txt", ".text", ".md"})
_NO_PROSE = frozenset(
    f".{ending}"
    for endings in (
        "json jsonl ndjson yaml yml toml ini cfg conf lock log csv tsv",
        "xml html htm xhtml css svg ipynb pem",
        "sh bash zsh fish bat cmd ps1",
    )
    for ending in endings.split()
)
"""Settings, data, markup and scripts: files of text that nobody means as something to learn."""
_DOCUMENT_SUFFIXES = frozenset({".pdf", ".docx", ".epub"})
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_HEAD_BYTES = 8192


@dataclass(frozen=True)
class FolderTexts:
    """What a folder stands for.

    Attributes:
        taken: the text files below it, sorted.
        passed_over: how many of each kind were not taken.
    """

    taken: tuple[Path, ...]
    passed_over: Counter[str]

    def __str__(self) -> str:
        """What was passed over, in words."""
        counts = sorted(self.passed_over.items())
        return ", ".join(f"{n:,} {kind if n == 1 else _plural(kind)}" for kind, n in counts)


def texts_in(folder: Path) -> FolderTexts:
    """Find the text files below a folder.

    Hidden and empty files, binary files, run folders and prepared corpora are passed over; so are
    settings, data, markup and scripts, unless there is nothing else.

    Raises:
        OSError: a file or a folder can't be read.
    """
    passed: Counter[str] = Counter()
    texts, others = [], []
    for path in _visible_files(folder, passed):
        if not _has_text(path):
            passed["binary file" if path.stat().st_size else "empty file"] += 1
        elif path.suffix.lower() in _NO_PROSE or _is_script(path):
            others.append(path)
        else:
            texts.append(path)
    if texts and others:
        passed["file of settings, data, markup or a script"] += len(others)
    return FolderTexts(tuple(sorted(texts or others)), passed)


def _visible_files(folder: Path, passed: Counter[str]) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder, onerror=_raise):
        if kind := _made_by_chargen(set(names)):
            passed[kind] += 1
            folders.clear()
            continue
        shown = [name for name in folders if not name.startswith(".")]
        passed["hidden folder"] += len(folders) - len(shown)
        folders[:] = shown
        for name in names:
            path = Path(parent, name)
            if name.startswith("."):
                passed["hidden file"] += 1
            elif path.is_file():
                yield path
    for kind in [kind for kind, count in passed.items() if not count]:
        del passed[kind]


def _raise(error: OSError) -> NoReturn:
    raise error


def _made_by_chargen(names: set[str]) -> str | None:
    """What a folder with these files is, if chargen has made it."""
    if {"manifest.json", "tokenizer.model"} <= names:
        return "prepared corpus"
    if "config.json" in names and names & {"tokenizer.model", "metrics.jsonl", "places.json"}:
        return "run folder"
    return None


def _has_text(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    suffix = path.suffix.lower()
    if not head or suffix in _TEXT_SUFFIXES | _DOCUMENT_SUFFIXES:
        return bool(head)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return True
    return b"\0" not in head and len(_CONTROLS.findall(head)) <= len(head) // 100


def _is_script(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"#!"


def _plural(kind: str) -> str:
    if kind == "prepared corpus":
        return "prepared corpora"
    first, *rest = kind.split(" ")
    if first == "file":
        return " ".join(["files", *rest])
    return f"{kind}s"

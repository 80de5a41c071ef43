"""From what a user names, texts or a prepared folder, to a prepared corpus."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from chargen.config import CorpusConfig
from chargen.corpus.prepared import PreparedCorpus, Progress, matches, prepare
from chargen.corpus.shipped import shipped_text
from chargen.errors import ConfigError, CorpusError

CORPORA = Path("corpora")
Source: TypeAlias = str | Path
Named: TypeAlias = Source | Sequence[Source] | PreparedCorpus | None
"""Texts and folders of them, a prepared folder, or one that is open; None is the shipped prose."""


def paths_of(named: Source | Sequence[Source] | PreparedCorpus) -> list[Path]:
    """The paths that were named, in order."""
    if isinstance(named, PreparedCorpus):
        return [named.path]
    if isinstance(named, (str, Path)):
        return [Path(named)]
    return [Path(source) for source in named]


def texts_of(named: Named) -> list[Path]:
    """The paths of the texts that were named; that of the shipped prose where none was."""
    return [shipped_text()] if named is None else paths_of(named)


def default_folder(paths: Sequence[Path]) -> Path:
    """Where texts are prepared to, unless told otherwise."""
    if not paths:
        raise CorpusError("No text was named.", "Name a text file, or a folder of them.")
    stem = paths[0].resolve().stem or "corpus"
    return CORPORA / (stem if len(paths) == 1 else f"{stem}+{len(paths) - 1}")


def prepared_one(named: Named) -> PreparedCorpus | None:
    """The corpus, where a prepared one was named."""
    if named is None or isinstance(named, PreparedCorpus):
        return named
    paths = paths_of(named)
    if len(paths) == 1 and (paths[0] / "manifest.json").is_file():
        return PreparedCorpus.open(paths[0])
    return None


def open_corpus(
    named: Named, settings: Mapping[str, Any], on_progress: Callable[[Progress], None] | None
) -> PreparedCorpus:
    """The prepared corpus that was named; made from the texts unless it is there already.

    Args:
        named: what the user named.
        settings: fields of CorpusConfig; of a corpus that is prepared already, only these count.
        on_progress: told how far the preparation is.
    """
    prepared = prepared_one(named)
    if prepared is not None:
        made = prepared.manifest.config
        if replace(made, **settings) != made:
            raise ConfigError(
                f"{prepared.path} was prepared with other settings than those given.",
                "Leave them out, or prepare the text again with them.",
            )
        return prepared
    paths = texts_of(named)
    out, config = default_folder(paths), CorpusConfig.from_dict(settings)
    if matches(out, paths, config):
        return PreparedCorpus.open(out)
    return prepare(paths, out, config, on_progress)


def reopen_corpus(path: str) -> PreparedCorpus:
    """The corpus that a run was trained on."""
    try:
        return PreparedCorpus.open(Path(path))
    except CorpusError as error:
        raise CorpusError(
            f"The run's corpus is gone or damaged: {error.message}",
            "Prepare the same texts again, or name them: chargen train FILES... --resume",
        ) from error

"""From what a user names, texts or a prepared folder, to a prepared corpus."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from chargen.corpus.manifest import MANIFEST
from chargen.corpus.prepared import PreparedCorpus
from chargen.corpus.preparing import prepare
from chargen.corpus.progress import PrepareProgress
from chargen.corpus.shipped import shipped_text
from chargen.errors import ConfigError, CorpusError
from chargen.options import CorpusConfig

Source: TypeAlias = str | Path
Named: TypeAlias = Source | Sequence[Source] | PreparedCorpus | None
"""Texts, folders of texts, names of shipped texts, a prepared folder, or an open corpus; None is
the default text."""


def paths_of(named: Source | Sequence[Source] | PreparedCorpus) -> list[Path]:
    """The paths that were named, in order."""
    if isinstance(named, PreparedCorpus):
        return [named.path]
    if isinstance(named, (str, Path)):
        return [Path(named)]
    return [Path(source) for source in named]


def texts_of(named: Named) -> list[Path]:
    """The paths of the texts that were named, or of the default text."""
    return [shipped_text()] if named is None else paths_of(named)


def is_prepared(named: Named) -> bool:
    """Whether a prepared corpus was named, rather than texts."""
    if named is None or isinstance(named, PreparedCorpus):
        return named is not None
    paths = paths_of(named)
    return len(paths) == 1 and (paths[0] / MANIFEST).exists()


def open_corpus(
    named: Named,
    settings: Mapping[str, Any],
    on_progress: Callable[[PrepareProgress], None] | None,
) -> PreparedCorpus:
    """Open the prepared corpus that was named, or prepare the texts that were.

    Args:
        named: what the user named.
        settings: fields of CorpusConfig; a corpus that is prepared already must agree with them.
        on_progress: called about once per MiB while a text is prepared.
    """
    if not is_prepared(named):
        return prepare(texts_of(named), None, CorpusConfig.from_dict(settings), on_progress)
    if not isinstance(named, PreparedCorpus):
        named = PreparedCorpus.open(texts_of(named)[0])
    return _agreeing(named, settings)


def _agreeing(corpus: PreparedCorpus, settings: Mapping[str, Any]) -> PreparedCorpus:
    """The corpus; ConfigError where it was prepared with other settings."""
    made = corpus.manifest.config
    if replace(made, **settings) != made:
        raise ConfigError(
            f"{corpus.path} was prepared with other settings than those given.",
            "Leave them out, or prepare the text again with them.",
        )
    return corpus


def reopen_corpus(path: str) -> PreparedCorpus:
    """Open the corpus that a run was trained on."""
    try:
        return PreparedCorpus.open(path)
    except CorpusError as error:
        raise CorpusError(
            f"The run's corpus is gone or damaged: {error.message}",
            "Prepare the same texts again, or name them as the corpus when you resume.",
        ) from error

"""Reading and preparing texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chargen.options import CorpusConfig, WorkersConfig, check, distribute, keyword_options

if TYPE_CHECKING:
    from chargen.corpus.prepared import PreparedCorpus
    from chargen.corpus.progress import PrepareProgress


@keyword_options(CorpusConfig, WorkersConfig)
def prepare(
    sources: str | Path | Sequence[str | Path],
    out: str | Path | None = None,
    *,
    on_progress: Callable[[PrepareProgress], None] | None = None,
    force: bool = False,
    **options: Any,
) -> PreparedCorpus:
    """Turn texts into a prepared corpus, or open one of the same content and settings.

    Args:
        sources: text files or files of records, folders of them and names of shipped texts, in
            reading order.
        out: the folder to write; by default one in ``corpora/``, named after the first text and a
            key of content and settings, so that no corpus replaces another.
        on_progress: called about once per MiB.
        force: prepare again even if it is prepared already, and replace a corpus of other texts
            or settings in ``out``.
        options: as in ``chargen prepare``: vocabulary, encoding, validation split, records, as in
            ``prepare("poems.jsonl", label_key=["author"])``; who shares the work on a text.

    Raises:
        ConfigError: an option is unknown or out of range.
        CorpusError: a source can't be read or is too short, or ``out`` is another corpus or
            something else.
        WorkerError: workers can't be started or can't go on; nothing is left behind then.
    """
    from chargen.corpus.opening import paths_of
    from chargen.corpus.preparing import prepare as prepare_corpus
    from chargen.workers.starting import check_workers

    values, shared = distribute(options, CorpusConfig, WorkersConfig)
    config, workers = CorpusConfig(**values), WorkersConfig(**shared)
    check(config, workers)
    check_workers(workers)
    folder = None if out is None else Path(out)
    return prepare_corpus(
        paths_of(sources), folder, config, on_progress, force=force, workers=workers
    )


@keyword_options(CorpusConfig)
def read_text(path: str | Path, **options: Any) -> str:
    """Read a text file as ``prepare`` does: decode it and convert line ends to LF.

    Raises:
        CorpusError: the file is missing or can't be decoded.
    """
    from chargen.corpus.reading import read_text as read

    return read(path, corpus_config(options))


def corpus_config(options: dict[str, Any]) -> CorpusConfig:
    """Make a config from options, and check it."""
    (values,) = distribute(options, CorpusConfig)
    config = CorpusConfig(**values)
    check(config)
    return config

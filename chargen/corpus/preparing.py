"""From texts to a prepared corpus on disk, by one process at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from chargen.corpus.holding import held
from chargen.corpus.identity import CorpusRequest, corpus_name
from chargen.corpus.manifest import (
    FILES,
    LABEL_FILES,
    MANIFEST,
    Manifest,
    manifest_values,
    read_manifest,
)
from chargen.corpus.migration import READING
from chargen.corpus.prepared import PreparedCorpus
from chargen.corpus.progress import ByteCounter, PrepareProgress
from chargen.corpus.record_survey import survey_records
from chargen.corpus.sources import SourceFile
from chargen.corpus.survey import survey
from chargen.corpus.tokenizer import Tokenizer
from chargen.corpus.writing import write_corpus
from chargen.errors import ConfigError, CorpusError, system_error_text
from chargen.files import new_folder
from chargen.options import CorpusConfig, WorkersConfig, check

if TYPE_CHECKING:
    from chargen.corpus.shared_text import SharedText

CORPORA = Path("corpora")
_ALWAYS = {MANIFEST, *FILES}
_FILES = _ALWAYS | {*LABEL_FILES}
_ELSEWHERE = "choose another folder with `out`."


def prepare(
    sources: Sequence[Path],
    out: Path | None,
    config: CorpusConfig,
    on_progress: Callable[[PrepareProgress], None] | None = None,
    *,
    force: bool = False,
    workers: WorkersConfig | None = None,
) -> PreparedCorpus:
    """Prepare text files and folders of them, unless that has been done already.

    A corpus is recognised by the SHA-256 of its sources and by its settings. Where ``out`` holds
    the same one, that is opened; a damaged one is made again. While another process prepares the
    same, this one waits, and then opens what the other has made.

    The text is read twice after it was hashed, in bounded memory: to count its characters, and to
    encode them.

    Args:
        sources: files and folders, in order; see ``find_sources``.
        out: the folder to make; None is one in ``corpora/`` whose name ends in a key of content
            and settings, so that it never replaces another.
        config: settings; ConfigError where they are out of range, or workers can't help.
        on_progress: called about once per MiB.
        force: make it anew, and replace a prepared corpus of other texts or settings.
        workers: who shares the work on a text without records; None: this process alone.

    Raises:
        CorpusError: a source can't be used (see ``survey``); ``out`` is something else, or can't
            be written. Nothing is left behind then.
    """
    check(config)
    workers = workers or WorkersConfig()
    if workers.shared and config.records != "none":
        raise ConfigError("`workers` and `ray` are for texts without records.", "Leave them out.")
    with ExitStack() as stack:
        shared = _shared_text(stack, workers, config) if workers.shared else None
        request = CorpusRequest.of(
            sources, config, on_progress, _ahead(shared, sources, out, on_progress)
        )
        keyed = out is None
        out = CORPORA / request.folder_name if out is None else Path(out)
        counter = ByteCounter(request.byte_count, on_progress)
        try:
            if not force and (corpus := _there(out, request)):
                return corpus
            with held(out, lambda: counter.begin("wait")):
                if not force and (corpus := _there(out, request)):
                    return corpus
                _check_out(out, request, force=force, keyed=keyed)
                return _made(out, request, counter, shared)
        except OSError as error:
            raise CorpusError(
                f"Can't write the prepared corpus {out}: {system_error_text(error)}.",
                "Nothing was written. Free some space, or "
                + ("change to another folder." if keyed else _ELSEWHERE),
            ) from error


def _shared_text(stack: ExitStack, workers: WorkersConfig, config: CorpusConfig) -> SharedText:
    from chargen.corpus.shared_text import SharedText

    return SharedText(stack, workers, config)


def _ahead(
    shared: SharedText | None,
    sources: Sequence[Path],
    out: Path | None,
    on_progress: Callable[[PrepareProgress], None] | None,
) -> Callable[[Sequence[SourceFile]], None] | None:
    """What workers do while the files are hashed: they count, unless the corpus may be there."""
    if shared is None or not _is_new(sources, out):
        return None

    def count(files: Sequence[SourceFile]) -> None:
        shared.count(files, ByteCounter(sum(file.size for file in files), on_progress))

    return count


def _is_new(sources: Sequence[Path], out: Path | None) -> bool:
    """Whether there is no corpus that might be of these files."""
    if out is not None:
        return not Path(out).exists()
    begins = f"{corpus_name(sources)}-"
    return not (CORPORA.is_dir() and any(p.name.startswith(begins) for p in CORPORA.iterdir()))


def _there(out: Path, request: CorpusRequest) -> PreparedCorpus | None:
    """The whole corpus in ``out``, if it is the one that is wanted."""
    try:
        if request.is_met_by(read_manifest(out)):
            corpus = PreparedCorpus.open(out)
            return corpus if request.is_met_by(corpus.manifest) else None
    except CorpusError:
        pass
    return None


def _made(
    out: Path, request: CorpusRequest, counter: ByteCounter, shared: SharedText | None
) -> PreparedCorpus:
    config = request.config
    has_records = config.records != "none"
    read, write_text = (survey_records if has_records else survey), None
    if shared:
        read, write_text = shared.survey, shared.write
    found = read(request, counter)
    tokenizer = Tokenizer.train(found.counts, config.vocab_size, config.oov, end=has_records)
    with new_folder(out) as folder:
        write_corpus(folder, request.name, found, tokenizer, config, counter, write_text)
    return PreparedCorpus.open(out, verify=False)


def _check_out(out: Path, request: CorpusRequest, *, force: bool, keyed: bool) -> None:
    """Raise CorpusError unless ``out`` may be filled or replaced."""
    try:
        names = {path.name for path in out.iterdir()}
    except FileNotFoundError:
        return
    except OSError as error:
        raise CorpusError(
            f"Can't use {out} for a prepared corpus: {system_error_text(error)}.",
            "Choose another folder with `out`.",
        ) from error
    if not names:
        return
    try:
        manifest_values(out)
    except CorpusError as error:
        if not (keyed and _ALWAYS <= names <= _FILES):
            raise CorpusError(
                f"{out} exists already and is not a prepared corpus.",
                f"Remove it, or {_ELSEWHERE}",
            ) from error
    if others := sorted(names - _FILES):
        raise CorpusError(
            f"{out} is a prepared corpus with other files in it, which would be lost: "
            f"{', '.join(others[:3])}{', …' if len(others) > 3 else ''}.",
            f"Move them away, or {_ELSEWHERE}",
        )
    if not force:
        _check_same(out, request, keyed=keyed)


def _check_same(out: Path, request: CorpusRequest, *, keyed: bool) -> None:
    """Raise CorpusError where ``out`` is another corpus, which a run may need."""
    try:
        manifest = read_manifest(out)
    except CorpusError as error:
        if keyed:
            return
        what = error.message
    else:
        if request.is_met_by(manifest):
            return  # but damaged, or it would have been opened
        what = f"{out} exists already: it was prepared {_difference(request, manifest)}."
    raise CorpusError(what, f"Replace it with `force=True`, or {_ELSEWHERE}")


def _difference(request: CorpusRequest, manifest: Manifest) -> str:
    then, now = manifest.config.to_dict(), request.config.to_dict()
    if then == now and manifest.reading != READING:
        return "by an earlier chargen, which reads some texts differently"
    if then == now:
        return "from other texts"
    return "with " + ", ".join(
        f"{name} {then[name]} instead of {now[name]}" for name in now if then[name] != now[name]
    )

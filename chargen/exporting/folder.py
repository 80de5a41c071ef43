"""The folder that an export makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from chargen.errors import ConfigError
from chargen.exporting.hub import CARD, write_hub
from chargen.exporting.onnx_file import onnx_files
from chargen.exporting.page import DATA, site_files, write_page
from chargen.exporting.samples import SAMPLE
from chargen.exporting.tasks import check_task
from chargen.exporting.tokens import FILE, table_bytes
from chargen.exporting.uses import EXAMPLES
from chargen.files import new_folder
from chargen.ngrams import without_singletons
from chargen.options.export import ExportConfig
from chargen.runs.layout import CONFIG, MODEL, NGRAM, TOKENIZER
from chargen.runs.loaded import LoadedModel
from chargen.runs.ngram import write_ngram


def export_run(loaded: LoadedModel, config: ExportConfig, out: Path) -> None:
    """Write an export of a run to the folder ``out``, whole or not at all.

    Raises:
        ConfigError: ``out`` exists, and is not to be replaced or is more than an export; or an
            option is of no use to the run.
        CheckpointError: the run has learnt a task that can't be exported so.
        MissingExtraError: ``onnx`` is wanted and not installed.
    """
    _check_place(out, loaded.path, force=config.force)
    check_task(loaded, config.to)
    loaded = _with_fewer_counts(loaded, config.drop_ngrams)
    try:
        with new_folder(out, replace=config.force) as folder:
            _WRITERS[config.to](folder, loaded, config)
    except FileExistsError as error:  # it was made meanwhile
        raise _taken(out) from error


def _with_fewer_counts(loaded: LoadedModel, drop_from: int | None) -> LoadedModel:
    """The run without n-grams of length ``drop_from`` or more that occur once."""
    ngram = loaded.ngram
    if drop_from is not None and ngram is None:
        raise ConfigError(
            f"`drop_ngrams` is given, and {loaded.path} mixes no counts in.", "Leave it out."
        )
    if ngram is None or drop_from is None or drop_from > ngram.order:
        return loaded
    return replace(loaded, ngram=without_singletons(ngram, drop_from))


def _check_place(out: Path, run: Path, *, force: bool) -> None:
    """Raise ConfigError where ``out`` is taken, or replacing it would take more than an export."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not force:
        raise _taken(out)
    what = ""
    if out.samefile(run):
        what = "is the run itself"
    elif not any((out / each).is_file() for each in _OWN):
        what = "is no export"
    elif others := sorted({each.name for each in out.iterdir()} - _MADE - site_files().keys()):
        what = f"holds {others[0]!r}, which no export makes"
    if what:
        raise ConfigError(f"{out} {what}, and isn't replaced.", "Choose another `out`.")


def _taken(out: Path) -> ConfigError:
    return ConfigError(
        f"{out} exists already.", "Choose another `out`, or replace it with `force=True`."
    )


def _write_onnx(folder: Path, loaded: LoadedModel, _config: ExportConfig) -> None:
    """The network, the tokenizer's table, and the counts where the run has any."""
    for name, content in onnx_files(loaded).items():
        (folder / name).write_bytes(content)
    (folder / FILE).write_bytes(table_bytes(loaded))
    write_ngram(folder, loaded.ngram)


_OWN = (FILE, DATA)
"""Each export has one of these."""
_MADE = {
    *_OWN,
    *("model.onnx", "encoder.onnx", "decoder.onnx"),
    *(CONFIG, TOKENIZER, MODEL, NGRAM),
    *(CARD, SAMPLE, EXAMPLES),
}
"""Names of all files of exports, but for those of a page's site."""
_WRITERS: Mapping[str, Callable[[Path, LoadedModel, ExportConfig], None]] = {
    "onnx": _write_onnx,
    "hub": write_hub,
    "page": write_page,
}

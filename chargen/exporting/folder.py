"""The folder that an export makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from chargen.errors import ConfigError
from chargen.exporting.hub import write_hub
from chargen.exporting.onnx_file import metadata_of, onnx_bytes
from chargen.exporting.page import write_page
from chargen.exporting.step import traced_step
from chargen.exporting.tokens import FILE, table_bytes, table_of
from chargen.files import new_folder
from chargen.options.export import ExportConfig
from chargen.runs.loaded import LoadedModel
from chargen.runs.ngram import write_ngram


def export_run(loaded: LoadedModel, config: ExportConfig, out: Path) -> None:
    """Write an export of a run to the folder ``out``, whole or not at all.

    Raises:
        ConfigError: ``out`` exists and is not to be replaced.
        CheckpointError: the run has learnt a task that can't be exported so.
        MissingExtraError: ``onnx`` is wanted and not installed.
    """
    try:
        with new_folder(out, replace=config.force) as folder:
            _WRITERS[config.to](folder, loaded, config)
    except FileExistsError as error:
        raise ConfigError(
            f"{out} exists already.", "Choose another `out`, or replace it with `force=True`."
        ) from error


def _write_onnx(folder: Path, loaded: LoadedModel, _config: ExportConfig) -> None:
    """The step, the tokenizer's table, and the counts where the run has any."""
    step = traced_step(loaded.model)
    (folder / "model.onnx").write_bytes(onnx_bytes(step, metadata_of(table_of(loaded))))
    (folder / FILE).write_bytes(table_bytes(loaded))
    write_ngram(folder, loaded.ngram)


_WRITERS: Mapping[str, Callable[[Path, LoadedModel, ExportConfig], None]] = {
    "onnx": _write_onnx,
    "hub": write_hub,
    "page": write_page,
}

"""Taking a run away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chargen.options import ExportConfig, check, keyword_options


@keyword_options(ExportConfig)
def export(
    run: str | Path | None = None,
    out: str | Path | None = None,
    *,
    runs_dir: str | Path | None = None,
    ngram: bool = True,
    **options: Any,
) -> Path:
    """Export a run to a folder for other programs, and return the folder.

    Args:
        run: a run folder, or a name in ``runs_dir``; None is the newest run that has finished.
        out: the folder to make; by default ``NAME-onnx``, ``NAME-hub`` or ``NAME-page`` in the
            current one.
        runs_dir: the folder of runs.
        ngram: False: the network alone, without the run's n-gram counts.
        options: as in ``chargen export``: ``to``, ``license`` and so on.

    Raises:
        ConfigError: options are unknown or contradictory, or ``out`` exists.
        CheckpointError: the run is missing or damaged, or has learnt another task.
        MissingExtraError: a package that the export needs is not installed.
    """
    config = ExportConfig(**options)
    check(config)
    from chargen.api.inspecting import load
    from chargen.exporting.folder import export_run
    from chargen.runs.finding import name_of

    loaded = load(run, runs_dir=runs_dir, device="cpu", ngram=ngram).loaded
    folder = Path(out) if out is not None else Path(f"{name_of(loaded.path)}-{config.to}")
    export_run(loaded, config, folder)
    return folder

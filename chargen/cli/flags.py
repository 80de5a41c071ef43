"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from chargen.cli.completion import presets, run_names, texts
from chargen.errors import ConfigError
from chargen.training.presets import DEFAULT_PRESET, PRESETS

Json = Annotated[bool, typer.Option("--json", help="Report as JSON on standard output.")]
RunsDir = Annotated[
    Path | None,
    typer.Option(
        "--runs",
        envvar="CHARGEN_RUNS",
        show_envvar=False,
        help="Folder of runs. \\[default: CHARGEN_RUNS, else checkpoints]",
    ),
]
Run = Annotated[
    str | None,
    typer.Argument(
        help="A run folder or the name of a run; by default the newest one that has finished.",
        autocompletion=run_names,
    ),
]
Checkpoint = Annotated[
    str | None,
    typer.Option(
        "--checkpoint",
        help="The run as an option, in place of the argument.",
        autocompletion=run_names,
    ),
]
NamedRun = Annotated[
    str,
    typer.Argument(
        help="A run folder or the name of a run.", show_default=False, autocompletion=run_names
    ),
]
Runs = Annotated[
    list[str] | None,
    typer.Argument(
        help="Run folders or names of runs; by default the newest run.", autocompletion=run_names
    ),
]
Picture = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="PNG, SVG or PDF to draw the curves to as well."),
]
Corpus = Annotated[
    list[Path] | None,
    typer.Argument(
        help="Text files, folders of them, a prepared corpus, or the name of a shipped text; by "
        "default xiaohecun, the shipped stories.",
        autocompletion=texts,
    ),
]
Src = Annotated[
    Path | None,
    typer.Option(
        "--src", help="File whose lines are the first sides of pairs.", show_default=False
    ),
]
Tgt = Annotated[
    Path | None,
    typer.Option("--tgt", help="File whose lines are their answers.", show_default=False),
]
Preset = Annotated[
    str | None,
    typer.Option(
        "--preset",
        help=f"{', '.join(PRESETS)}. \\[default: {DEFAULT_PRESET}]",
        autocompletion=presets,
    ),
]
NoNgram = Annotated[
    bool, typer.Option("--no-ngram", help="The network alone, without the run's n-gram counts.")
]
InitFrom = Annotated[
    str | None,
    typer.Option(
        "--init-from", help="Run to take the initial weights from.", autocompletion=run_names
    ),
]


def sides_as_files(
    files: list[Path] | None, src: Path | None, tgt: Path | None, options: dict[str, Any]
) -> tuple[list[Path] | None, dict[str, Any]]:
    """The files of a corpus and its options, in which ``--src`` and ``--tgt`` are two files."""
    if src is None and tgt is None:
        return files, options
    if src is None or tgt is None:
        raise ConfigError("`src` and `tgt` go together.", "Give the files of both sides.")
    if files:
        raise ConfigError("`src` and `tgt` take the place of other files.", "Leave the others out.")
    if options.get("records", "pairs") != "pairs" or options.get("label_key"):
        raise ConfigError("`src` and `tgt` are the sides of pairs.", "Give `records=pairs`.")
    return [src, tgt], {**options, "records": "pairs"}

"""``chargen sweep``: train a run for every combination of some values."""

from __future__ import annotations

import json
from collections.abc import Sequence
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chargen.cli.command import command
from chargen.cli.compare import bits_shown, show_comparison
from chargen.cli.flags import Corpus, Json, Picture, Preset, RunsDir, Src, Tgt, sides_as_files
from chargen.errors import ConfigError
from chargen.options import CorpusConfig, ModelConfig, TrainConfig, WorkersConfig, nearest

if TYPE_CHECKING:
    from chargen.api.sweeping import Sweep, SweptRow
    from chargen.corpus.progress import PrepareProgress
    from chargen.options.field import Entry
    from chargen.terminal.console import Terminal

_WORDS = {"true": True, "yes": True, "false": False, "no": False, "none": None}

_Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="OPTION=VALUE,VALUE: an option of train and its values; repeatable."
    ),
]
_Seeds = Annotated[
    int, typer.Option("--seeds", min=1, help="Runs of each combination, seed by seed.")
]
_Name = Annotated[
    str, typer.Option("--name", help="Folder in the folder of runs for those of the sweep.")
]
_StopEarly = Annotated[
    bool,
    typer.Option(
        "--stop-early",
        help="Successive halving: stop runs that are behind at their first evaluation after a "
        "quarter and a half.",
    ),
]


@command(ModelConfig, TrainConfig, CorpusConfig, WorkersConfig)
def sweep(
    corpus: Corpus = None,
    sets: _Sets = None,
    seeds: _Seeds = 1,
    name: _Name = "sweep",
    preset: Preset = None,
    runs_dir: RunsDir = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the sweep, or begin it.")
    ] = False,
    stop_early: _StopEarly = False,
    src: Src = None,
    tgt: Tgt = None,
    out: Picture = None,
    *,
    options: dict[str, Any],
    as_json: Json = False,
    terminal: Terminal,
) -> None:
    """Train a run for every combination of values, and compare them; can be resumed."""
    varied = dict(map(_varied, sets or []))
    texts, options = sides_as_files(corpus, src, tgt, options)

    from chargen import api
    from chargen.terminal.plain import PlainView

    view = PlainView(terminal.say)

    def on_progress(progress: PrepareProgress) -> None:
        view.preparing(progress.phase, progress.done, progress.total)

    def on_run(run: str, bits: float | None, ended: int, count: int) -> None:
        terminal.say(f"{run}: {bits_shown(bits)}; {ended:,} of {count:,} runs have ended")

    found = api.sweep(
        texts,
        sets=varied,
        seeds=seeds,
        name=name,
        preset=preset,
        runs_dir=runs_dir,
        resume=resume,
        stop_early=stop_early,
        out=out,
        on_progress=on_progress,
        on_run=on_run,
        **options,
    )
    if as_json:
        rows = [{**row.values, "bits": row.bits, "mean": row.mean} for row in found.rows]
        typer.echo(json.dumps({"path": str(found.path), "rows": rows, "failed": found.failed}))
    else:
        _show(terminal, found, list(varied))
    if out is not None:
        terminal.say(f"Drawn: {out}")


def _show(terminal: Terminal, found: Sweep, varied: Sequence[str]) -> None:
    show_comparison(terminal, found.comparison)
    seeds = len(found.rows[0].runs)
    header = (*varied, "mean", *(f"run {n}" for n in range(1, seeds + 1)), "stopped early")
    terminal.grid("", header, [_row(row) for row in found.rows])
    for run, why in found.failed.items():
        terminal.note(f"{run} failed: {why}")
    ended = all(None not in row.bits and not row.stopped for row in found.rows)
    if not varied and ended and found.comparison.runs[0].config.model.can_be_averaged():
        terminal.note(f"chargen average {quote(str(found.path))} makes one run of them.")


def _row(row: SweptRow) -> tuple[str, ...]:
    values = (f"{v:g}" if isinstance(v, float) else str(v) for v in row.values.values())
    return (*values, bits_shown(row.mean), *map(bits_shown, row.bits), str(row.stopped or "–"))


def _varied(text: str) -> tuple[str, Sequence[Any]]:
    """Read ``lr=4e-3,8e-3`` as ("lr", [0.004, 0.008])."""
    known = {
        flag.strip("-"): entry
        for config in (ModelConfig, TrainConfig, CorpusConfig)
        for entry in config.entries().values()
        if not entry.option.derived and entry.kind is not tuple
        for flag in (*entry.flags, f"--{entry.parameter}")
        if "/" not in flag
    }
    known |= {entry.parameter.replace("_", "-"): entry for entry in known.values()}
    name, equals, values = text.partition("=")
    entry = known.get(name.strip().lstrip("-"))
    if not equals or not values or entry is None:
        close = nearest(name, known)
        raise ConfigError(
            f"`set` is {text!r}, not an option of train and its values."
            + (f" Did you mean {close}?" if close and entry is None else ""),
            "Write it as in lr=4e-3,8e-3.",
        )
    return entry.parameter, [_value(entry, each) for each in values.split(",")]


def _value(entry: Entry, text: str) -> Any:
    """A value in the option's type; what has another is left to the check."""
    if entry.kind is bool or (entry.nullable and text == "none"):
        return _WORDS.get(text, text)
    try:
        return entry.kind(text)
    except ValueError:
        return text

"""``chargen compare``: compare runs side by side."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chargen.cli.choosing import chosen_runs
from chargen.cli.command import command
from chargen.cli.completion import run_names, values
from chargen.cli.flags import Json, Picture, RunsDir
from chargen.terminal.charts import line_chart

if TYPE_CHECKING:
    from chargen.inspection.comparison import ComparedRun, Comparison
    from chargen.terminal.console import Terminal

_MARKS = "123456789abcdefghijklmnopqrstuvwxyz"
_HEADER = ("run", "network", "|V|", "parameters", "steps", "minutes", "chars/s", "best", "last")


@command()
def compare(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            help="Run folders or names of runs; without them a terminal lists the runs and asks.",
            autocompletion=run_names,
        ),
    ] = None,
    over: Annotated[
        str,
        typer.Option(
            "--over",
            help="Horizontal axis of the curves: steps or minutes.",
            autocompletion=values({"steps": "", "minutes": ""}),
        ),
    ] = "steps",
    out: Picture = None,
    runs_dir: RunsDir = None,
    *,
    as_json: Json = False,
    terminal: Terminal,
) -> None:
    """Compare runs: a table, the options in which they differ, and their curves in one chart."""
    from chargen import api

    runs = runs or chosen_runs(terminal, runs_dir, as_json=as_json)
    comparison = api.compare(runs, runs_dir=runs_dir, over=over, out=out)
    if as_json:
        typer.echo(json.dumps(comparison.to_dict(), ensure_ascii=False))
    else:
        show_comparison(terminal, comparison, over)
    if out is not None:
        terminal.say(f"Drawn: {out}")


def show_comparison(terminal: Terminal, comparison: Comparison, over: str = "steps") -> None:
    """Show runs as a table, with their options and curves."""
    runs = comparison.runs
    marked = list(zip(_MARKS * (1 + len(runs) // len(_MARKS)), runs, strict=False))
    terminal.grid("", _HEADER, [_figures(mark, run) for mark, run in marked])
    terminal.note(f"Best and last: {comparison.unit} on the validation split.")
    if comparison.differing:
        options = [(name, *map(_value, row)) for name, row in comparison.differing.items()]
        terminal.grid("", ("option", *(mark for mark, _ in marked)), options)
    terminal.picture(*_chart(marked, over, comparison.unit, terminal.columns))
    for line in (*comparison.incomparable, *comparison.notes):
        terminal.note(line)


def _figures(mark: str, run: ComparedRun) -> tuple[str, ...]:
    from chargen.terminal.words import human

    model, history = run.config.model, run.history
    rate = history.chars_per_second
    return (
        f"{mark} {run.name}",
        f"{model.cell} {model.num_layers} × {model.hidden_size}",
        f"{model.vocab_size:,}",
        human(run.parameters),
        f"{history.steps:,}",
        f"{history.seconds / 60:.1f}",
        "–" if rate is None else human(rate),
        bits_shown(history.best_bits_per_char),
        bits_shown(history.last_bits_per_char),
    )


def bits_shown(bits: float | None) -> str:
    """A score in a table; a dash where there is none."""
    return "–" if bits is None else f"{bits:.4f}"


def _value(value: Any) -> str:
    """A value of an option in a table; a dash where there is none."""
    if isinstance(value, (tuple, list)):
        return ", ".join(map(_value, value)) or "–"
    return "–" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _chart(
    marked: list[tuple[str, ComparedRun]], over: str, unit: str, width: int
) -> tuple[str, list[str]]:
    """Title and lines of a chart: validation if every run has such a curve, else training loss."""
    recorded = [(mark, run) for mark, run in marked if run.lines]
    curves = [(mark, run.validation(over)) for mark, run in recorded]
    what = f"validation, {unit}"
    if any(len(curve) < 2 for _, curve in curves):
        curves = [(mark, run.training(over)) for mark, run in recorded]
        what = "training, bits per piece"
    drawn = [(mark, curve) for mark, curve in curves if curve]
    if not drawn:
        return "Nothing has been recorded yet.", []
    places = [x for _, curve in drawn for x, _ in curve]
    form = ",.0f" if over == "steps" else ",.1f"
    ends = f"{min(places):{form}}", f"{max(places):{form}} {over}"
    return f"{what}, over {over}", line_chart(drawn, ends=ends, width=width)

"""``chargen gradients``: measure how gradients vanish or explode through time."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from chargen.cli.command import command
from chargen.cli.flags import Json, Picture, Runs, RunsDir

if TYPE_CHECKING:
    from chargen.inspection.gradients import GradientReport, Spectrum
    from chargen.terminal.console import Terminal

_WIDTH = 68
"""Columns for the bars and numbers of all runs."""


@command()
def gradients(
    runs: Runs = None,
    lags: Annotated[int, typer.Option("--lags", min=1, help="Largest lag, in steps.")] = 64,
    out: Picture = None,
    runs_dir: RunsDir = None,
    *,
    as_json: Json = False,
    terminal: Terminal,
) -> None:
    """Measure how gradients vanish or explode through time in one or more runs.

    Reports the norm of ∂L_t/∂s_(t−k) for each lag k on the run's own text, the spectrum of W, the
    share of saturated units, and where training clipped the gradient.
    """
    from chargen import api

    reports = api.gradients(runs or [], runs_dir=runs_dir, lags=lags, out=out)
    if as_json:
        typer.echo(json.dumps([report.to_dict() for report in reports], ensure_ascii=False))
        return
    positions = " and ".join(sorted({str(report.positions) for report in reports}))
    terminal.grid(
        f"‖∂L_t/∂s_(t−k)‖, mean over {positions} positions, bars on a logarithmic scale",
        ["k", *(report.run for report in reports)],
        _norm_rows(reports),
    )
    for report in reports:
        terminal.table(f"\n{report.run}", _rows(report))
    if out is not None:
        terminal.say(f"Drawn: {out}")


def _norm_rows(reports: Sequence[GradientReport]) -> Iterator[list[str]]:
    logarithms = [math.log10(norm) for report in reports for norm in report.norms if norm > 0]
    low, high = min(logarithms, default=0.0), max(logarithms, default=0.0)
    bar = max(4, min(32, _WIDTH // len(reports) - 9))
    for lag in _shown(len(reports[0].norms) - 1):
        row = [str(lag)]
        for report in reports:
            norm = report.norms[lag]
            share = (math.log10(norm) - low) / ((high - low) or 1) if norm > 0 else 0.0
            row.append(f"{norm:.1e} {'█' * round(share * bar):░<{bar}}")
        yield row


def _shown(last: int) -> list[int]:
    """Return lags 0, 1, 2, 3, 4, 6, 8, 12, 16, … and the last one."""
    powers = [2**n for n in range(last.bit_length())]
    between = [3 * power // 2 for power in powers if power > 1]
    return sorted({0, last, *(lag for lag in powers + between if lag <= last)})


def _rows(report: GradientReport) -> list[tuple[str, str]]:
    rows = [
        (
            f"layer {each.layer}, W of {each.gate}",
            _spectrum(each.singular_values, each.spectral_radius),
        )
        for each in report.spectra
    ]
    rows += [(f"mean |{name}′|", f"{slope:.2f}") for name, slope in report.slopes.items()]
    rows += [
        (f"‖W‖ · mean |{name}′|", _product(each, slope))
        for each in report.spectra
        for name, slope in report.slopes.items()
        if len(report.slopes) == 1  # with gates, more than one product decides
    ]
    rows.append(("measured, a step back", f"× {report.factor:.2f}: {_verdict(report.factor)}"))
    rows += [(f"{name} saturated", f"{share:.1%}") for name, share in report.saturated.items()]
    clipping = report.clipping
    acted = [step for step, share in zip(clipping.steps, clipping.clipped, strict=True) if share]
    if not clipping.limit:
        rows.append(("clipping", "off"))
    elif not acted:
        rows.append(("clipping", f"at {clipping.limit:g}, never needed"))
    else:
        mean = sum(clipping.clipped) / len(clipping.clipped)
        rows.append(
            (
                "clipping",
                f"at {clipping.limit:g}, between steps {acted[0]:,} and {acted[-1]:,}, in "
                f"{mean:.0%} of the recorded steps",
            )
        )
    return rows


def _product(spectrum: Spectrum, slope: float) -> str:
    """The factor of one step back: W stretches the gradient, and the slope of f shrinks it."""
    norm, radius = spectrum.singular_values[0], spectrum.spectral_radius
    return (
        f"{norm:.2f} × {slope:.2f} = {norm * slope:.2f} where W stretches most; with the spectral "
        f"radius, for many steps, {radius:.2f} × {slope:.2f} = {radius * slope:.2f}"
    )


def _verdict(factor: float) -> str:
    if not factor:
        return "nothing reaches back so far"
    if factor < 0.99:
        return "the gradient vanishes"
    return "the gradient explodes" if factor > 1.01 else "the gradient is kept"


def _spectrum(singular_values: Sequence[float], radius: float) -> str:
    values = ", ".join(f"{value:.2f}" for value in singular_values)
    return f"largest singular values {values}, the first ‖W‖; spectral radius {radius:.2f}"

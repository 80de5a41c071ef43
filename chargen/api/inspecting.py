"""Loading, inspecting and comparing runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from chargen.options import CorpusConfig, check, meant

if TYPE_CHECKING:
    from chargen.generation.generator import Generator
    from chargen.inspection.comparison import Comparison
    from chargen.inspection.corpora import CorpusSummary
    from chargen.inspection.gradients import GradientReport
    from chargen.inspection.listing import RunEntry
    from chargen.inspection.looks import LookReport
    from chargen.inspection.neurons import NeuronReport
    from chargen.inspection.summary import RunSummary


def _find(
    run: str | Path | None,
    runs_dir: str | Path | None,
    *,
    finished: bool = False,
    poems: bool | None = None,
) -> Path:
    """Find a run; where there is none and ``poems`` says what for, one of those that are shipped.

    A folder that is given is meant: there, nothing else is used.
    """
    from chargen.runs.finding import find_run, runs_folder
    from chargen.runs.shipped import STORIES, VERSE

    shipped = None if poems is None or runs_dir is not None else VERSE if poems else STORIES
    name = None if run is None else str(run)
    return find_run(name, runs_folder(runs_dir), finished=finished, shipped=shipped)


def load(
    run: str | Path | None = None,
    *,
    runs_dir: str | Path | None = None,
    device: str = "auto",
    ngram: bool = True,
    poems: bool = False,
) -> Generator:
    """Load a trained model.

    Args:
        run: a run folder, the name of a run in ``runs_dir``, or ``stories`` or ``verse``, which
            come with chargen; None is the newest run there that has finished, or the newest if
            none has. Where there is none and ``runs_dir`` isn't given, it is ``stories``, with a
            ChargenWarning.
        runs_dir: the folder of runs; by default the environment variable CHARGEN_RUNS, else
            ``checkpoints``.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        ngram: False: the network alone, without the run's n-gram counts.
        poems: where there is no run, load ``verse`` in place of ``stories``.

    Raises:
        CheckpointError: the run is missing, damaged, or in a format that can't be read.
        ConfigError: the machine doesn't have that device.
    """
    from chargen.generation.generator import open_run

    return open_run(_find(run, runs_dir, finished=True, poems=poems), device, ngram=ngram)


def list_runs(runs_dir: str | Path | None = None) -> list[RunEntry]:
    """List the runs in a folder, the newest first.

    Args:
        runs_dir: the folder of runs; by default the environment variable CHARGEN_RUNS, else
            ``checkpoints``.

    Raises:
        CheckpointError: the folder can't be listed.
    """
    from chargen.inspection.listing import list_runs
    from chargen.runs.finding import runs_folder

    return list_runs(runs_folder(runs_dir))


def inspect(
    path: str | Path | None = None,
    *,
    runs_dir: str | Path | None = None,
    ngram: bool = True,
) -> RunSummary | CorpusSummary:
    """Report what a run folder or a prepared corpus holds, and verify its files.

    Args:
        path: a run folder, the name of a run, or a prepared corpus; None is the newest run.
        runs_dir: the folder of runs.
        ngram: False: the network alone; a run's n-gram counts are neither read nor verified.

    Raises:
        CheckpointError, CorpusError: there is no such run or corpus, or its description is damaged.
    """
    if path is not None and (Path(path) / "manifest.json").is_file():
        from chargen.inspection.corpora import summarise_corpus

        return summarise_corpus(Path(path))
    from chargen.inspection.summary import summarise_run

    return summarise_run(_find(path, runs_dir, poems=False), ngram=ngram)


def gradients(
    runs: Sequence[str | Path] = (),
    *,
    runs_dir: str | Path | None = None,
    lags: int = 64,
    out: str | Path | None = None,
) -> list[GradientReport]:
    """Measure how gradients vanish or explode through time in runs, on their own corpora.

    Args:
        runs: run folders, or names in ``runs_dir``; an empty sequence is the newest run.
        runs_dir: the folder of runs.
        lags: the largest lag, in steps.
        out: a PNG, SVG or PDF to draw.

    Raises:
        CheckpointError: a run is missing or damaged.
        ConfigError: ``out`` can't be written.
        CorpusError: the corpus of a run is missing or too short.
        MissingExtraError: ``out`` is given and matplotlib is not installed.
    """
    from chargen.inspection.gradient_plot import plot_gradients
    from chargen.inspection.gradients import measure_gradients
    from chargen.inspection.plots import check_picture

    if out is not None:
        check_picture(Path(out))
    folders = [_find(run, runs_dir) for run in runs or (None,)]
    reports = [measure_gradients(folder, lags) for folder in folders]
    if out is not None:
        plot_gradients(reports, Path(out))
    return reports


def neurons(
    text: str | Path,
    run: str | Path | None = None,
    *,
    runs_dir: str | Path | None = None,
    ngram: bool = True,
    out: str | Path | None = None,
) -> tuple[NeuronReport, Path]:
    """Measure what each unit of a run does while it reads a text, and write an HTML page.

    Args:
        text: a text file.
        run: a run folder, or a name in ``runs_dir``; None is the newest run.
        runs_dir: the folder of runs.
        ngram: False: the network alone, without the run's n-gram counts.
        out: the page; by default ``neurons.html`` in the run folder.

    Returns:
        The report, and the path of the page.

    Raises:
        CheckpointError: the run is missing or damaged.
        CorpusError: the text can't be read.
    """
    from chargen.corpus.reading import read_text
    from chargen.files import write_bytes
    from chargen.inspection.neurons import inspect_neurons
    from chargen.inspection.page import neuron_page

    generator = load(run, runs_dir=runs_dir, device="cpu", ngram=ngram)
    content = read_text(text, CorpusConfig(unwrap=generator.unwrap))
    report = inspect_neurons(generator.loaded, generator.as_learnt(content))
    page = Path(out) if out is not None else generator.path / "neurons.html"
    write_bytes(page, neuron_page(report).encode("utf-8"))
    return report, page


def attention(
    text: str,
    run: str | Path | None = None,
    *,
    answer: str | None = None,
    runs_dir: str | Path | None = None,
    out: str | Path | None = None,
) -> LookReport:
    """Measure where a run that answers lines looks while it answers one.

    Args:
        text: the line.
        run: a run folder, or a name in ``runs_dir``; None is the newest run.
        answer: the answer that is looked at; None: the likeliest that a beam of 8 finds.
        runs_dir: the folder of runs.
        out: a PNG, SVG or PDF to draw.

    Raises:
        CheckpointError: the run is missing, has learnt another task, or has no attention.
        ConfigError: ``out`` can't be written.
        GenerationError: the line can't be answered.
        MissingExtraError: ``out`` is given and matplotlib is not installed.
    """
    from chargen.inspection.looks import inspect_looks, plot_looks
    from chargen.inspection.plots import check_picture

    if out is not None:
        check_picture(Path(out))
    generator = load(run, runs_dir=runs_dir, device="cpu")
    if answer is None:
        (answer,) = generator.answer(text, beam_size=8)
    report = inspect_looks(generator.loaded, generator.as_learnt(text), answer)
    if out is not None:
        plot_looks(report, Path(out))
    return report


def compare(
    runs: Sequence[str | Path],
    *,
    runs_dir: str | Path | None = None,
    over: str = "steps",
    out: str | Path | None = None,
) -> Comparison:
    """Compare runs: figures, options in which they differ, curves.

    Args:
        runs: run folders, or names in ``runs_dir``.
        runs_dir: the folder of runs.
        over: the horizontal axis of the plot, ``steps`` or ``minutes``.
        out: a PNG, SVG or PDF to draw.

    Raises:
        ConfigError: ``over`` is neither, or ``out`` can't be written.
        CheckpointError: a run is missing, or ``out`` is given and nothing was recorded.
        MissingExtraError: ``out`` is given and matplotlib is not installed.
    """
    from chargen.inspection.comparison import compare_runs
    from chargen.inspection.plots import AXES, check_picture, plot_curves

    if out is not None:
        check_picture(Path(out))
    wrong = f"`over` is {over!r}{meant(over, AXES)}, not one of {', '.join(AXES)}"
    check(also=[] if over in AXES else [wrong])
    folders = [_find(run, runs_dir) for run in runs]
    comparison = compare_runs(folders)
    if out is not None:
        plot_curves(folders, Path(out), (over,), "\n".join(comparison.incomparable))
    return comparison


def plot(
    runs: Sequence[str | Path] = (),
    out: str | Path | None = None,
    *,
    runs_dir: str | Path | None = None,
) -> Path:
    """Draw the curves of one or more runs as a PNG, SVG or PDF, and return its path.

    Args:
        runs: run folders, or names in ``runs_dir``; an empty sequence is the newest run.
        out: the file; by default ``curves.png``, in the run folder if there is one run.
        runs_dir: the folder of runs.

    Raises:
        ConfigError: ``out`` can't be written.
        MissingExtraError: matplotlib is not installed.
        CheckpointError: a run is missing, or has recorded nothing yet.
    """
    from chargen.inspection.plots import check_picture, plot_curves

    if out is not None:
        check_picture(Path(out))
    folders = [_find(run, runs_dir) for run in runs or (None,)]
    if out is None:
        out = (folders[0] if len(folders) == 1 else Path()) / "curves.png"
    plot_curves(folders, Path(out))
    return Path(out)

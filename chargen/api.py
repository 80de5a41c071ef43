"""The public API: prepare, train, load, and what else the command line is built on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from chargen.config import CorpusConfig, SamplingConfig, check
from chargen.errors import TrainingError
from chargen.generation.generator import Generator, SamplingOptions

if TYPE_CHECKING:
    from chargen.corpus.prepared import PreparedCorpus, Progress
    from chargen.evaluation.novelty import Novelty
    from chargen.generation.batch.run import Progress as BatchProgress
    from chargen.generation.poems.forms import Form
    from chargen.inspection.comparison import Comparison
    from chargen.inspection.corpora import CorpusSummary
    from chargen.inspection.gradients import GradientReport
    from chargen.inspection.neurons import NeuronReport
    from chargen.inspection.summary import RunSummary
    from chargen.training.events import Event
    from chargen.training.lr_finder import RangeTest
    from chargen.training.setup import PreparedRun

Source = str | Path
CHECKPOINTS = Path("checkpoints")


class TrainOptions(TypedDict, total=False):
    """What may override a preset: the fields of ModelConfig and TrainConfig."""

    cell: str
    hidden_size: int
    num_layers: int
    embedding_size: int
    activation: str
    recurrent_init: str
    dt: float
    modules: int
    teacher_forcing: bool
    bias: bool
    tie_weights: bool
    seq_length: int
    batch_size: int
    gradient_accumulation_steps: int
    optimizer: str
    lr: float
    lr_final: float
    weight_decay: float
    warmup_steps: int
    grad_clip: float
    dropout: float
    dropout_growth: float
    epochs: float
    max_steps: int
    max_minutes: float
    patience: int
    eval_every: int
    sample_every: int
    save_every: int
    seed: int
    threads: int
    device: str
    precision: str


def prepare(
    sources: Source | Sequence[Source],
    out: Source | None = None,
    config: CorpusConfig | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> PreparedCorpus:
    """Turn texts into a prepared corpus.

    Args:
        sources: text files, and folders of them, in the order in which they are read.
        out: folder to write; by default ``corpora/<stem of the first>``.
        config: vocabulary, encoding, validation split.
        on_progress: told how far it is.

    Raises:
        CorpusError: a source can't be read, or nothing can be learnt from it.
    """
    from chargen.corpus.opening import default_folder, paths_of
    from chargen.corpus.prepared import prepare as prepare_corpus

    paths = paths_of(sources)
    config = config or CorpusConfig()
    check(config)
    return prepare_corpus(paths, Path(out) if out else default_folder(paths), config, on_progress)


@dataclass(frozen=True)
class TrainedRun:
    """What became of a training run.

    Attributes:
        path: its folder.
        steps: made in all.
        reason: ``done``, ``patience``, ``time`` or ``interrupted``.
        bits_per_char: of the best weights on the validation split; None without one.
    """

    path: Path
    steps: int
    reason: str
    bits_per_char: float | None

    def load(self) -> Generator:
        return load(self.path)


def train(
    corpus: Source | Sequence[Source] | PreparedCorpus | None = None,
    *,
    preset: str | None = None,
    name: str | None = None,
    out_dir: Source = CHECKPOINTS,
    resume: bool = False,
    init_from: Source | None = None,
    tensorboard: bool = False,
    corpus_config: CorpusConfig | Mapping[str, Any] | None = None,
    on_event: Callable[[Event], None] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    stop: Callable[[], bool] | None = None,
    **options: Unpack[TrainOptions],
) -> TrainedRun:
    """Train a network, or go on training one.

    Args:
        corpus: text files or folders, a prepared folder, or one that ``prepare`` returned; None
            is the shipped prose, or, with ``resume``, what the run was trained on.
        preset: values for what ``options`` leaves open: ``small``, where none is given.
        name: of the run folder in ``out_dir``; by default after corpus and cell, with a number.
        out_dir: where runs lie.
        resume: go on with the run ``name``, or with the newest one.
        init_from: a run whose weights are the initial ones.
        tensorboard: write curves and samples for TensorBoard into the run folder.
        corpus_config: how a text is prepared: a whole config, or some fields of one; of a corpus
            that is prepared already, or of a run that goes on, only these are compared.
        on_event: told everything that happens: see ``chargen.training.events``.
        on_progress: told how far the preparation of the text is.
        stop: asked before every step; True saves and ends the run.
        options: what overrides the preset, by the names of ModelConfig and TrainConfig.

    Raises:
        ConfigError: options that can't be, all at once.
        CorpusError: the text can't be read or is too small.
        CheckpointError: the run exists already, is in use, or is damaged.
        TrainingError: the loss was not finite, again and again.
        MissingExtraError: ``tensorboard`` is asked for, and not installed.
    """
    from chargen.training.request import TrainRequest
    from chargen.training.tensorboard import require_tensorboard

    settings = _settings(corpus_config)
    if tensorboard:
        require_tensorboard()
    request = TrainRequest(corpus, preset, name, Path(out_dir), init_from, settings, on_progress)
    run = request.resumed_run(options) if resume else request.new_run(options)
    from chargen.training.recording import recorded_events

    event = None
    recorded = recorded_events(run, stop or (lambda: False), tensorboard=tensorboard)
    with closing(recorded) as events:
        for event in events:
            if on_event:
                on_event(event)
    return _outcome(run, event)


def _settings(config: CorpusConfig | Mapping[str, Any] | None) -> Mapping[str, Any]:
    """The fields of CorpusConfig that were given; unknown names are an error."""
    settings = config or {}
    if isinstance(settings, CorpusConfig):
        settings = settings.to_dict()
    CorpusConfig.from_dict(settings)
    return settings


def _outcome(run: PreparedRun, event: Event | None) -> TrainedRun:
    from chargen.training.events import Finished

    if not isinstance(event, Finished):
        raise TrainingError(f"The run {run.folder.path} ended without a word.", "Use --resume.")
    return TrainedRun(run.folder.path, event.step, event.reason, event.best_bits_per_char)


def read_text(path: Source, config: CorpusConfig | None = None) -> str:
    """A text file as ``prepare`` reads it: decoded, line ends made LF.

    Raises:
        CorpusError: it's missing or doesn't decode.
    """
    from chargen.corpus.reading import read_text as read

    return read(path, config)


def describe(path: Source | None = None) -> RunSummary | CorpusSummary:
    """What a run folder or a prepared corpus holds, and whether its files are whole.

    Args:
        path: a run folder, a run's name in ``checkpoints/``, a prepared corpus; None: newest run.

    Raises:
        CheckpointError, CorpusError: it is neither.
    """
    if path is not None and (Path(path) / "manifest.json").is_file():
        from chargen.inspection.corpora import summarise_corpus

        return summarise_corpus(Path(path))
    from chargen.inspection.summary import summarise_run
    from chargen.runs.folder import find_run

    return summarise_run(find_run(None if path is None else str(path), CHECKPOINTS))


def gradients(
    runs: Sequence[Source], *, lags: int = 64, out: Source | None = None
) -> list[GradientReport]:
    """Measure how gradients vanish or explode through time in runs, on their own corpora.

    Args:
        runs: run folders, or names in ``checkpoints/``; none: the newest there.
        lags: the furthest step back.
        out: a PNG to draw.

    Raises:
        CheckpointError: a run is missing or damaged.
        CorpusError: the corpus of a run is gone, or too short.
        MissingExtraError: there is something to draw, and matplotlib is not installed.
    """
    from chargen.inspection.gradients import measure_gradients, plot_gradients
    from chargen.runs.folder import find_run

    folders = [find_run(str(run), CHECKPOINTS) for run in runs] or [find_run(None, CHECKPOINTS)]
    reports = [measure_gradients(folder, lags) for folder in folders]
    if out is not None:
        plot_gradients(reports, Path(out))
    return reports


def neurons(
    text: Source, run: Source | None = None, *, out: Source | None = None
) -> tuple[NeuronReport, Path]:
    """What each unit of a run does while a text is read, and the page that shows it.

    Args:
        text: a text file.
        run: its folder, or its name in ``checkpoints/``; None: the newest there.
        out: the page; by default ``neurons.html`` in the run's folder.

    Raises:
        CheckpointError: the run is missing or damaged.
        CorpusError: the text can't be read.
    """
    from chargen.files import write_bytes
    from chargen.inspection.neurons import inspect_neurons
    from chargen.inspection.page import neuron_page

    generator = load(run, device="cpu")
    report = inspect_neurons(generator.loaded, read_text(text))
    page = Path(out) if out is not None else generator.path / "neurons.html"
    write_bytes(page, neuron_page(report).encode("utf-8"))
    return report, page


def find_lr(
    corpus: Source | Sequence[Source] | PreparedCorpus | None = None,
    *,
    preset: str | None = None,
    out_dir: Source = CHECKPOINTS,
    init_from: Source | None = None,
    corpus_config: CorpusConfig | Mapping[str, Any] | None = None,
    out: Source | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    on_step: Callable[[int, int], None] | None = None,
    **options: Unpack[TrainOptions],
) -> RangeTest:
    """Test learning rates for a network on a corpus; no run is made, and no weights are kept.

    Args:
        corpus: as for ``train``.
        preset: as for ``train``.
        out_dir: where ``init_from`` is looked for.
        init_from: a run whose weights are the initial ones.
        corpus_config: as for ``train``.
        out: a PNG to draw.
        on_progress: told how far the preparation of the text is.
        on_step: told how many steps of how many are made.
        options: what overrides the preset; the rates that are tried lie around ``lr``.

    Raises:
        ConfigError, CorpusError, CheckpointError: see ``train``; or ``out`` can't be written.
        TrainingError: the loss is not finite from the beginning.
        MissingExtraError: there is something to draw, and matplotlib is not installed.
    """
    from chargen.training.request import TrainRequest

    settings = _settings(corpus_config)
    request = TrainRequest(corpus, preset, None, Path(out_dir), init_from, settings, on_progress)
    plan = request.plan(options)
    from chargen.inspection.plots import check_picture, plot_range_test
    from chargen.training.lr_finder import range_test

    if out is not None:
        check_picture(Path(out))
    test = range_test(plan, on_step)
    if out is not None:
        plot_range_test(test, Path(out))
    return test


def compare(
    runs: Sequence[Source], *, over: str = "steps", out: Source | None = None
) -> Comparison:
    """Put runs side by side: figures, options in which they differ, curves.

    Args:
        runs: run folders, or names in ``checkpoints/``.
        over: what a picture's curves are drawn over, ``steps`` or ``minutes``.
        out: a PNG to draw.

    Raises:
        CheckpointError: a run is missing, or nothing was recorded yet and there is ``out``.
        MissingExtraError: there is something to draw, and matplotlib is not installed.
    """
    from chargen.inspection.plots import AXES, plot_curves

    check(also=[] if over in AXES else [f"over is {over!r}, not one of {', '.join(AXES)}"])
    from chargen.inspection.comparison import compare_runs
    from chargen.runs.folder import find_run

    folders = [find_run(str(run), CHECKPOINTS) for run in runs]
    comparison = compare_runs(folders)
    if out is not None:
        plot_curves(folders, Path(out), (over,), "\n".join(comparison.incomparable))
    return comparison


def plot(runs: Sequence[Source], out: Source | None = None) -> Path:
    """Draw the curves of one or more runs as a PNG, and return its path.

    Args:
        runs: run folders, or names in ``checkpoints/``.
        out: the file; by default ``curves.png`` in the run's folder, or here for several.

    Raises:
        MissingExtraError: matplotlib is not installed.
        CheckpointError: a run is missing, or nothing was recorded yet.
    """
    from chargen.inspection.plots import plot_curves
    from chargen.runs.folder import find_run

    folders = [find_run(str(run), CHECKPOINTS) for run in runs]
    if not folders:
        folders = [find_run(None, CHECKPOINTS)]
    if out is None:
        out = (folders[0] if len(folders) == 1 else Path()) / "curves.png"
    plot_curves(folders, Path(out))
    return Path(out)


def batch(
    jobs: Source,
    out: Source,
    run: Source | None = None,
    *,
    batch_size: int = 64,
    resume: bool = False,
    force: bool = False,
    ordered: bool = True,
    keep_going: bool = False,
    logprobs: bool = False,
    num_samples: int = 1,
    seed: int = 0,
    oov_prompt: str = "error",
    form: Form | None = None,
    device: str = "auto",
    on_begin: Callable[[Path, int], None] | None = None,
    on_progress: Callable[[BatchProgress], None] | None = None,
    **options: Unpack[SamplingOptions],
) -> None:
    """Generate a text for every job of a file, resumably; options are the jobs' defaults.

    Args:
        jobs: JSON lines, or a text with a prompt a line; ``-`` is standard input.
        out: the file to write, a JSON object a text.
        run: a run's folder, or its name in ``checkpoints/``; None: the newest there.
        batch_size: texts at a time; changes the speed alone.
        resume: go on with an output that was begun.
        force: replace an output that exists.
        ordered: lines in the order of the jobs; otherwise as they are done.
        keep_going: a bad job becomes a line with its error; otherwise it stops all.
        logprobs: add ``bits_per_char``.
        num_samples: texts a job.
        seed: with a job's id, or else its line, makes its seed.
        oov_prompt: as in ``Generator.stream``.
        form: of every job's text that doesn't name its own.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        on_begin: told, before anything is written, the run's folder and the number of texts.
        on_progress: told after each text how far it is.
        options: the fields of SamplingConfig.

    Raises:
        ConfigError: options that can't be, all at once.
        GenerationError: jobs that can't be read or fulfilled, or an output that mustn't be touched.
        CheckpointError: the run is missing or damaged.
    """
    from chargen.generation.batch.jobs import Defaults, open_jobs
    from chargen.generation.batch.output import check_output
    from chargen.generation.batch.run import Batch, BatchOptions

    sampling, out = SamplingConfig(**options), Path(out)
    both = "resume and force contradict each other: give one"
    check(sampling, also=[both] if resume and force else [])
    defaults = Defaults(sampling, seed, num_samples, form)
    with open_jobs(str(jobs)) as file:
        check_output(str(jobs), out, resume=resume, force=force)
        model = load(run, device=device)
        engine = model.engine(slots=batch_size, oov_prompt=oov_prompt, logprobs=logprobs)
        todo = BatchOptions(defaults, ordered=ordered, keep_going=keep_going)
        work = Batch(engine, file, str(jobs), out, todo, model.identity())
        survey = work.survey()
        if on_begin:
            on_begin(model.path, survey.lines)
        for progress in work.run(survey, resume=resume, force=force):
            if on_progress:
                on_progress(progress)


def novelty(texts: Source, corpus: Source, config: CorpusConfig | None = None) -> Novelty:
    """How much of generated texts is copied from a corpus, or said twice.

    Args:
        texts: what ``batch`` wrote, or a text with lines of ``---`` between.
        corpus: the text that the model learnt from.
        config: how the corpus is read.

    Raises:
        CorpusError, GenerationError: a file can't be read, or has no texts.
        MissingExtraError: what the comparison needs is not installed.
    """
    from chargen.evaluation.novelty import measure, read_texts

    return measure(read_texts(texts), read_text(corpus, config))


def load(path: Source | None = None, *, device: str = "auto") -> Generator:
    """A trained model: a run folder, the name of one in ``checkpoints/``, or the newest there.

    Raises:
        CheckpointError: it is missing, damaged, or of another format.
        ConfigError: the device is not there.
    """
    from chargen.machine.devices import resolve_device
    from chargen.runs.folder import RunFolder, find_run

    folder = find_run(None if path is None else str(path), CHECKPOINTS)
    target = resolve_device(device)
    loaded = RunFolder(folder).load_model()
    loaded.model.to(target)
    return Generator(folder, loaded)

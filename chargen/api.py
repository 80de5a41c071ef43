"""The public API: prepare, train, load, and what else the command line is built on."""

from __future__ import annotations

from collections import abc
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from chargen.config import CorpusConfig, SamplingConfig, check
from chargen.errors import ConfigError, CorpusError, TrainingError, system_error_text
from chargen.generator import Generator, SamplingOptions

if TYPE_CHECKING:
    from chargen.checkpoint import RunConfig
    from chargen.corpus.prepared import PreparedCorpus, Progress
    from chargen.generation.batch import Progress as BatchProgress
    from chargen.generation.forms import Form
    from chargen.generation.novelty import Novelty
    from chargen.inspection.corpora import CorpusSummary
    from chargen.inspection.gradients import GradientReport
    from chargen.inspection.neurons import NeuronReport
    from chargen.inspection.summary import RunSummary
    from chargen.training.events import Event
    from chargen.training.setup import PreparedRun

Source = str | Path
CORPORA = Path("corpora")
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
    optimizer: str
    lr: float
    lr_final: float
    weight_decay: float
    warmup_steps: int
    grad_clip: float
    dropout: float
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
    from chargen.corpus.prepared import prepare as prepare_corpus

    paths = _paths(sources)
    config = config or CorpusConfig()
    check(config)
    return prepare_corpus(paths, Path(out) if out else _default_out(paths), config, on_progress)


def open_corpus(
    corpus: Source | Sequence[Source] | PreparedCorpus | None = None,
) -> PreparedCorpus:
    """The prepared corpus that ``train`` learns from; a text is prepared if it isn't yet.

    Raises:
        CorpusError: the text can't be read or is too small.
    """
    return _Order(corpus, None, None, CHECKPOINTS, None, {}, None).open_corpus()


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
    """
    settings = corpus_config or {}
    if isinstance(settings, CorpusConfig):
        settings = settings.to_dict()
    CorpusConfig.from_dict(settings)  # unknown names are an error
    order = _Order(corpus, preset, name, Path(out_dir), init_from, settings, on_progress)
    run = order.reopened(options) if resume else order.created(options)
    event = None
    with closing(_recorded(run, stop or (lambda: False))) as events:
        for event in events:
            if on_event:
                on_event(event)
    return _outcome(run, event)


def _recorded(run: PreparedRun, stop: Callable[[], bool]) -> abc.Generator[Event, None, None]:
    """Train, with the run's lock held and every event in its metrics before it is told."""
    from chargen.training.loop import training_events
    from chargen.training.metrics import MetricsLog

    try:
        with ExitStack() as stack:
            stack.enter_context(run.folder.lock())
            events = stack.enter_context(closing(training_events(run, stop)))
            begun = next(events)  # nothing is written before it is known that the run can go on
            log = stack.enter_context(closing(MetricsLog(run.folder.metrics, begun.step)))
            run.folder.write_config(run.config)
            for event in chain([begun], events):
                log.write(event)
                yield event
    except OSError as error:  # from closing the log too, which flushes what a full disk refused
        raise TrainingError(
            f"The run can't be written: {system_error_text(error)}.",
            "Free some space or mend the permissions; then go on with --resume.",
        ) from error


def _outcome(run: PreparedRun, event: Event | None) -> TrainedRun:
    from chargen.training.events import Finished

    if not isinstance(event, Finished):
        raise TrainingError(f"The run {run.folder.path} ended without a word.", "Use --resume.")
    return TrainedRun(run.folder.path, event.step, event.reason, event.best_bits_per_char)


@dataclass(frozen=True)
class _Order:
    """What ``train`` was asked for, and its way to a run folder."""

    corpus: Source | Sequence[Source] | PreparedCorpus | None
    preset: str | None
    name: str | None
    out_dir: Path
    init_from: Source | None
    settings: Mapping[str, Any]
    on_progress: Callable[[Progress], None] | None

    def created(self, options: TrainOptions) -> PreparedRun:
        """A new run; everything that can be wrong is found before anything is written."""
        from chargen.checkpoint import RunFolder, find_run
        from chargen.devices import resolve_device
        from chargen.errors import CheckpointError
        from chargen.presets import DEFAULT_PRESET, Extent
        from chargen.training.setup import configs_of, create_run, free_name

        source = None
        if self.init_from is not None:
            source = RunFolder(find_run(str(self.init_from), self.out_dir)).load_model()
        problems = self._corpus_config().problems()
        if options.get("patience") and self._corpus_config().val_frac == 0:
            problems.append("patience needs a validation split, and val_frac is 0")
        preset = self.preset or (source.config.preset if source else DEFAULT_PRESET)
        # Before anything is written all options are checked, as for some corpus.
        _, training = configs_of(preset, options, Extent(1, 1), source=source, also=problems)
        resolve_device(training.device)
        if self.name is not None:
            _check_name(self.name)
            if (self.out_dir / self.name).exists():
                raise CheckpointError(
                    f"{self.out_dir / self.name} exists already.",
                    "Go on with it by --resume, or choose another --name.",
                )
        corpus = self.open_corpus()
        extent = Extent(corpus.tokenizer.size, corpus.manifest.train.characters)
        problems = []
        if training.patience and not len(corpus.val):
            problems.append("patience needs a validation split, and the corpus has none")
        model, training = configs_of(preset, options, extent, source=source, also=problems)
        stem = f"{corpus.path.resolve().name}-{model.cell}"
        name = self.name or free_name(self.out_dir, stem)
        try:
            run = create_run(self.out_dir / name, corpus, preset, model, training, source)
            return replace(run, notes=(*self._notes(), *run.notes))
        except OSError as error:
            raise CheckpointError(
                f"The run folder can't be made: {system_error_text(error)}.",
                "Choose another --out-dir, or mend the permissions.",
            ) from error

    def _corpus_config(self) -> CorpusConfig:
        """How a text is to be prepared."""
        return CorpusConfig.from_dict(self.settings)

    def _notes(self) -> tuple[str, ...]:
        if self.corpus is not None:
            return ()
        return ("No text was named: training on the shipped prose, shipan.txt.",)

    def reopened(self, options: TrainOptions) -> PreparedRun:
        """The run to go on with; one that was never begun is begun."""
        from chargen.checkpoint import RunFolder, find_run
        from chargen.devices import resolve_device
        from chargen.training.setup import reopen_run, resumed_config

        if self.init_from is not None:
            raise ConfigError(
                "resume and init_from contradict each other.",
                "Leave one out: a resumed run has its own weights.",
            )
        if self.name is None:
            folder = RunFolder(find_run(None, self.out_dir))
        else:
            _check_name(self.name)
            folder = RunFolder(self.out_dir / self.name)
            if not folder.path.exists():
                return self.created(options)
        config = folder.read_config()
        given = {**options, **({"preset": self.preset} if self.preset else {})}
        resolve_device(resumed_config(config, given).training.device)
        return reopen_run(folder, config, self._same_corpus(config), given)

    def _same_corpus(self, config: RunConfig) -> PreparedCorpus:
        """The corpus of a run that goes on; nothing is prepared that isn't the same again."""
        from chargen.training.setup import check_same_settings, check_same_sources

        check_same_settings(config, replace(config.corpus.settings, **self.settings))
        if self.corpus is None:
            return _reopen_corpus(config.corpus.path)
        if self._prepared() is None:
            check_same_sources(config, _paths(self.corpus))
            with suppress(CorpusError):  # gone or damaged: it can be made of the texts again
                return _reopen_corpus(config.corpus.path)
        return replace(self, settings=config.corpus.settings.to_dict()).open_corpus()

    def open_corpus(self) -> PreparedCorpus:
        """The prepared corpus that was named; made from the texts unless it is there already."""
        from chargen.corpus.prepared import PreparedCorpus, matches
        from chargen.corpus.shipped import shipped_text

        prepared = self._prepared()
        if prepared is not None:
            made = prepared.manifest.config
            if replace(made, **self.settings) != made:
                raise ConfigError(
                    f"{prepared.path} was prepared with other settings than those given.",
                    "Leave them out, or prepare the text again with them.",
                )
            return prepared
        paths = [shipped_text()] if self.corpus is None else _paths(self.corpus)
        out, config = _default_out(paths), self._corpus_config()
        if matches(out, paths, config):
            return PreparedCorpus.open(out)
        return prepare(list(paths), out, config, self.on_progress)

    def _prepared(self) -> PreparedCorpus | None:
        """The corpus, where a prepared one was named."""
        from chargen.corpus.prepared import PreparedCorpus

        if self.corpus is None or isinstance(self.corpus, PreparedCorpus):
            return self.corpus
        paths = _paths(self.corpus)
        if len(paths) == 1 and (paths[0] / "manifest.json").is_file():
            return PreparedCorpus.open(paths[0])
        return None


def _reopen_corpus(path: str) -> PreparedCorpus:
    from chargen.corpus.prepared import PreparedCorpus

    try:
        return PreparedCorpus.open(Path(path))
    except CorpusError as error:
        raise CorpusError(
            f"The run's corpus is gone or damaged: {error.message}",
            "Prepare the same texts again, or name them: chargen train FILES... --resume",
        ) from error


def _paths(sources: Source | Sequence[Source] | PreparedCorpus) -> list[Path]:
    from chargen.corpus.prepared import PreparedCorpus

    if isinstance(sources, PreparedCorpus):
        return [sources.path]
    if isinstance(sources, (str, Path)):
        return [Path(sources)]
    return [Path(source) for source in sources]


def _default_out(paths: Sequence[Path]) -> Path:
    if not paths:
        raise CorpusError("No text was named.", "Name a text file, or a folder of them.")
    stem = paths[0].resolve().stem or "corpus"
    return CORPORA / (stem if len(paths) == 1 else f"{stem}+{len(paths) - 1}")


def _check_name(name: str) -> None:
    if not name or name in (".", "..") or "/" in name or "\\" in name or "\0" in name:
        raise ConfigError(
            f"{name!r} can't be the name of a run.", "Use a plain name; --out-dir takes a path."
        )


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
    from chargen.checkpoint import find_run
    from chargen.inspection.summary import summarise_run

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
    from chargen.checkpoint import find_run
    from chargen.inspection.gradients import measure_gradients, plot_gradients

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


def plot(runs: Sequence[Source], out: Source | None = None) -> Path:
    """Draw the curves of one or more runs as a PNG, and return its path.

    Args:
        runs: run folders, or names in ``checkpoints/``.
        out: the file; by default ``curves.png`` in the run's folder, or here for several.

    Raises:
        MissingExtraError: matplotlib is not installed.
        CheckpointError: a run is missing, or nothing was recorded yet.
    """
    from chargen.checkpoint import find_run
    from chargen.inspection.plots import plot_curves

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
    from chargen.generation.batch import Batch, BatchOptions, check_output, open_jobs
    from chargen.generation.jobs import Defaults

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
    from chargen.generation.novelty import measure, read_texts

    return measure(read_texts(texts), read_text(corpus, config))


def load(path: Source | None = None, *, device: str = "auto") -> Generator:
    """A trained model: a run folder, the name of one in ``checkpoints/``, or the newest there.

    Raises:
        CheckpointError: it is missing, damaged, or of another format.
        ConfigError: the device is not there.
    """
    from chargen.checkpoint import RunFolder, find_run
    from chargen.devices import resolve_device

    folder = find_run(None if path is None else str(path), CHECKPOINTS)
    target = resolve_device(device)
    loaded = RunFolder(folder).load_model()
    loaded.model.to(target)
    return Generator(folder, loaded)

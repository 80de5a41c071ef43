"""What a run is to be trained with: from the options that were given to a plan and a run folder.

torch is imported only once options, name and texts are known to be usable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chargen import __version__
from chargen.corpus.opening import Named, Source, is_prepared, open_corpus, texts_of
from chargen.corpus.sources import find_sources
from chargen.errors import CheckpointError, system_error_text
from chargen.options import Recipe, TrainConfig
from chargen.training.choice import checked_preset, choose, preset_name, settings_of
from chargen.training.computing import machine_of
from chargen.training.notes import notes_on
from chargen.training.presets import with_ngram_order

if TYPE_CHECKING:
    from chargen.corpus.prepared import PreparedCorpus
    from chargen.corpus.progress import PrepareProgress
    from chargen.runs.config import RunConfig
    from chargen.runs.folder import RunFolder
    from chargen.runs.loaded import LoadedModel
    from chargen.training.counts import Counts
    from chargen.training.state import TrainingState


@dataclass(frozen=True)
class TrainRequest:
    """What ``chargen.train`` was asked for, by the names of fields; nothing is filled in.

    Attributes:
        corpus: what is learnt from.
        runs_dir: where runs lie.
        preset: its name; None: the default, or that of the run of ``init_from``.
        name: of the run folder; None: made from the names of corpus and cell, with a number.
        init_from: a run, or its name in ``runs_dir``, whose weights are the initial ones.
        settings: given values of CorpusConfig.
        model: given values of ModelConfig.
        training: given values of TrainConfig.
        on_progress: called with the progress of preparing the text.
        processes: that train together, each with an equal share of the lanes.
        on_plan: called with the plan, before anything is written.
    """

    corpus: Named
    runs_dir: Path
    preset: str | None = None
    name: str | None = None
    init_from: Source | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    on_progress: Callable[[PrepareProgress], None] | None = None
    processes: int = 1
    on_plan: Callable[[Plan], None] = lambda _plan: None


@dataclass(frozen=True)
class Plan:
    """What a run is trained with.

    Attributes:
        config: of the run.
        corpus: what it learns from.
        notes: what the user should know before it begins, one line each.
        source: a run whose weights are the initial ones, or None.
        rebudgeted: whether another budget takes the place of a number of steps that was known.
    """

    config: RunConfig
    corpus: PreparedCorpus
    notes: tuple[str, ...] = ()
    source: LoadedModel | None = None
    rebudgeted: bool = False


@dataclass(frozen=True)
class PreparedRun:
    """A run folder on disk, and what it is trained with.

    Attributes:
        folder: of the run.
        plan: what it is trained with.
        state: what the folder's first checkpoint holds, where this process has just made it.
        counts: the n-grams of its text, where this process has just counted them.
    """

    folder: RunFolder
    plan: Plan
    state: TrainingState | None = None
    counts: Counts | None = None


def new_run(request: TrainRequest) -> PreparedRun:
    """Plan a run and make its folder, which appears with its first checkpoint in it.

    Whatever can be wrong is found before anything is written.

    Raises:
        ConfigError, CorpusError: see ``plan``.
        CheckpointError: the name is taken, or the folder can't be made.
    """
    made = plan(request)
    request.on_plan(made)
    from chargen.runs.content import Content
    from chargen.runs.folder import RunFolder
    from chargen.runs.places import Places
    from chargen.training.beginning import first_state
    from chargen.training.counts import Counts

    state = first_state(made.config, made.corpus, made.source)
    counts = Counts.of(made.corpus, made.config.model)
    state.seconds = counts.seconds
    first = state.tensors(), state.values()
    places = Places(made.corpus.path, None if made.source is None else made.source.path)
    content = Content(made.config, made.corpus.tokenizer, places, first, counts.ngram)
    stem = f"{made.config.corpus.name}-{made.config.model.cell}"
    try:
        if request.name is None:
            folder = RunFolder.create_numbered(request.runs_dir, stem, content)
        else:
            folder = RunFolder.create(request.runs_dir / request.name, content)
    except OSError as error:
        raise CheckpointError(
            f"The run folder can't be made: {system_error_text(error)}.",
            "Choose another `runs_dir`, or correct the permissions.",
        ) from error
    return PreparedRun(folder, made, state, counts)


def plan(request: TrainRequest) -> Plan:
    """Decide what a new run is trained with; a text is prepared, unless it is already.

    Raises:
        ConfigError: names all options that are not usable.
        CheckpointError: the name is taken, or the run of ``init_from`` can't be read.
        CorpusError: a text can't be read, or nothing can be learnt from it.
    """
    source = _source(request)
    preset = checked_preset(request, source)
    check_name(request)
    if not is_prepared(request.corpus):
        find_sources(texts_of(request.corpus))
    asked = TrainConfig(**{**preset.training, **request.training})

    import torch

    from chargen.machine.devices import resolve_device
    from chargen.runs.config import CorpusRecord, Origin, RunConfig
    from chargen.runs.finding import name_of
    from chargen.training.room import require_room

    device, recipe = resolve_device(asked.device), Recipe()
    corpus = open_corpus(request.corpus, settings_of(request, source), request.on_progress)
    model, training = choose(request, preset, source, corpus, recipe)
    model = with_ngram_order(model, corpus)
    training = replace(training, threads=training.threads or torch.get_num_threads())
    require_room(model, training, recipe, device)
    config = RunConfig(
        model=model,
        training=training,
        corpus=CorpusRecord.of(corpus.manifest),
        tokenizer_sha256=corpus.tokenizer.sha256,
        preset=preset_name(request, source),
        chargen_version=__version__,
        init_from=Origin(name_of(source.path), source.weights_sha256) if source else None,
        machine=machine_of(training, processes=request.processes),
        asked={
            name: getattr(asked, name)
            for name in ("batch_size", "seq_length")
            if getattr(asked, name) != getattr(training, name)
        },
        recipe=recipe,
    )
    return Plan(config, corpus, tuple(notes_on(request.corpus, corpus, config)), source)


def _source(request: TrainRequest) -> LoadedModel | None:
    """The run whose weights are the initial ones; it decides the network."""
    if request.init_from is None:
        return None
    from chargen.runs.finding import find_run
    from chargen.runs.folder import RunFolder

    folder = RunFolder(find_run(str(request.init_from), request.runs_dir))
    return folder.load_model(ngram=False)


def check_name(request: TrainRequest, *, may_exist: bool = False) -> None:
    """Raise an error where the name can't be that of a run, or, of a new one, is taken."""
    from chargen.runs.finding import check_name as check_run_name
    from chargen.runs.finding import check_new

    if request.name is None:
        return
    if may_exist:
        check_run_name(request.name)
    else:
        remedy = "Continue it with `resume=True`, or choose another `name`."
        check_new(request.name, request.runs_dir, remedy)

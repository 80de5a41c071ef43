"""Going on with a run: what of it may change, and whether its corpus is still the same."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from chargen import __version__
from chargen.corpus.opening import is_prepared, open_corpus, paths_of, reopen_corpus
from chargen.corpus.sources import find_sources
from chargen.errors import CheckpointError, ConfigError, CorpusError, printable
from chargen.files import sha256_of
from chargen.options import BUDGETS, CorpusConfig, ModelConfig, TrainConfig, check
from chargen.runs.finding import name_of
from chargen.runs.layout import MODEL
from chargen.training.computing import machine_of, problem_of_processes
from chargen.training.kinds import settings_of_task
from chargen.training.plan import (
    Plan,
    PreparedRun,
    TrainRequest,
    check_name,
    new_run,
)

if TYPE_CHECKING:
    from chargen.corpus.prepared import PreparedCorpus
    from chargen.runs.config import RunConfig, SourceText
    from chargen.runs.folder import RunFolder
    from chargen.runs.loaded import LoadedModel

MAY_CHANGE = frozenset(
    name
    for config in (ModelConfig, TrainConfig)
    for name, entry in config.entries().items()
    if entry.option.changeable
)
"""Options that a run which goes on may be given anew; the others must be as recorded."""


def prepare_run(request: TrainRequest, *, resume: bool) -> PreparedRun:
    """The run that is asked for: see ``resumed_run`` and ``new_run``."""
    return resumed_run(request) if resume else new_run(request)


def resumed_run(request: TrainRequest) -> PreparedRun:
    """The run to go on with, perhaps under a new budget; a named one that isn't there is begun.

    Raises:
        ConfigError: names all options that are not usable, or that the run can't change.
        CheckpointError: there is no run, it is damaged, or its corpus has changed.
        CorpusError: its corpus is gone, or a text can't be read.
    """
    if request.init_from is not None:
        raise ConfigError(
            "`resume` and `init_from` contradict each other.",
            "Leave one out: a resumed run has its own weights.",
        )
    check_name(request, may_exist=True)
    if request.name is not None and not (request.runs_dir / request.name).exists():
        return new_run(request)
    _check_values(request)

    import torch

    from chargen.machine.devices import resolve_device
    from chargen.runs.finding import find_run
    from chargen.runs.folder import RunFolder
    from chargen.training.room import require_room

    path = request.runs_dir / request.name if request.name else find_run(None, request.runs_dir)
    folder = RunFolder(path)
    recorded = folder.read_config()
    fresh = folder.last_step() < 0
    if fresh and (path / MODEL).exists():  # copied without what a resume needs
        raise CheckpointError(
            f"{path} has weights but nothing to resume from.",
            "Train under a new `name` with `init_from` set to this run.",
        )
    config = resumed_config(recorded, request)
    check(also=problem_of_processes(config.training.batch_size, request.processes))
    threads = config.training.threads
    if recorded.machine and recorded.machine.processes != request.processes:
        threads = request.training.get("threads", 0)  # they were those of another share
    threads = threads or torch.get_num_threads()
    config = replace(config, training=replace(config.training, threads=threads))
    device = resolve_device(config.training.device)
    corpus = _same_corpus(folder, recorded, request)
    folder.require_sizes(config)
    require_room(config.model, config.training, config.recipe, device)
    machine = machine_of(config.training, recorded.machine, processes=request.processes)
    config = replace(config, machine=machine, chargen_version=__version__)
    source = _source_again(folder, config) if fresh else None
    notes = () if fresh else _notes(recorded, config)
    rebudgeted = recorded.total_steps is not None and config.total_steps is None
    made = Plan(config, corpus, notes, source, rebudgeted)
    request.on_plan(made)
    return PreparedRun(folder, made)


def _notes(recorded: RunConfig, config: RunConfig) -> tuple[str, ...]:
    """Why the bits of a run that goes on may differ from those of an unbroken one."""
    if recorded.machine is None or config.machine is None:
        return ()
    note = recorded.machine.note_on_resume(config.machine)
    return (note,) if note else ()


def _check_values(request: TrainRequest) -> None:
    """Raise one ConfigError for all values that no run can have."""
    entries = ModelConfig.entries()
    problems = [p for name, value in request.model.items() if (p := entries[name].problem(value))]
    problems += TrainConfig.problems_in(request.training)
    task = request.model.get("task", ModelConfig.task)
    settings = settings_of_task(task, request.settings, prepared=is_prepared(request.corpus))
    problems += CorpusConfig.problems_in(settings)
    check(also=problems)


def resumed_config(config: RunConfig, request: TrainRequest) -> RunConfig:
    """The config of a run that goes on.

    Raises:
        ConfigError: names all options that it can't change.
    """
    recorded = {**config.model.to_dict(), **config.training.to_dict(), "preset": config.preset}
    given = {**request.model, **request.training}
    if given.get("ngram") == "auto":
        del given["ngram"]  # the run has chosen
    if request.preset is not None:
        given["preset"] = request.preset
    problems = [
        f"`{name}` is {value}, but the run was begun with {recorded[name]}"
        for name, value in given.items()
        if name not in MAY_CHANGE and value not in (recorded[name], config.asked.get(name))
    ]
    if given.get("patience") and not config.corpus.val_characters:
        problems.append("`patience` needs a validation split, and the run has none")
    changes = {name: value for name, value in given.items() if name in MAY_CHANGE}
    total_steps = config.total_steps
    if any(changes.get(name) not in (None, recorded[name]) for name in BUDGETS):
        changes = {**dict.fromkeys(BUDGETS), **changes}
        total_steps = None
    training = replace(config.training, **changes)
    check(training, also=problems)
    return replace(config, training=training, total_steps=total_steps)


def _same_corpus(folder: RunFolder, config: RunConfig, request: TrainRequest) -> PreparedCorpus:
    """The corpus of a run; nothing is prepared unless it becomes the same again."""
    settings = replace(config.corpus.settings, **request.settings)
    if settings != config.corpus.settings:
        _refuse(folder, config, config.corpus.sources, settings)
    corpus = _find_corpus(folder, config, request)
    if not config.corpus.is_of(corpus.manifest):
        now = type(config.corpus).of(corpus.manifest)
        _refuse(folder, config, now.sources, now.settings, named=request.corpus is not None)
    return corpus


def _find_corpus(folder: RunFolder, config: RunConfig, request: TrainRequest) -> PreparedCorpus:
    """The corpus where it was, or made again of the texts that are named."""
    place = folder.read_places().corpus
    if request.corpus is None:
        if place is None:
            raise CorpusError(
                f"{folder.path} doesn't say where its corpus {config.corpus.name} lies.",
                "Name the text that it was made of, and resume again.",
            )
        return reopen_corpus(str(place))
    if not is_prepared(request.corpus):
        sources = _sources_at(paths_of(request.corpus))
        if [each.sha256 for each in sources] != [each.sha256 for each in config.corpus.sources]:
            _refuse(folder, config, sources, config.corpus.settings)
        if place is not None:
            with suppress(CorpusError):  # gone or damaged: it can be made of the texts again
                return reopen_corpus(str(place))
    return open_corpus(request.corpus, config.corpus.settings.to_dict(), request.on_progress)


def _sources_at(paths: Sequence[Path]) -> list[SourceText]:
    """The texts at ``paths``, as a run records them."""
    from chargen.runs.config import SourceText

    files = find_sources(paths)
    return [SourceText(printable(each.name), sha256_of(each.path)) for each in files]


def _refuse(
    folder: RunFolder,
    config: RunConfig,
    sources: Sequence[SourceText],
    settings: CorpusConfig,
    *,
    named: bool = True,
) -> NoReturn:
    """Raise the error that names how a corpus differs from the one of a run.

    ``named``: whether the user named the texts; otherwise they have been replaced.
    """
    run, then, now = name_of(folder.path), config.corpus.settings.to_dict(), settings.to_dict()
    known = config.corpus.sources
    anew = "train under a new `name` (with `init_from` set to this run)."
    if named and {each.name for each in known}.isdisjoint(each.name for each in sources):
        raise CheckpointError(
            f"{run} was trained on {_listed(known)}, not on {_listed(sources)}.",
            f"Leave the text out to continue with the run's own, or {anew}",
        )
    before, after = ({each.sha256 for each in texts} for texts in (known, sources))
    differing = [each for each in known if each.sha256 not in after]
    differing += [each for each in sources if each.sha256 not in before]
    changed = [name for name in now if then[name] != now[name]]
    if changed and not differing:
        was = ", ".join(f"`{name}` {then[name]}" for name in changed)
        given = ", ".join(str(now[name]) for name in changed)
        raise CheckpointError(
            f"{run} was trained with {was}, not {given}.",
            f"Leave {', '.join(f'`{name}`' for name in changed)} out, or {anew}",
        )
    if not differing:
        raise CheckpointError(
            f"{run} was trained on another text of the same files: their order differs, or chargen "
            f"{config.chargen_version} read them otherwise.",
            f"Give them in that order, continue with that release, or {anew}",
        )
    raise CheckpointError(
        f"The corpus has changed since {run} began: {_listed(differing)} differs.",
        f"Restore the old text, or {anew}",
    )


def _listed(texts: Sequence[SourceText]) -> str:
    """Name up to three texts."""
    names = list(dict.fromkeys(each.name for each in texts))
    more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _source_again(folder: RunFolder, config: RunConfig) -> LoadedModel | None:
    """The run that the initial weights come from; CheckpointError if it isn't what it was."""
    origin = config.init_from
    if origin is None:
        return None
    place = folder.read_places().init_from
    if place is None:
        raise CheckpointError(
            f"{folder.path} doesn't say where {origin.name} lies, whose weights it begins with.",
            "Train under a new `name`.",
        )
    source = type(folder)(place).load_model(ngram=False)
    if source.weights_sha256 != origin.weights_sha256:
        raise CheckpointError(
            f"The weights of {source.path}, from which this run begins, have changed since.",
            "Train under a new `name`.",
        )
    return source

"""The network and the training that a request comes to: checked, and adapted to a corpus."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from chargen.corpus.opening import is_prepared
from chargen.corpus.windows import fit
from chargen.options import CorpusConfig, ModelConfig, Recipe, TrainConfig, check, meant
from chargen.training.computing import problem_of_processes
from chargen.training.extent import Extent
from chargen.training.kinds import check_kind, settings_of_task, shape_of
from chargen.training.presets import (
    DEFAULT_PRESET,
    PRESETS,
    Preset,
    choose_model,
    choose_training,
    given_or_preset,
)

if TYPE_CHECKING:
    from chargen.corpus.prepared import PreparedCorpus
    from chargen.runs.loaded import LoadedModel
    from chargen.training.plan import TrainRequest

_OF_TASKS = {"gap_share": "infill", "label_dropout": "lm"}
"""Options of training that only one task has."""


def preset_name(request: TrainRequest, source: LoadedModel | None = None) -> str:
    """The preset that is asked for: by default that of the run of ``init_from``, ``source``."""
    return request.preset or (source.config.preset if source else DEFAULT_PRESET)


def task_of(request: TrainRequest, source: LoadedModel | None = None) -> str:
    """What the network learns: by default what that of ``source`` has learnt."""
    own = source.config.model.task if source else ModelConfig.task
    return str(request.model.get("task", own))


def settings_of(request: TrainRequest, source: LoadedModel | None = None) -> dict[str, Any]:
    """The settings by which the text is prepared."""
    prepared = is_prepared(request.corpus)
    return settings_of_task(task_of(request, source), request.settings, prepared=prepared)


def checked_preset(request: TrainRequest, source: LoadedModel | None = None) -> Preset:
    """The preset of a request, once all options are found to be usable with it.

    Raises:
        ConfigError: names all that are not.
    """
    name, problems = preset_name(request, source), []
    if name not in PRESETS:
        problems.append(
            f"`preset` is {name!r}{meant(name, PRESETS)}, not one of {', '.join(PRESETS)}"
        )
    preset = PRESETS.get(name, PRESETS[DEFAULT_PRESET])
    if source is None:
        problems += ModelConfig.problems_in(given_or_preset(preset, request.model))
    else:
        own = source.config.model.for_task(_asked_of_network(request, preset))
        of_preset = name != source.config.preset
        problems += [
            f"`{option}` is {value}, but the run of `init_from` has {getattr(own, option)}"
            for option, value in {**(preset.model if of_preset else {}), **request.model}.items()
            if option != "ngram" and getattr(own, option) != value
        ]
        given = {"ngram": request.model.get("ngram", own.ngram)}
        problems += ModelConfig.problems_in({**own.to_dict(), **given})
    problems += TrainConfig.problems_in({**preset.training, **request.training})
    problems += CorpusConfig.problems_in(settings_of(request, source))
    task = task_of(request, source)
    defaults = {name: entry.default for name, entry in TrainConfig.entries().items()}
    problems += [
        f"`{option}` is for the task {its_own}, and `task` is {task}"
        for option, its_own in _OF_TASKS.items()
        if task != its_own and request.training.get(option, defaults[option]) != defaults[option]
    ]
    if request.training.get("patience") and request.settings.get("val_frac") == 0:
        problems.append("`patience` needs a validation split, and `val_frac=0` keeps none")
    check(also=problems)
    asked = TrainConfig(**{**preset.training, **request.training})
    check(also=problem_of_processes(asked.batch_size, request.processes))
    return preset


def choose(
    request: TrainRequest,
    preset: Preset,
    source: LoadedModel | None,
    corpus: PreparedCorpus,
    recipe: Recipe,
) -> tuple[ModelConfig, TrainConfig]:
    """Choose the network and its training for a corpus; ``ngram`` may still be ``auto``.

    Raises:
        ConfigError: names all options that are not usable with this corpus.
        CorpusError: it isn't what the task learns from, or nothing can be learnt from it.
    """
    task = task_of(request, source)
    check_kind(task, corpus)
    asked = TrainConfig(**{**preset.training, **request.training})
    extent = Extent.of(corpus)
    batch, window = fit(len(corpus.train), asked.batch_size, asked.seq_length)
    shape = shape_of(task, corpus)
    if source is None:
        model = choose_model(preset, {**shape, **request.model}, extent, recipe)
    else:
        ngram = {name: value for name, value in request.model.items() if name == "ngram"}
        own = source.config.model.for_task(_asked_of_network(request, preset))
        model = replace(own, vocab_size=extent.vocab_size, **shape, **ngram)
    given = {**request.training, "batch_size": batch, "seq_length": window}
    training = choose_training(preset, given, extent, model, recipe)
    also = _problems_with(training, len(corpus.val), request.processes)
    if request.training.get("label_dropout") and not model.labels:
        also.append("`label_dropout` leaves labels out, and the corpus has none")
    check(model, training, also=also)
    return model, training


def _asked_of_network(request: TrainRequest, preset: Preset) -> Mapping[str, Any]:
    """The options of the network that decide how a run's weights serve another task."""
    return {**({} if preset.suits else {"ngram": "0"}), **request.model}


def _problems_with(training: TrainConfig, val_pieces: int, processes: int) -> list[str]:
    """Say what only the corpus shows: that patience or the processes don't suit it."""
    found = problem_of_processes(training.batch_size, processes)
    if training.patience and not val_pieces:
        found.append("`patience` needs a validation split, and the corpus has none")
    return found

"""The runs of a sweep: every combination of values, each checked before any is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chargen.api.sweep_state import SweepRun
from chargen.api.training import request_of
from chargen.errors import ConfigError, CorpusError
from chargen.options import (
    BUDGETS,
    CorpusConfig,
    ModelConfig,
    Recipe,
    TrainConfig,
    check,
    distribute,
)

if TYPE_CHECKING:
    from chargen.corpus.prepared import PreparedCorpus
    from chargen.corpus.progress import PrepareProgress

_NO_VALIDATION = "`stop_early` needs a validation split, and there is none"


def combined(
    sets: Mapping[str, Sequence[Any]], seeds: int, options: Mapping[str, Any]
) -> list[SweepRun]:
    """The runs of all combinations; ConfigError unless each value is allowed by itself."""
    known = {
        entry.parameter: entry
        for config in (CorpusConfig, ModelConfig, TrainConfig)
        for entry in config.entries().values()
        if not entry.option.derived
    }
    distribute(dict.fromkeys(sets), CorpusConfig, ModelConfig, TrainConfig)
    first = options.get("seed", known["seed"].default)
    problems = [line for n in sets for v in sets[n] if (line := known[n].problem(v))]
    problems += [f"`{n}` is the same for all runs" for n in sets if n in (*BUDGETS, "seed")]
    problems += [f"`{n}` has several values and one as well" for n in sets if n in options]
    problems += [f"`{n}` has no values" for n in sets if not sets[n]]
    problems += [] if sets or seeds != 1 else ["neither an option nor the seed is varied"]
    problems += [] if seeds >= 1 else [f"`seeds` is {seeds}, not at least 1"]
    problems += [line for line in [known["seed"].problem(first)] if line]
    check(also=problems)
    found = []
    for combination in product(*sets.values()):
        values = dict(zip(sets, combination, strict=True))
        for seed in range(first, first + seeds):
            own = {**values, "seed": seed}
            found.append(SweepRun(_label(own), values, {**options, **own}))
    return found


def _label(values: Mapping[str, Any]) -> str:
    """What a combination, or a run of it, is called."""
    return ",".join(f"{n.replace('_', '-')}={_word(v)}" for n, v in values.items())


def _word(value: Any) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    if isinstance(value, bool):
        text = text.lower()
    return text.replace("/", "_")


def prepare_runs(
    runs: Sequence[SweepRun],
    corpus: str | Path | Sequence[str | Path] | None,
    on_progress: Callable[[PrepareProgress], None] | None,
    *,
    stop_early: bool,
) -> None:
    """Check all runs, prepare the text once for each choice of its options, and name it to them.

    Raises:
        ConfigError, CorpusError: one combination can't be trained, which is named.
    """
    from chargen.corpus.opening import open_corpus
    from chargen.training.choice import checked_preset, choose, settings_of

    asked = []
    for run in runs:
        with _named(run):
            options = dict(run.options)
            preset = options.pop("preset")
            request = request_of(corpus, None, options, preset=preset)
            asked.append((request, checked_preset(request)))
            check(also=[_NO_VALIDATION] * (stop_early and request.settings.get("val_frac") == 0))
    prepared: dict[str, PreparedCorpus] = {}
    for run, (request, preset) in zip(runs, asked, strict=True):
        settings = settings_of(request)
        key = repr(sorted(settings.items()))
        if key not in prepared:
            prepared[key] = open_corpus(corpus, settings, on_progress)
        with _named(run):
            choose(request, preset, None, prepared[key], Recipe())
            check(also=[_NO_VALIDATION] * (stop_early and not len(prepared[key].val)))
        for entry in CorpusConfig.entries().values():
            run.options.pop(entry.parameter, None)
        run.options["corpus"] = str(prepared[key].path.resolve())


@contextmanager
def _named(run: SweepRun) -> Iterator[None]:
    """A block whose errors are those of the combination that ``run`` is of."""
    try:
        yield
    except (ConfigError, CorpusError) as error:
        raise type(error)(f"{_label(run.values)}: {error.message}", error.remedy) from error

"""One run trained by several processes: the leading one makes it, the others join."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from chargen.corpus.opening import is_prepared, open_corpus
from chargen.corpus.prepared import PreparedCorpus
from chargen.errors import ConfigError, CorpusError
from chargen.machine.group import Group
from chargen.machine.team import Team
from chargen.runs.followed import FollowedFolder
from chargen.runs.versions import config_of
from chargen.training.counts import Counts
from chargen.training.loop import training_events
from chargen.training.plan import Plan, PreparedRun, TrainRequest
from chargen.training.resume import prepare_run

if TYPE_CHECKING:
    from chargen.runs.config import RunConfig
    from chargen.training.events import Event

_PLAN, _FOLDER = "plan", "folder"


def run_of_team(
    request: TrainRequest, team: Team, stop: Callable[[], bool], *, resume: bool
) -> PreparedRun:
    """The run that is asked for, for each process of a team.

    The leading process makes or finds it and tells the others what is trained on what. Each
    counts the n-grams for itself, at the same time.

    Args:
        request: what is to be trained.
        team: the processes.
        stop: called while a process waits.
        resume: go on with a run.

    Raises:
        CorpusError: this process can't see the corpus.
        Others: as ``new_run`` and ``resumed_run``, in the leading process.
    """
    if not isinstance(team, Group):
        return prepare_run(request, resume=resume)
    if not team.leads:
        return _joined(request, team, stop)

    def told(plan: Plan) -> None:
        words = {"config": plan.config.to_dict(), "corpus": str(plan.corpus.path.absolute())}
        team.tell(_PLAN, json.dumps({**words, "rebudgeted": plan.rebudgeted}))

    run = prepare_run(replace(request, on_plan=told), resume=resume)
    team.tell(_FOLDER, str(run.folder.path.absolute()))
    counts = run.counts or Counts.of(run.plan.corpus, run.plan.config.model)
    lanes = run.plan.config.training.batch_size
    part = f"each with {lanes // team.size} of {lanes} lanes"
    if run.plan.config.model.records:
        part = "each with its part of every batch"
    note = f"{team.size} processes train together, {part}."
    return replace(run, counts=counts, plan=replace(run.plan, notes=(note, *run.plan.notes)))


def _joined(request: TrainRequest, team: Group, stop: Callable[[], bool]) -> PreparedRun:
    """The run that the leading process tells of."""
    told = json.loads(team.hear(_PLAN, stop))
    config = config_of(told["config"], Path("the leading process's plan"))
    corpus = corpus_here(Path(told["corpus"]), config, request)
    counts = Counts.of(corpus, config.model)
    folder = FollowedFolder(Path(team.hear(_FOLDER, stop)))
    plan = Plan(config, corpus, rebudgeted=told["rebudgeted"])
    return PreparedRun(folder, plan, None, counts)


def corpus_here(place: Path, config: RunConfig, request: TrainRequest) -> PreparedCorpus:
    """The corpus where the leading process has it, else prepared of texts that this machine has."""
    try:
        if is_prepared(place):
            corpus = PreparedCorpus.open(place)
        else:
            corpus = open_corpus(request.corpus, config.corpus.settings.to_dict(), None)
    except (CorpusError, ConfigError) as error:
        raise CorpusError(
            f"The leading process has its corpus at {place}, which isn't seen here, nor is the "
            f"text: {error.message}",
            "Put the texts and `corpora/` on storage that all machines share, or a copy on each.",
        ) from error
    if not config.corpus.is_of(corpus.manifest):
        raise CorpusError(
            f"The corpus {corpus.path} is not that of the leading process.",
            "Give the same text to all processes.",
        )
    return corpus


def joined_events(
    run: PreparedRun, stop: Callable[[], bool], team: Team
) -> Generator[Event, None, None]:
    """Train as a process that follows: nothing is recorded."""
    with closing(training_events(run, stop, team)) as events:
        yield from events

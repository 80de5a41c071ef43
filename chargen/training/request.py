"""What ``train`` was asked for, and its way to a run folder.

torch is imported only once the options, the name and the texts are known to be usable.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chargen.config import CorpusConfig, TrainConfig
from chargen.corpus.opening import (
    Named,
    Source,
    open_corpus,
    paths_of,
    prepared_one,
    reopen_corpus,
    texts_of,
)
from chargen.corpus.reading import find_sources
from chargen.errors import CheckpointError, ConfigError, CorpusError, system_error_text
from chargen.training.configs import configs_of, resumed_config
from chargen.training.presets import DEFAULT_PRESET, Extent

if TYPE_CHECKING:
    from chargen.corpus.prepared import PreparedCorpus, Progress
    from chargen.runs.folder import LoadedModel, RunConfig
    from chargen.training.setup import Plan, PreparedRun


@dataclass(frozen=True)
class TrainRequest:
    """The arguments of ``chargen.train``, but for those that override the preset.

    Attributes:
        settings: fields of CorpusConfig that were given.
    """

    corpus: Named
    preset: str | None
    name: str | None
    out_dir: Path
    init_from: Source | None
    settings: Mapping[str, Any]
    on_progress: Callable[[Progress], None] | None

    def new_run(self, options: Mapping[str, Any]) -> PreparedRun:
        """A new run; everything that can be wrong is found before anything is written."""
        if self.name is not None:
            _check_name(self.name)
            if (self.out_dir / self.name).exists():
                raise CheckpointError(
                    f"{self.out_dir / self.name} exists already.",
                    "Go on with it by --resume, or choose another --name.",
                )
        plan = self.plan(options)
        from chargen.training.setup import create_run, free_name

        stem = f"{plan.corpus.path.resolve().name}-{plan.config.model.cell}"
        name = self.name or free_name(self.out_dir, stem)
        try:
            return create_run(self.out_dir / name, plan)
        except OSError as error:
            raise CheckpointError(
                f"The run folder can't be made: {system_error_text(error)}.",
                "Choose another --out-dir, or mend the permissions.",
            ) from error

    def plan(self, options: Mapping[str, Any]) -> Plan:
        """What a new run would be trained with; a text is prepared, unless it is already."""
        source = self._source()
        preset = self.preset or (source.config.preset if source else DEFAULT_PRESET)
        training = self._checked(preset, options, source)
        if prepared_one(self.corpus) is None:
            find_sources(texts_of(self.corpus))
        from chargen.machine.devices import resolve_device
        from chargen.training.setup import plan_run

        resolve_device(training.device)
        corpus = open_corpus(self.corpus, self.settings, self.on_progress)
        extent = Extent.of(corpus)
        problems = []
        if training.patience and not len(corpus.val):
            problems.append("patience needs a validation split, and the corpus has none")
        configs = configs_of(preset, options, extent, source=source, also=problems)
        plan = plan_run(corpus, preset, *configs, source)
        return replace(plan, notes=(*self._notes(), *plan.notes))

    def _source(self) -> LoadedModel | None:
        if self.init_from is None:
            return None
        from chargen.runs.folder import RunFolder, find_run

        return RunFolder(find_run(str(self.init_from), self.out_dir)).load_model()

    def _checked(
        self, preset: str, options: Mapping[str, Any], source: LoadedModel | None
    ) -> TrainConfig:
        """The options, all checked, as for some corpus."""
        config = CorpusConfig.from_dict(self.settings)
        problems = config.problems()
        if options.get("patience") and config.val_frac == 0:
            problems.append("patience needs a validation split, and val_frac is 0")
        return configs_of(preset, options, Extent(1, 1, 1), source=source, also=problems)[1]

    def _notes(self) -> tuple[str, ...]:
        if self.corpus is not None:
            return ()
        return ("No text was named: training on the shipped prose, shipan.txt.",)

    def resumed_run(self, options: Mapping[str, Any]) -> PreparedRun:
        """The run to go on with; one that was never begun is begun."""
        if self.init_from is not None:
            raise ConfigError(
                "resume and init_from contradict each other.",
                "Leave one out: a resumed run has its own weights.",
            )
        if self.name is not None:
            _check_name(self.name)
            if not (self.out_dir / self.name).exists():
                return self.new_run(options)
        from chargen.machine.devices import resolve_device
        from chargen.runs.folder import RunFolder, find_run
        from chargen.training.setup import reopen_run

        named = self.out_dir / self.name if self.name else find_run(None, self.out_dir)
        folder = RunFolder(named)
        config = folder.read_config()
        given = {**options, **({"preset": self.preset} if self.preset else {})}
        resolve_device(resumed_config(config, given).training.device)
        return reopen_run(folder, config, self._same_corpus(config), given)

    def _same_corpus(self, config: RunConfig) -> PreparedCorpus:
        """The corpus of a run that goes on; nothing is prepared that isn't the same again."""
        from chargen.training.setup import check_same_settings, check_same_sources

        check_same_settings(config, replace(config.corpus.settings, **self.settings))
        if self.corpus is None:
            return reopen_corpus(config.corpus.path)
        if prepared_one(self.corpus) is None:
            check_same_sources(config, paths_of(self.corpus))
            with suppress(CorpusError):  # gone or damaged: it can be made of the texts again
                return reopen_corpus(config.corpus.path)
        return open_corpus(self.corpus, config.corpus.settings.to_dict(), self.on_progress)


def _check_name(name: str) -> None:
    if not name or name in (".", "..") or "/" in name or "\\" in name or "\0" in name:
        raise ConfigError(
            f"{name!r} can't be the name of a run.", "Use a plain name; --out-dir takes a path."
        )

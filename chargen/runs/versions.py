"""The versions of the run format: what is read as it is, what is migrated, what is refused.

Version 2 is current. It names its texts instead of giving their paths, keeps the places that a
resume needs in ``places.json``, and records the recipe and the machine. Version 1 had neither: its
recipe was that of the only release that wrote it, and stands here in full. A config with a digest
must have that digest; version 1 had none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path, PurePath
from typing import Any

from chargen import __version__
from chargen.errors import CheckpointError, ConfigError
from chargen.files import sha256_of_values
from chargen.options import CELLS, CorpusConfig, ModelConfig, TrainConfig, check
from chargen.options.recipe import Recipe
from chargen.runs.config import FORMAT, CorpusRecord, Origin, RunConfig, SourceText
from chargen.runs.machine_record import MachineRecord
from chargen.runs.places import Places
from chargen.runs.reading import TRAIN_ONE, damaged, typed

_MOST_LAYERS = 10_000
_MOST_GAPS = 2 / 3
_LATER: Mapping[str, Any] = {
    "gate_worth": 0.0,
    "shifted_passes": False,
    "lr_of_labels": 1.0,
    "lr_of_ngram_weights": 0.0,
    "lr_of_answers": 1.0,
    "dropout_of_labels": 0.0,
    "second_layer": 0,
    "forward_share_bfloat16": 1 / 3,
}
"""Constants that version 2 got later, with the values by which they change nothing."""
RECIPE_OF_VERSION_1 = Recipe(
    large_vocabulary=512,
    embedding_size=(32, 128),
    lr=(1.4e-2, 8e-3),
    lr_units=256,
    lr_pieces=2048,
    lr_of_optimizer={"adamw": 1.0, "rmsprop": 0.4, "sgd": 120.0},
    lr_of_tied={"P": 2.0, "U": 0.5},
    lr_hold=0.4,
    weight_decay=(0.05, 0.3),
    adamw_betas=(0.6, 0.99),
    sgd_momentum=0.9,
    rmsprop_alpha=0.95,
    growth=(0.03, 0.045),
    growth_halving=(0.01, 0.025),
    growth_characters=1e6,
    growth_limit=0.5,
    short_text=70e3,
    short_dropout=0.5,
    short_dropout_halving=0.08,
    short_dropout_characters=1e5,
    short_dropout_limit=0.8,
    passes_root=1e4,
    passes_limit=20.0,
    neighbour_pieces=1 << 22,
    neighbour_spare=16,
    neighbour_rounds=3,
    neighbour_length=1.4,
    fresh_after=2048,
    rollback_limit=3,
    rollback_lr=0.5,
    evaluated_pieces=1 << 18,
    forward_share=1 / 3,
    clock_estimate=0.03,
    clock_fix=0.9,
    clock_overtime=1.1,
    **_LATER,
)


def config_of(values: Any, where: Path) -> RunConfig:
    """The config that the JSON of a ``config.json`` stands for, migrated where it is older.

    Raises:
        CheckpointError: it is of something else, damaged, or of a version that isn't known.
    """
    config = _by_version(values, where)
    return config.current() if isinstance(config, _Version1) else config


def places_of(values: Any, where: Path) -> Places:
    """The places that the JSON of a ``config.json`` names: version 1 had no ``places.json``."""
    config = _by_version(values, where)
    return config.places(where) if isinstance(config, _Version1) else Places()


def _by_version(values: Any, where: Path) -> RunConfig | _Version1:
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise CheckpointError(f"{where} is not the config of a chargen run.", TRAIN_ONE)
    values = dict(values)
    seal = values.pop("sha256", None)
    version = values.get("version")
    if version not in (1, 2) or isinstance(version, (bool, float)):
        raise _unknown_version(values, where)
    body = {name: value for name, value in values.items() if name not in ("format", "version")}
    _check_known(body, where)
    body = _with_older_recipe(_with_lines_kept(_with_gaps_as_made(body)))
    body = body if version == 1 else {"averaged": [], **body}  # no earlier run was an average
    config: RunConfig | _Version1
    if version == 1:
        config = typed(body, _Version1, where)
    else:
        _check_complete(body, where)
        config = typed(body, RunConfig, where)
        runs = len(config.averaged) or 1
        if config.model.hidden_size % runs or config.model.embedding_size % runs:
            raise damaged(where, f"its network isn't made of {runs} equal ones")
    model = config.model
    if model.num_layers > _MOST_LAYERS:
        raise damaged(where, f"model.num_layers is {model.num_layers:,}, above {_MOST_LAYERS:,}")
    if all(cell in CELLS for cell in model.layer_cells()):
        model = model.without_idle_options()
    try:
        check(model, config.training)
    except ConfigError as error:
        raise damaged(where, error.message) from error
    if config.total_steps is not None and config.total_steps < 1:
        raise damaged(where, f"total_steps is {config.total_steps}")
    if seal not in (None, sha256_of_values(values)):
        raise damaged(where, "its digest differs")
    return replace(config, model=model)


def _unknown_version(values: Mapping[str, Any], where: Path) -> CheckpointError:
    release = values.get("chargen_version")
    if not isinstance(release, str) or not re.fullmatch(r"[0-9A-Za-z.+-]{1,40}", release):
        return damaged(where, f"its format version is {values.get('version')!r}")
    return CheckpointError(
        f"{where} has format version {values.get('version')!r:.20}, which chargen {release} reads "
        f"and this release, {__version__}, doesn't.",
        f"Use chargen {release}, or train again.",
    )


def _with_lines_kept(values: dict[str, Any]) -> dict[str, Any]:
    """Values in which a corpus without the setting ``unwrap`` is one whose lines were kept."""
    corpus = _dict(values.get("corpus"))
    settings = corpus.get("settings")
    if not isinstance(settings, dict) or "unwrap" in settings:
        return values
    return {**values, "corpus": {**corpus, "settings": {**settings, "unwrap": "no"}}}


def _with_gaps_as_made(values: dict[str, Any]) -> dict[str, Any]:
    """Values in which the share of gaps is at most the 2/3 that were made of any greater one."""
    training = _dict(values.get("training"))
    share = training.get("gap_share")
    if not isinstance(share, float) or not _MOST_GAPS < share < 1:
        return values
    return {**values, "training": {**training, "gap_share": _MOST_GAPS}}


def _with_older_recipe(values: dict[str, Any]) -> dict[str, Any]:
    """Values in which a recipe that doesn't have a later constant goes without what it does."""
    recipe = values.get("recipe")
    if not isinstance(recipe, dict):
        return values
    return {**values, "recipe": {**_LATER, **recipe}}


def _check_known(values: Mapping[str, Any], where: Path) -> None:
    """Raise CheckpointError for an option that isn't known.

    One that is missing has its default: a later release may have added it.
    """
    settings = _dict(values.get("corpus")).get("settings")
    for part, schema, given in (
        ("model", ModelConfig, values.get("model")),
        ("training", TrainConfig, values.get("training")),
        ("corpus.settings", CorpusConfig, settings),
        ("recipe", Recipe, values.get("recipe")),
    ):
        if unknown := sorted(_dict(given).keys() - _names(schema)):
            raise damaged(where, f"{part}.{unknown[0]} is not known")


def _check_complete(values: Mapping[str, Any], where: Path) -> None:
    """Raise CheckpointError where something is missing that has no default in an older run."""
    absent = sorted(_names(RunConfig) - values.keys())
    absent += sorted(
        f"recipe.{name}" for name in _names(Recipe) - _dict(values.get("recipe")).keys()
    )
    if absent:
        raise damaged(where, f"{absent[0]} is missing")


def _names(schema: Any) -> set[str]:
    return {each.name for each in fields(schema)}


def _dict(value: Any) -> dict[str, Any]:
    """A JSON object; of another type, which the schema reports, an empty one."""
    return value if isinstance(value, dict) else {}


@dataclass(frozen=True)
class _CorpusOfVersion1:
    path: str
    sources: Mapping[str, str]  # SHA-256 by path, in order
    settings: CorpusConfig
    files: Mapping[str, str]
    characters: int
    train_characters: int
    val_characters: int


@dataclass(frozen=True)
class _OriginOfVersion1:
    path: str
    weights_sha256: str


@dataclass(frozen=True)
class _Version1:
    """``config.json`` as chargen 0.1 wrote it."""

    model: ModelConfig
    training: TrainConfig
    corpus: _CorpusOfVersion1
    tokenizer_sha256: str
    preset: str
    chargen_version: str
    total_steps: int | None = None
    init_from: _OriginOfVersion1 | None = None
    asked: Mapping[str, int] = field(default_factory=dict)

    def current(self) -> RunConfig:
        corpus, origin = self.corpus, self.init_from
        return RunConfig(
            model=self.model,
            training=self.training,
            corpus=CorpusRecord(
                name=_name(corpus.path),
                sources=tuple(SourceText(_name(path), sha) for path, sha in corpus.sources.items()),
                settings=corpus.settings,
                files=corpus.files,
                characters=corpus.characters,
                train_characters=corpus.train_characters,
                val_characters=corpus.val_characters,
            ),
            tokenizer_sha256=self.tokenizer_sha256,
            preset=self.preset,
            chargen_version=self.chargen_version,
            total_steps=self.total_steps,
            init_from=None if origin is None else Origin(_name(origin.path), origin.weights_sha256),
            asked=self.asked,
            recipe=RECIPE_OF_VERSION_1,
            machine=MachineRecord(
                chargen=self.chargen_version,
                torch=None,
                cpu_capability=None,
                device=None,
                threads=self.training.threads or None,
                precision=None,
                spin=None,
            ),
        )

    def places(self, where: Path) -> Places:
        origin = None if self.init_from is None else self.init_from.path
        if any("\0" in path for path in (self.corpus.path, origin or "")):
            raise damaged(where, "a path has a null byte")
        return Places(Path(self.corpus.path), None if origin is None else Path(origin))


def _name(path: str) -> str:
    """The last part of a path; of one that has none, the path."""
    return PurePath(path).name or path

"""What a run records of itself: ``config.json`` in its current version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

from chargen.corpus.labels import Labels
from chargen.files import sha256_of_values
from chargen.options import CELLS, CorpusConfig, ModelConfig, TrainConfig
from chargen.options.recipe import Recipe
from chargen.runs.machine_record import MachineRecord
from chargen.runs.reading import STRICT

if TYPE_CHECKING:
    from chargen.corpus.manifest import Manifest

FORMAT = "chargen-run"
VERSION = 2


@dataclass(frozen=True)
class SourceText:
    """A text that a corpus was made of: the name of its file, and the SHA-256 of its bytes."""

    __pydantic_config__: ClassVar[Any] = STRICT

    name: str
    sha256: str


@dataclass(frozen=True)
class CorpusRecord:
    """The corpus that a run learns from: enough to recognise it.

    Attributes:
        name: of the prepared corpus.
        sources: the texts that it was made of, in order.
        settings: that it was made with.
        files: SHA-256 of each of its files.
        characters, train_characters, val_characters: of the text and its splits.
        labels: of its records: the values of each key, with how many texts have each.
    """

    __pydantic_config__: ClassVar[Any] = STRICT

    name: str
    sources: tuple[SourceText, ...]
    settings: CorpusConfig
    files: Mapping[str, str]
    characters: int
    train_characters: int
    val_characters: int
    labels: Mapping[str, tuple[tuple[str, int], ...]] = field(default_factory=dict)

    @property
    def label_space(self) -> Labels:
        """The labels that texts may have."""
        return Labels(self.labels)

    @classmethod
    def of(cls, manifest: Manifest) -> Self:
        """What a run records of the corpus with this manifest."""
        return cls(
            name=manifest.name,
            sources=tuple(SourceText(each.name, each.sha256) for each in manifest.sources),
            settings=manifest.config,
            files=dict(manifest.files),
            characters=manifest.characters,
            train_characters=manifest.train.characters,
            val_characters=manifest.val.characters,
            labels={} if manifest.records is None else manifest.records.labels,
        )

    def is_of(self, manifest: Manifest) -> bool:
        """Whether a prepared corpus is, byte for byte, the one that the run learns from."""
        return dict(self.files) == dict(manifest.files)


@dataclass(frozen=True)
class Origin:
    """A run whose weights another begins with or averages: its name, and what identifies them."""

    __pydantic_config__: ClassVar[Any] = STRICT

    name: str
    weights_sha256: str


@dataclass(frozen=True)
class RunConfig:
    """What ``config.json`` holds, besides format and version.

    Attributes:
        model, training: the options that the run is trained with.
        corpus: what it learns from.
        tokenizer_sha256: of ``tokenizer.model``.
        preset: name of the preset.
        chargen_version: the release that wrote the file.
        total_steps: steps of the whole run, once known.
        init_from: the run that the initial weights came from.
        asked: options that were adapted to a short text, as they were asked for.
        recipe: the measured constants of training.
        machine: where it was trained last.
        averaged: the runs that it is the average of, if it is one; it has the first one's training.
    """

    __pydantic_config__: ClassVar[Any] = STRICT

    model: ModelConfig
    training: TrainConfig
    corpus: CorpusRecord
    tokenizer_sha256: str
    preset: str
    chargen_version: str
    total_steps: int | None = None
    init_from: Origin | None = None
    asked: Mapping[str, int] = field(default_factory=dict)
    recipe: Recipe = field(default_factory=Recipe)
    machine: MachineRecord | None = None
    averaged: tuple[Origin, ...] = ()

    @property
    def precision(self) -> str:
        """Number format of matrix products on the machine where the run is trained."""
        return (self.machine and self.machine.precision) or self.training.precision

    @property
    def one_of_averaged(self) -> RunConfig:
        """What one of the runs that are averaged records; of any other run, what it is itself."""
        count = len(self.averaged)
        if not count:
            return self
        size, embedding = self.model.hidden_size // count, self.model.embedding_size // count
        model = replace(self.model, hidden_size=size, embedding_size=embedding)
        return replace(self, model=model, averaged=())

    def sealed(self) -> dict[str, Any]:
        """The JSON of ``config.json``: values, and the digest of all of them.

        ``chargen.runs.versions`` reads it back.
        """
        values = self.to_dict()
        return {**values, "sha256": sha256_of_values(values)}

    def to_dict(self) -> dict[str, Any]:
        """Values that JSON can hold."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "chargen_version": self.chargen_version,
            "preset": self.preset,
            "total_steps": self.total_steps,
            "model": _own_options(self.model),
            "training": self.training.to_dict(),
            "recipe": self.recipe.to_dict(),
            "corpus": asdict(self.corpus),
            "tokenizer_sha256": self.tokenizer_sha256,
            "init_from": None if self.init_from is None else asdict(self.init_from),
            "asked": dict(self.asked),
            "machine": None if self.machine is None else asdict(self.machine),
            "averaged": [asdict(origin) for origin in self.averaged],
        }


def _own_options(model: ModelConfig) -> dict[str, Any]:
    """The options of a network, without those that only other cells have."""
    own = {name for cell in model.layer_cells() for name in CELLS[cell].options}
    others = {name for entry in CELLS.values() for name in entry.options} - own
    return {name: value for name, value in model.to_dict().items() if name not in others}

"""The run folder: write, read, list, verify, lock.

    checkpoints/NAME/
      config.json         format version, model, training and corpus description
      tokenizer.model
      model.safetensors   the best weights by validation so far
      last/STEP/          what an exact resume needs; the newest whole one counts
      metrics.jsonl       one line an event
      tensorboard/        with --tensorboard: the same for TensorBoard

The first three are all that sampling needs. No pickle is read, ever.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as tensors_to_bytes
from torch import Tensor

from chargen.config import CorpusConfig, ModelConfig, TrainConfig, check
from chargen.corpus.tokenizer import Tokenizer
from chargen.errors import ChargenError, CheckpointError, ConfigError
from chargen.files import new_folder, sweep, write_bytes, write_json
from chargen.network.model import CharModel

if TYPE_CHECKING:
    from chargen.corpus.manifest import Manifest

FORMAT = "chargen-run"
VERSION = 1
CONFIG, TOKENIZER, MODEL, METRICS, LAST = (
    "config.json",
    "tokenizer.model",
    "model.safetensors",
    "metrics.jsonl",
    "last",
)
FACTS = "chargen"
STATE_TENSORS, STATE_VALUES = "state.safetensors", "state.json"


@dataclass(frozen=True)
class CorpusRecord:
    """The corpus that a run learns from: enough to recognise it.

    Attributes:
        path: of the prepared corpus.
        sources: SHA-256 of each text it was made of, by its path as it was given.
        settings: that it was made with.
        files: SHA-256 of each of its files.
        characters, train_characters, val_characters: of the text and its splits.
    """

    path: str
    sources: Mapping[str, str]
    settings: CorpusConfig
    files: Mapping[str, str]
    characters: int
    train_characters: int
    val_characters: int

    def is_of(self, manifest: Manifest) -> bool:
        """Whether a prepared corpus is, byte for byte, the one that the run learns from."""
        return dict(self.files) == dict(manifest.files)


@dataclass(frozen=True)
class RunConfig:
    """What ``config.json`` holds.

    Attributes:
        model, training: as they were trained with.
        corpus: what the run learns from.
        tokenizer_sha256: of ``tokenizer.model``.
        preset: the preset's name.
        chargen_version: that wrote it.
        total_steps: the steps of the whole run, once known.
        init_from: the run that the initial weights came from: ``path`` and ``weights_sha256``.
        asked: options that were adapted to a short text, as they were before.
    """

    model: ModelConfig
    training: TrainConfig
    corpus: CorpusRecord
    tokenizer_sha256: str
    preset: str
    chargen_version: str
    total_steps: int | None = None
    init_from: Mapping[str, str] | None = None
    asked: Mapping[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "version": VERSION,
            "chargen_version": self.chargen_version,
            "preset": self.preset,
            "total_steps": self.total_steps,
            "model": self.model.to_dict(),
            "training": self.training.to_dict(),
            "corpus": asdict(self.corpus),
            "tokenizer_sha256": self.tokenizer_sha256,
            "init_from": None if self.init_from is None else dict(self.init_from),
            "asked": dict(self.asked),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: Path) -> Self:
        """Read ``to_dict`` back; CheckpointError for what is of something else, or damaged."""
        if values.get("format") != FORMAT:
            raise CheckpointError(f"{where} is not a chargen run's config.", _TRAIN_ONE)
        if values.get("version") != VERSION:
            raise CheckpointError(
                f"{where} has format version {values.get('version')}, not {VERSION}.",
                "Use the chargen version that wrote it, or train again.",
            )
        try:
            config = cls._typed(values)
            check(config.model, config.training)
        except (KeyError, TypeError, ValueError, ConfigError) as error:
            reason = error.message if isinstance(error, ConfigError) else str(error)
            if isinstance(error, KeyError):
                reason = f"{error} is missing"
            raise CheckpointError(f"{where} is damaged: {reason}", _COPY_AGAIN) from error
        return config

    @classmethod
    def _typed(cls, values: Mapping[str, Any]) -> Self:
        """A config whose every field has its type; ValueError names the first that hasn't."""
        from pydantic import TypeAdapter, ValidationError

        ModelConfig.from_dict(values["model"])  # a name that isn't known is an error
        TrainConfig.from_dict(values["training"])
        try:
            config = TypeAdapter(cls).validate_python(dict(values))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise ValueError(f"{where}: {first['msg']}") from error
        return replace(config, model=config.model.without_idle_options())


def _unreadable(path: Path, error: OSError) -> CheckpointError:
    return CheckpointError(f"{path} can't be read: {error.strerror or error}.", _COPY_AGAIN)


_COPY_AGAIN = "Copy it again from where it came from, or train again."
_TRAIN_ONE = "Name a run folder that `chargen train` made, or train one."


def digest(tensors: Mapping[str, Tensor]) -> str:
    """sha256 over names, types, shapes and numbers: what identifies a set of weights."""
    sha = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        sha.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        sha.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return sha.hexdigest()


def write_tensors(path: Path, tensors: Mapping[str, Tensor], **info: str | float) -> None:
    """Tensors and a few facts to a safetensors file that carries its own digest.

    The facts are one entry, for safetensors writes several in any order, and the same tensors
    shall be the same file.
    """
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    facts = json.dumps({**info, "sha256": digest(whole)})
    write_bytes(path, tensors_to_bytes(whole, metadata={FACTS: facts}))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and facts of a file by ``write_tensors``.

    Raises:
        CheckpointError: missing, truncated, not safetensors, or not what was written.
    """
    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {}).get(FACTS, "{}"))
            names = file.keys()
            tensors = {name: file.get_tensor(name) for name in names}
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} is missing.", _COPY_AGAIN) from error
    except OSError as error:
        raise _unreadable(path, error) from error
    except (SafetensorError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged: {error}.", _COPY_AGAIN) from error
    if not isinstance(facts, dict) or facts.get("sha256") != digest(tensors):
        raise CheckpointError(f"{path} is damaged: its digest differs.", _COPY_AGAIN)
    return tensors, facts


@dataclass(frozen=True)
class LoadedModel:
    """All that sampling and evaluation need.

    Attributes:
        path: of the run folder.
        model: with its weights, on the CPU.
        tokenizer: of the run.
        config: of the run.
        weights_sha256: identifies the weights.
        step: after which training step they were taken.
    """

    path: Path
    model: CharModel
    tokenizer: Tokenizer
    config: RunConfig
    weights_sha256: str
    step: int


class RunFolder:
    """A run on disk; every write is whole or not there."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: Path, config: RunConfig, tokenizer: Tokenizer) -> Self:
        """A new run at ``path``; an existing one is an error."""
        try:
            with new_folder(path, replace=False) as folder:
                (folder / TOKENIZER).write_bytes(tokenizer.to_bytes())
                write_json(folder / CONFIG, config.to_dict())
        except FileExistsError as error:
            raise CheckpointError(
                f"{path} exists already.",
                "Go on with it by --resume, or choose another --name.",
            ) from error
        return cls(path)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run for writing; the operating system lets go when the process ends."""
        lock = FileLock(self.path / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise CheckpointError(
                f"{self.path} is in use by another training run.",
                "Wait for it, stop it, or choose another --name.",
            ) from error
        try:
            sweep(self.path)
            sweep(self.path / LAST)
            yield
        finally:
            lock.release()

    @property
    def metrics(self) -> Path:
        return self.path / METRICS

    def read_config(self) -> RunConfig:
        path = self.path / CONFIG
        try:
            values = json.loads(path.read_bytes())
        except FileNotFoundError as error:
            raise CheckpointError(f"{self.path} is not a chargen run.", _TRAIN_ONE) from error
        except OSError as error:
            raise _unreadable(path, error) from error
        except ValueError as error:
            raise CheckpointError(f"{path} is damaged: {error}.", _COPY_AGAIN) from error
        if not isinstance(values, dict):
            raise CheckpointError(f"{path} is not a chargen run's config.", _TRAIN_ONE)
        return RunConfig.from_dict(values, path)

    def write_config(self, config: RunConfig) -> None:
        write_json(self.path / CONFIG, config.to_dict())

    def read_tokenizer(self, config: RunConfig) -> Tokenizer:
        path = self.path / TOKENIZER
        if not path.is_file():
            raise CheckpointError(f"{path} is missing.", _COPY_AGAIN)
        try:
            tokenizer = Tokenizer.load(path)
        except ChargenError as error:
            raise CheckpointError(f"{path} can't be read: {error.message}", _COPY_AGAIN) from error
        if tokenizer.sha256 != config.tokenizer_sha256:
            raise CheckpointError(f"{path} is not the tokenizer of this run.", _COPY_AGAIN)
        return tokenizer

    def save_best(self, model: CharModel, step: int, bits_per_char: float | None) -> None:
        """The weights that sampling uses from now on."""
        facts = {} if bits_per_char is None else {"bits_per_char": bits_per_char}
        write_tensors(self.path / MODEL, model.state_dict(), step=step, **facts)

    def save_last(self, step: int, tensors: Mapping[str, Tensor], values: Any) -> Path:
        """What an exact resume needs; older ones go once this one is on disk."""
        place = self.path / LAST / str(step)
        with new_folder(place) as folder:
            write_tensors(folder / STATE_TENSORS, tensors, step=step)
            write_json(folder / STATE_VALUES, values)
        for other in self._last_steps():
            if other != step:
                shutil.rmtree(self.path / LAST / str(other), ignore_errors=True)
        return place

    def change_last(self, step: int, values: Any) -> None:
        """Other values for the checkpoint that ``save_last`` wrote at ``step``."""
        write_json(self.path / LAST / str(step) / STATE_VALUES, values)

    def _last_steps(self) -> list[int]:
        folder = self.path / LAST
        names = [p.name for p in folder.iterdir()] if folder.is_dir() else []
        return sorted((int(name) for name in names if name.isdigit()), reverse=True)

    def last_step(self) -> int:
        """The step of the newest resumable checkpoint; -1 where there is none."""
        return max(self._last_steps(), default=-1)

    def load_last(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Tensors and values of the newest whole ``save_last``; None where there is none."""
        damage: CheckpointError | None = None
        for step in self._last_steps():
            place = self.path / LAST / str(step)
            try:
                tensors, _ = read_tensors(place / STATE_TENSORS)
                values = _read_values(place / STATE_VALUES)
            except CheckpointError as error:
                damage = damage or error
                continue
            except (OSError, ValueError) as error:
                damage = damage or CheckpointError(f"{place} is damaged: {error}.", _COPY_AGAIN)
                continue
            return tensors, values
        if damage:
            raise damage
        return None

    def load_model(self) -> LoadedModel:
        """The best weights; before the first evaluation, the last ones."""
        config = self.read_config()
        tokenizer = self.read_tokenizer(config)
        path = self.path / MODEL
        if path.exists():
            tensors, facts = read_tensors(path)
        else:
            last = self.load_last()
            if last is None:
                raise CheckpointError(f"{path} is missing.", "Train the run on with --resume.")
            tensors = part(last[0], "model")
            facts = {"step": last[1]["step"], "sha256": digest(tensors)}
        model = CharModel(config.model)
        load_weights(model, tensors, path)
        return LoadedModel(
            path=self.path,
            model=model,
            tokenizer=tokenizer,
            config=config,
            weights_sha256=facts["sha256"],
            step=int(facts.get("step", 0)),
        )

    def verify(self) -> list[str]:
        """What is wrong with the run's files, one line each; nothing: all is well."""
        found = []
        for load in (self.load_model, self.load_last):
            try:
                load()
            except CheckpointError as error:
                found.append(error.message)
        return list(dict.fromkeys(found))


def _read_values(path: Path) -> dict[str, Any]:
    """What ``save_last`` was given; CheckpointError where it isn't even told of which step."""
    values = json.loads(path.read_bytes())
    if not isinstance(values, dict) or not isinstance(values.get("step"), int):
        raise CheckpointError(f"{path} is damaged: it has no step.", _COPY_AGAIN)
    return values


def part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Those of ``tensors`` whose names begin with ``prefix.``, without it."""
    start = prefix + "."
    return {n.removeprefix(start): t for n, t in tensors.items() if n.startswith(start)}


def load_weights(model: CharModel, tensors: Mapping[str, Tensor], where: Path | str) -> None:
    """Copy ``tensors`` into ``model``; CheckpointError names what is missing or misshapen."""
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    given = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    problems = [f"{name} is missing" for name in wanted if name not in given]
    problems += [f"{name} is not of this model" for name in given if name not in wanted]
    problems += [
        f"{name} is {given[name]}, not {shape}"
        for name, shape in wanted.items()
        if name in given and given[name] != shape
    ]
    if problems:
        more = f"; and {len(problems) - 4} more" if len(problems) > 4 else ""
        raise CheckpointError(
            f"{where} doesn't fit its config: {'; '.join(problems[:4])}{more}.", _COPY_AGAIN
        )
    model.load_state_dict(dict(tensors))


def runs(out_dir: Path) -> list[Path]:
    """The run folders in ``out_dir``, the newest first."""
    found = out_dir.glob(f"*/{CONFIG}") if out_dir.is_dir() else []
    whole = (c.parent for c in found if not c.parent.name.startswith("."))
    return sorted(whole, key=lambda run: (_touched(run), run.name), reverse=True)


def _touched(run: Path) -> float:
    times = [p.stat().st_mtime for n in (CONFIG, METRICS, MODEL) if (p := run / n).exists()]
    return max(times, default=0.0)


def find_run(name: str | None, out_dir: Path) -> Path:
    """A run by path, or by its name in ``out_dir``; None: the newest there."""
    if name is None:
        known = runs(out_dir)
        if not known:
            raise CheckpointError(f"There is no run in {out_dir}.", "Train one: chargen train")
        return known[0]
    try:
        places = [path for path in (Path(name), out_dir / name) if path.is_dir()]
        if places:
            return next((path for path in places if (path / CONFIG).exists()), places[0])
    except (OSError, ValueError) as error:
        raise CheckpointError(f"There can't be a run {name!r}: {error}.", _TRAIN_ONE) from error
    if Path(name).exists():
        raise CheckpointError(f"{name} is a file, not a run folder.", _TRAIN_ONE)
    known_names = ", ".join(path.name for path in runs(out_dir)[:10])
    raise CheckpointError(
        f"There is no run {name!r}.",
        f"In {out_dir} there is: {known_names}." if known_names else _TRAIN_ONE,
    )

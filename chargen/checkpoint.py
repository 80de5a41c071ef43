"""The run folder: write, read, list, verify, lock.

    checkpoints/NAME/
      config.json         format version, model, training and corpus description
      tokenizer.model
      model.safetensors   the best weights by validation so far
      last/STEP/          what an exact resume needs; the newest whole one counts
      metrics.jsonl       one line an event

The first three are all that sampling needs. No pickle is read, ever.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from filelock import FileLock, Timeout
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as tensors_to_bytes
from torch import Tensor

from chargen.config import ModelConfig, TrainConfig, check
from chargen.corpus.tokenizer import Tokenizer
from chargen.errors import ChargenError, CheckpointError, ConfigError, system_error_text
from chargen.files import new_folder, write_bytes, write_json
from chargen.model import CharModel

FORMAT = "chargen-run"
VERSION = 1
CONFIG, TOKENIZER, MODEL, METRICS, LAST = (
    "config.json",
    "tokenizer.model",
    "model.safetensors",
    "metrics.jsonl",
    "last",
)
STATE_TENSORS, STATE_VALUES = "state.safetensors", "state.json"


@dataclass(frozen=True)
class RunConfig:
    """What ``config.json`` holds.

    Attributes:
        model, training: as they were trained with.
        corpus: where the text came from and what identifies it.
        tokenizer_sha256: of ``tokenizer.model``.
        preset: the preset's name.
        total_steps: the steps of the whole run, once known.
        chargen_version: that wrote it.
    """

    model: ModelConfig
    training: TrainConfig
    corpus: Mapping[str, Any]
    tokenizer_sha256: str
    preset: str
    chargen_version: str
    total_steps: int | None = None

    def to_dict(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "version": VERSION,
            "chargen_version": self.chargen_version,
            "preset": self.preset,
            "total_steps": self.total_steps,
            "model": self.model.to_dict(),
            "training": self.training.to_dict(),
            "corpus": dict(self.corpus),
            "tokenizer_sha256": self.tokenizer_sha256,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: Path) -> Self:
        if values.get("format") != FORMAT:
            raise CheckpointError(f"{where} is not a chargen run's config.", _TRAIN_ONE)
        if values.get("version") != VERSION:
            raise CheckpointError(
                f"{where} has format version {values.get('version')}, not {VERSION}.",
                "Use the chargen version that wrote it, or train again.",
            )
        try:
            config = cls(
                model=ModelConfig.from_dict(values["model"]),
                training=TrainConfig.from_dict(values["training"]),
                corpus=values["corpus"],
                tokenizer_sha256=values["tokenizer_sha256"],
                preset=values["preset"],
                chargen_version=values["chargen_version"],
                total_steps=values["total_steps"],
            )
            check(config.model, config.training)
        except (KeyError, TypeError, ConfigError) as error:
            reason = error.message if isinstance(error, ConfigError) else f"{error!r}"
            raise CheckpointError(f"{where} is damaged: {reason}", _COPY_AGAIN) from error
        return config


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
    """Tensors and a few facts to a safetensors file that carries its own digest."""
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    facts = {name: json.dumps(value) for name, value in info.items()}
    facts["sha256"] = json.dumps(digest(whole))
    write_bytes(path, tensors_to_bytes(whole, metadata=facts))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and facts of a file by ``write_tensors``.

    Raises:
        CheckpointError: missing, truncated, not safetensors, or not what was written.
    """
    try:
        with safe_open(path, framework="pt") as file:
            facts = {name: json.loads(text) for name, text in (file.metadata() or {}).items()}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError as error:
        raise CheckpointError(f"{path} is missing.", _COPY_AGAIN) from error
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path} can't be read: {error}", _COPY_AGAIN) from error
    if facts.get("sha256") != digest(tensors):
        raise CheckpointError(f"{path} is damaged: its digest differs.", _COPY_AGAIN)
    return tensors, facts


@dataclass(frozen=True)
class LoadedModel:
    """All that sampling and evaluation need.

    Attributes:
        model: with its weights, on the CPU.
        tokenizer: of the run.
        config: of the run.
        weights_sha256: identifies the weights.
        step: after which training step they were taken.
    """

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
        if path.exists():
            raise CheckpointError(
                f"{path} exists already.",
                "Go on with it by --resume, or choose another --name.",
            )
        with new_folder(path) as folder:
            (folder / TOKENIZER).write_bytes(tokenizer.to_bytes())
            write_json(folder / CONFIG, config.to_dict())
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
        except (ValueError, OSError) as error:
            raise CheckpointError(f"{path} can't be read: {error}", _COPY_AGAIN) from error
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
                values: dict[str, Any] = json.loads((place / STATE_VALUES).read_bytes())
            except CheckpointError as error:
                damage = damage or error
                continue
            except (OSError, ValueError) as error:
                damage = damage or CheckpointError(f"{place} can't be read: {error}", _COPY_AGAIN)
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
            tensors, facts = part(last[0], "model"), {"step": last[1]["step"]}
        model = CharModel(config.model)
        load_weights(model, tensors, path)
        return LoadedModel(model, tokenizer, config, digest(tensors), int(facts.get("step", 0)))

    def verify(self) -> list[str]:
        """What is wrong with the run's files, one line each; nothing: all is well."""
        found = []
        for load in (self.load_model, self.load_last):
            try:
                load()
            except CheckpointError as error:
                found.append(error.message)
        return list(dict.fromkeys(found))


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
        raise CheckpointError(f"{where} doesn't fit its config: {'; '.join(problems)}", _COPY_AGAIN)
    model.load_state_dict(dict(tensors))


def runs(out_dir: Path) -> list[Path]:
    """The run folders in ``out_dir``, the newest first."""
    found = out_dir.glob(f"*/{CONFIG}") if out_dir.is_dir() else []
    newest = sorted(((_touched(c.parent), c.parent) for c in found), reverse=True)
    return [path for _, path in newest]


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
    for path in (Path(name), out_dir / name):
        try:
            if path.is_dir():
                return path
        except OSError as error:
            raise CheckpointError(system_error_text(error), _TRAIN_ONE) from error
    if Path(name).exists():
        raise CheckpointError(f"{name} is a file, not a run folder.", _TRAIN_ONE)
    known_names = ", ".join(path.name for path in runs(out_dir)[:10])
    raise CheckpointError(
        f"There is no run {name!r}.",
        f"In {out_dir} there is: {known_names}." if known_names else _TRAIN_ONE,
    )

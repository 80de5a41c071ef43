"""A run on disk: created, locked, written and loaded.

``chargen.runs.layout`` says what lies where. Every file is written beside its place, flushed, and
renamed, so that a kill at any instant leaves a run that loads.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from functools import partial
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Any, Self

from filelock import FileLock, Timeout
from torch import Tensor, float16

from chargen.corpus.holding import held
from chargen.corpus.tokenizer import Tokenizer
from chargen.errors import ChargenError, CheckpointError
from chargen.files import new_folder, sweep, write_json
from chargen.network.base import Model
from chargen.network.shapes import build_model
from chargen.ngrams import KneserNey
from chargen.runs import checkpoints, expected_tensors
from chargen.runs.config import RunConfig
from chargen.runs.content import Content
from chargen.runs.layout import CONFIG, LAST, LOCK, MODEL, TOKENIZER, WRITTEN
from chargen.runs.loaded import LoadedModel
from chargen.runs.ngram import read_ngram, write_ngram
from chargen.runs.places import Places
from chargen.runs.reading import (
    COPY_AGAIN,
    MOST_CONFIG_BYTES,
    TRAIN_ONE,
    MissingFileError,
    damaged,
    parse,
    read_file,
    require_own,
)
from chargen.runs.tensors import digest, load_weights, part, read_tensors, write_tensors
from chargen.runs.versions import config_of, places_of

_MOST_TOKENIZER_BYTES = 64 << 20


class RunFolder:
    """A run on disk; every write is whole or not there."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: Path, content: Content) -> Self:
        """Make a new run in one instant at ``path``, where nothing is yet.

        Raises:
            CheckpointError: there is something at ``path``.
            OSError: the folder can't be written.
        """
        try:
            return cls._create(path, content)
        except FileExistsError as error:
            raise CheckpointError(
                f"{path} exists already.",
                "Go on with it with `resume=True`, or choose another `name`.",
            ) from error

    @classmethod
    def create_numbered(cls, folder: Path, stem: str, content: Content) -> Self:
        """Make a new run in ``folder``, named ``stem`` and the lowest number that is free.

        Two processes never take the same number. What a name can't have (dots at its beginning,
        backslashes) is left out of the stem. Arguments and errors otherwise as in ``create``.
        """
        stem = stem.replace("\\", "_").lstrip(".") or "run"
        for number in count(1):
            path = folder / f"{stem}-{number}"
            if path.exists() or path.is_symlink():
                continue
            with contextlib.suppress(FileExistsError):  # another process was faster
                return cls._create(path, content)
        raise AssertionError

    @classmethod
    def _create(cls, path: Path, content: Content) -> Self:
        # Held: the next one removes what a kill leaves.
        with held(path, lambda: None), new_folder(path, replace=False) as folder:
            (folder / TOKENIZER).write_bytes(content.tokenizer.to_bytes())
            content.places.write(folder, path)
            write_ngram(folder, content.ngram)
            if content.first:
                checkpoints.write(folder, *content.first)
            if content.weights:
                write_tensors(folder / MODEL, *content.weights)
            write_json(folder / CONFIG, content.config.sealed())
        return cls(path)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run for writing; the operating system lets go when the process ends.

        Raises:
            CheckpointError: another process holds it, or a part of it is a link or a device.
            OSError: it can't be written.
        """
        require_own(self.path, WRITTEN)
        lock = FileLock(self.path / LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise CheckpointError(
                f"{self.path} is in use by another training run.",
                "Wait for it, stop it, or choose another `name`.",
            ) from error
        try:
            sweep(self.path)
            sweep(self.path / LAST)
            yield
        finally:
            lock.release()

    def read_config(self) -> RunConfig:
        """What the run records of itself, migrated where an older release wrote it."""
        return config_of(self._config_values(), self.path / CONFIG)

    def _config_values(self) -> Any:
        try:
            content = read_file(self.path, CONFIG, MOST_CONFIG_BYTES)
        except MissingFileError as error:
            raise CheckpointError(f"{self.path} is not a chargen run.", TRAIN_ONE) from error
        return parse(content, self.path / CONFIG)

    def write_config(self, config: RunConfig) -> None:
        """Replace the config; a run of an older version becomes one of this version."""
        write_json(self.path / CONFIG, config.sealed())

    def read_places(self) -> Places:
        """Where a resume finds what it needs, as far as the run knows."""
        found = Places.read(self.path)
        return places_of(self._config_values(), self.path / CONFIG) if found is None else found

    def write_places(self, places: Places) -> None:
        places.write(self.path, self.path)

    def read_tokenizer(self, config: RunConfig) -> Tokenizer:
        """The vocabulary of the run.

        Raises:
            CheckpointError: it is missing, damaged, of another run, or of another size.
        """
        path = self.path / TOKENIZER
        content = read_file(self.path, TOKENIZER, _MOST_TOKENIZER_BYTES)
        if sha256(content).hexdigest() != config.tokenizer_sha256:
            raise CheckpointError(f"{path} is damaged, or of another run.", COPY_AGAIN)
        try:
            tokenizer = Tokenizer(content, str(path))
        except ChargenError as error:
            raise CheckpointError(error.message, COPY_AGAIN) from error
        except ValueError as error:  # pieces that are no UTF-8
            raise damaged(path, str(error)) from error
        size = config.model.vocab_size
        if tokenizer.size != size:
            raise CheckpointError(
                f"{path} has {tokenizer.size:,} pieces, and the network has {size:,}.", COPY_AGAIN
            )
        return tokenizer

    def save_best(self, model: Model, step: int, bits_per_char: float | None) -> None:
        """Write the weights that sampling uses from now on."""
        write_tensors(self.path / MODEL, model.state_dict(), step, bits_per_char)

    def write_ngram(self, ngram: KneserNey | None) -> None:
        """Write the counts of the text."""
        write_ngram(self.path, ngram)

    def save_last(
        self, step: int, tensors: Mapping[str, Tensor], values: Mapping[str, Any]
    ) -> Path:
        """Write what an exact resume needs; older checkpoints go once this one is on disk.

        ``values`` are the fields of ``chargen.runs.state_values.StateValues``.
        """
        place = checkpoints.write(self.path, tensors, {**values, "step": step})
        checkpoints.remove_others(self.path, step)
        return place

    def change_last(self, step: int, values: Mapping[str, Any]) -> None:
        """Replace the values of the checkpoint that ``save_last`` wrote at ``step``."""
        checkpoints.change(self.path, step, values)

    def last_step(self) -> int:
        """The step of the newest resumable checkpoint; -1 where there is none."""
        return max(checkpoints.steps_of(self.path), default=-1)

    def require_sizes(self, config: RunConfig) -> None:
        """Raise CheckpointError where a resume of this config would not fit the files.

        Nothing of the network's size is allocated.
        """
        self.read_tokenizer(config)
        checkpoints.require_sizes(self.path, config)

    def load_last(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Tensors and values of the newest whole checkpoint; None where there is none.

        Raises:
            CheckpointError: there are checkpoints, and none is whole.
        """
        found = checkpoints.steps_of(self.path)
        return checkpoints.read_newest(self.path, self.read_config()) if found else None

    def load_model(self, *, ngram: bool = True) -> LoadedModel:
        """The best weights, or the last ones before the first evaluation; and its counts.

        With ``ngram=False`` its counts aren't read, and the result has none. The score that is
        stored with the weights is then left out too: it is that of network and counts.

        Raises:
            CheckpointError: a file is missing, damaged, or doesn't fit the others.
        """
        config = self.read_config()
        tokenizer = self.read_tokenizer(config)
        network = expected_tensors.outline(config.model, self.path / CONFIG)
        try:
            tensors, facts = read_tensors(self.path, MODEL, expected_tensors.of_weights(network))
            tensors = {n: t.float() if t.dtype == float16 else t for n, t in tensors.items()}
            step, identity, bits = facts.step, facts.sha256, facts.bits_per_char
        except MissingFileError as error:
            last = self.load_last()
            if last is None:
                remedy = "Copy it again, or go on training the run with `resume=True`."
                raise CheckpointError(error.message, remedy) from error
            tensors, step = part(last[0], "model"), last[1]["step"]
            identity, bits = digest(tensors), None
        expected_tensors.require_room(network, 2, self.path)  # one mapped, one of its own
        model = build_model(config.model)
        load_weights(model, tensors, self.path / MODEL)
        if not ngram:
            model.drop_counts()
            bits = None if config.model.ngram_order else bits
        counts = read_ngram(self.path, config.model) if ngram else (None, None)
        return LoadedModel(self.path, model, tokenizer, config, identity, step, bits, *counts)

    def parameters_by_part(self, config: RunConfig) -> dict[str, int]:
        """The number of parameters of each part of the network, found without its memory."""
        return expected_tensors.outline(config.model, self.path / CONFIG).parameters_by_part()

    def shapes_by_part(self, config: RunConfig) -> dict[str, dict[str, tuple[int, ...]]]:
        """The shapes of the parameters of each part, by their names in the equations."""
        parts = expected_tensors.outline(config.model, self.path / CONFIG).parts()
        return {
            part: {name: tuple(each.shape) for name, each in named.items()}
            for part, named in parts.items()
        }

    def verify(self, *, ngram: bool = True) -> list[str]:
        """What is wrong with the run's files, one line each; nothing: all is well.

        With ``ngram=False`` its counts may be lost or damaged.
        """
        found = []
        for load in (partial(self.load_model, ngram=ngram), self.load_last, self.read_places):
            try:
                load()
            except CheckpointError as error:
                found.append(error.message)
        return list(dict.fromkeys(found))

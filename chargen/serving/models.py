"""The runs that are served: found by name, loaded on demand, taken over when trained further."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

from chargen.errors import ChargenError
from chargen.generation.engine import Engine
from chargen.generation.generator import Generator, engine_of
from chargen.generation.poems.forms import FORMS
from chargen.options import ServeConfig
from chargen.runs.config import RunConfig
from chargen.runs.finding import distinct_names, runs_in
from chargen.runs.folder import RunFolder
from chargen.runs.layout import CONFIG
from chargen.runs.shipped import STORIES, VERSE, is_shipped
from chargen.serving.metrics import Metrics
from chargen.serving.model import Model, Stamp, stamp_of
from chargen.serving.refusals import RefusedError
from chargen.serving.threads import in_thread
from chargen.serving.worker import Worker

_WRITING = ("lm", "seq2seq")
"""Tasks whose runs write texts; those of the others can be embedded."""
_POLL = 1.0
"""Seconds between two looks at the files of runs."""


class Models:
    """The runs by their names.

    Args:
        paths: run folders, of which the first is the default.
        folder: where other runs are found by name; None: nowhere.
        load: reads a run folder.
        config: of the server.
        metrics: is told of the engine's steps.
        say: told what happens to runs, a line each.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        folder: Path | None,
        load: Callable[[Path], Generator],
        config: ServeConfig,
        metrics: Metrics,
        say: Callable[[str], None],
    ) -> None:
        self._named = dict(zip(distinct_names(paths), paths, strict=True))
        self._folder, self._load, self._config = folder, load, config
        self._metrics, self._say = metrics, say
        self._loaded: dict[str, Model] = {}
        self._lock = asyncio.Lock()
        self._reading: dict[str, asyncio.Task[None]] = {}
        self._wanted: Counter[str] = Counter()  # by those who wait for a run
        self._uses = 0
        self._retired: list[Model] = []

    @property
    def default(self) -> str:
        return next(iter(self._named))

    @property
    def default_for_forms(self) -> str:
        """The run that writes poems where none is named: of the shipped ones, that of verse."""
        shipped = {name for name, path in self._named.items() if is_shipped(path)}
        return VERSE if self.default == STORIES and {STORIES, VERSE} <= shipped else self.default

    def paths(self) -> dict[str, Path]:
        """The runs that there are now, by name."""
        if self._folder is None:
            return dict(self._named)
        here = {path.name: path for path in runs_in(self._folder)}
        return {**here, **self._named}

    def is_there(self, name: str | None, *, form: bool = False) -> bool:
        """Whether ``using`` needs not wait."""
        return self._chosen(name, form=form) in self._loaded

    def workers(self) -> list[Worker]:
        models = (*self._loaded.values(), *self._retired)
        return [model.worker for model in models if model.worker is not None]

    def path_of(self, name: str) -> Path:
        """The folder of a run; RefusedError where there is none of this name."""
        path = self._named.get(name) or self.paths().get(name)
        if path is None:
            raise RefusedError(
                404,
                f"There is no run {name!r:.200} here. GET /v1/models lists those that there are.",
                param="model",
                code="model_not_found",
            )
        return path

    @contextlib.asynccontextmanager
    async def using(self, name: str | None, *, form: bool = False) -> AsyncIterator[Model]:
        """A run in memory, which stays there for the block; None: the default.

        Args:
            name: of the run.
            form: whether the default is that for texts of a form.

        Raises:
            RefusedError: there is no such run, it can't be read, or there is no room for it.
        """
        model = await self._get(self._chosen(name, form=form))
        model.users += 1
        self._uses += 1
        model.used = self._uses
        try:
            yield model
        finally:
            model.users -= 1
            self._clear()

    def _chosen(self, name: str | None, *, form: bool) -> str:
        return name or (self.default_for_forms if form else self.default)

    async def _get(self, name: str) -> Model:
        if name not in self._loaded:
            await self._come(name)
        return self._loaded[name]

    async def _come(self, name: str) -> None:
        """Wait for a run. Whoever stops waiting leaves it to be read for those who ask next."""
        reading = self._reading.get(name) or self._begin_to_read(name)
        self._wanted[name] += 1
        try:
            await asyncio.shield(reading)
        finally:
            self._wanted -= Counter((name,))

    def _begin_to_read(self, name: str) -> asyncio.Task[None]:
        path = self.path_of(name)

        async def read() -> None:
            async with self._lock:
                self._spare()  # or refuse
                try:
                    fresh = await self._read(name, path)
                except ChargenError as error:
                    raise RefusedError.of(error, param="model") from error
                try:  # a run that can't be read takes no other one's place
                    if spare := self._spare():
                        self._retire(spare)
                except RefusedError:
                    fresh.stop(timeout=0)
                    raise
                self._loaded[name] = fresh

        def done(task: asyncio.Task[None]) -> None:
            del self._reading[name]
            if not task.cancelled():
                task.exception()  # it is not lost where nobody waits any more

        self._reading[name] = task = asyncio.create_task(read())
        task.add_done_callback(done)
        return task

    def _spare(self) -> Model | None:
        """The run that has to make room for another one; None: there is room."""
        if len(self._loaded) < self._config.loaded_runs:
            return None
        idle = [m for m in self._loaded.values() if not (m.users or self._wanted[m.name])]
        if not idle:
            raise RefusedError(
                503,
                "All places for runs are in use. Try again later.",
                code="no_room_for_run",
                retry_after=5,
            )
        return min(idle, key=lambda model: model.used)

    async def _read(self, name: str, path: Path) -> Model:
        """Read a run in a thread of its own, and start its engine."""
        slots = self._config.slots

        def read() -> tuple[Stamp, Generator, Engine | None]:
            gc.collect()  # runs that are gone are cycles, of too few objects to be found by chance
            before = stamp_of(path)
            generator = self._load(path)
            writes = generator.loaded.config.model.task in _WRITING
            return before, generator, engine_of(generator, slots=slots) if writes else None

        stamp, generator, engine = await in_thread(read)
        loop = asyncio.get_running_loop()
        worker = None if engine is None else Worker(engine, loop, self._metrics.stepped)
        self._say(f"{name} is loaded.")
        return Model(name, generator, engine, worker, stamp)

    def _retire(self, model: Model) -> None:
        """Take a run out of the table; its engine ends when nobody uses it any more."""
        if self._loaded.get(model.name) is model:
            del self._loaded[model.name]
        self._retired.append(model)
        self._clear()

    def _clear(self) -> None:
        for model in [each for each in self._retired if not each.users]:
            self._retired.remove(model)
            model.stop(timeout=0)

    async def watch(self) -> None:
        """Take over what is trained further, for as long as the server runs."""
        failed: dict[str, Stamp | None] = {}
        while True:
            await asyncio.sleep(_POLL)
            for name in tuple(self._loaded):
                failed[name] = await self._take_over(name, failed.get(name))

    async def _take_over(self, name: str, failed: Stamp | None) -> Stamp | None:
        """Read a run again if it has changed.

        Args:
            name: of the run.
            failed: the stamp of files that can't be read, which is not tried again.

        Returns:
            Such a stamp.
        """
        model = self._loaded.get(name)
        if model is None:
            return None
        path = model.generator.path
        stamp = await in_thread(lambda: stamp_of(path))
        if stamp in (model.stamp, failed):
            return failed
        try:
            fresh = await self._read(name, path)
        except ChargenError as error:  # it is being written, or damaged: the old one stays
            self._say(f"{name} can't be taken over yet: {error.message}")
            return stamp
        whole = await in_thread(lambda: stamp_of(path)) == fresh.stamp
        if whole and self._loaded.get(name) is model:
            self._retire(model)
            self._loaded[name] = fresh
        else:  # it changed while it was read, or isn't wanted any more
            fresh.stop(timeout=0)
        return None

    async def describe(self, name: str) -> dict[str, Any]:
        """What a run is, as ``GET /v1/models/ID`` shows it; RefusedError where it can't be read."""
        path = self.path_of(name)
        try:
            config, created = await in_thread(lambda: (RunFolder(path).read_config(), _age(path)))
        except ChargenError as error:
            raise RefusedError.of(error, param="model") from error
        model = self._loaded.get(name)
        return {
            "id": name,
            "object": "model",
            "created": created,
            "owned_by": "chargen",
            "default": name == self.default,
            "default_for_forms": name == self.default_for_forms,
            "loaded": model is not None,
            "system_fingerprint": model.fingerprint if model else None,
            **_facts(config),
        }

    async def describe_all(self) -> list[dict[str, Any]]:
        """All runs that can be read."""
        found = []
        for name in self.paths():
            with contextlib.suppress(RefusedError):
                found.append(await self.describe(name))
        return found

    def stop(self) -> None:
        for model in (*self._loaded.values(), *self._retired):
            model.stop()


def _facts(config: RunConfig) -> dict[str, Any]:
    model, writes = config.model, config.model.task == "lm"
    return {
        "task": model.task,
        "cell": model.cell,
        "hidden_size": model.hidden_size,
        "num_layers": model.num_layers,
        "vocab_size": model.vocab_size,
        "ngram": model.ngram,
        "forms": list(FORMS) if writes else [],
        "labels": {key: [v for v, _ in values] for key, values in config.corpus.labels.items()},
        "corpus": config.corpus.name,
        "conversion": config.corpus.settings.convert,
    }


def _age(path: Path) -> int:
    return int((path / CONFIG).stat().st_mtime)

"""The runs of a server: loaded on demand, within a limit, taken over when trained further."""

from __future__ import annotations

import asyncio
import gc
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any
from weakref import ref

import pytest

import chargen
from chargen.api.serving import _paths as served_runs
from chargen.generation.engine import Engine
from chargen.generation.generator import Generator
from chargen.generation.requests import Chunk, Request, Result
from chargen.options import SamplingConfig, ServeConfig
from chargen.runs.folder import RunFolder
from chargen.runs.shipped import SHIPPED, STORIES, VERSE, shipped_run
from chargen.serving import models as room
from chargen.serving.metrics import Metrics
from chargen.serving.models import Models
from chargen.serving.refusals import RefusedError
from chargen.serving.worker import Job, Part, Worker

LONG = Request("春", SamplingConfig(length=100_000, temperature=1.0), 1)


def load(path: Path) -> Generator:
    return chargen.load(path, device="cpu")


def with_models(
    work: Callable[[Models], Awaitable[None]],
    paths: list[Path],
    folder: Path | None = None,
    **options: Any,
) -> list[str]:
    """Do something with models in an asyncio of its own; what was said."""
    said: list[str] = []

    async def main() -> None:
        config = ServeConfig(slots=2, **options)
        models = Models(paths, folder, load, config, Metrics(), said.append)
        try:
            await work(models)
        finally:
            models.stop()

    asyncio.run(asyncio.wait_for(main(), 60))
    return said


async def text_of(worker: Worker, request: Request) -> str:
    """A text, whole."""
    done: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def deliver(part: Part) -> None:
        if isinstance(part, Result):
            done.set_result(part.text)
        elif isinstance(part, Exception):
            done.set_exception(part)

    worker.submit(Job(request, deliver))
    return await done


def copies(run: Path, folder: Path, *names: str) -> list[Path]:
    return [Path(shutil.copytree(run, folder / name)) for name in names]


def refusal(error: pytest.ExceptionInfo[RefusedError]) -> tuple[int, str | None]:
    return error.value.status, error.value.code


def test_runs_are_loaded_on_demand_and_the_least_used_makes_room(
    trained: Path, tmp_path: Path
) -> None:
    paths = copies(trained, tmp_path, "a", "b", "c")

    async def work(models: Models) -> None:
        assert models.workers() == []
        for name, want in ((None, {"a"}), ("b", {"a", "b"}), ("a", {"a", "b"}), ("c", {"a", "c"})):
            async with models.using(name) as model:
                assert model.name == (name or "a")
                assert set(models._loaded) == want
        async with models.using("a"), models.using("b"):
            with pytest.raises(RefusedError) as error:
                async with models.using("c"):
                    pass
            assert refusal(error) == (503, "no_room_for_run")
        with pytest.raises(RefusedError) as error:
            async with models.using("d"):
                pass
        assert refusal(error) == (404, "model_not_found")
        listed = await models.describe_all()
        assert {each["id"]: each["loaded"] for each in listed} == {"a": True, "b": True, "c": False}

    with_models(work, paths)


def test_a_run_is_loaded_once_for_many_who_ask_at_once(trained: Path) -> None:
    async def work(models: Models) -> None:
        async def use() -> str:
            async with models.using("run") as model:
                return model.fingerprint

        assert len(set(await asyncio.gather(*(use() for _ in range(20))))) == 1

    assert with_models(work, [trained]) == ["run is loaded."]


def test_runs_of_a_folder_are_found_while_the_server_runs(trained: Path, tmp_path: Path) -> None:
    (first,) = copies(trained, tmp_path, "first")

    async def work(models: Models) -> None:
        assert set(models.paths()) == {"first"}
        copies(trained, tmp_path, "second")
        async with models.using("second") as model:
            assert model.name == "second"
        (tmp_path / "first" / "tokenizer.model").write_bytes(b"")
        with pytest.raises(RefusedError) as error:
            async with models.using("first"):
                pass
        assert error.value.status == 400
        with pytest.raises(RefusedError):
            async with models.using("../first"):
                pass

    with_models(work, [first], tmp_path)


def changed(run: Path) -> None:
    """What training further does to a run: other weights."""
    loaded = RunFolder(run).load_model()
    for parameter in loaded.model.parameters():
        parameter.data.mul_(1.5)
    RunFolder(run).save_best(loaded.model, loaded.step + 1, 1.0)


def test_a_run_trained_further_is_taken_over_without_a_gap(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "_POLL", 0.01)
    short = Request("春", SamplingConfig(length=20, temperature=1.0), 1)
    (before,) = load(run).generate("春", length=20, temperature=1.0, seed=1)
    further = Path(shutil.copytree(run, run.with_name("further")))
    changed(further)
    said: list[str] = []

    async def work(models: Models) -> None:
        watching = asyncio.create_task(models.watch())
        async with models.using(None) as old:
            assert await text_of(old.worker, short) == before
            weights = (run / "model.safetensors").read_bytes()
            (run / "model.safetensors").write_bytes(weights[:1000])
            models._say = said.append
            while not said:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            async with models.using(None) as still:
                assert still is old  # what can't be read is not taken over
            (further / "model.safetensors").replace(run / "model.safetensors")
            while True:
                async with models.using(None) as model:
                    if model is not old:
                        break
                await asyncio.sleep(0.01)
            assert model.fingerprint != old.fingerprint
            assert await text_of(old.worker, short) == before  # who began with it ends with it
            (after,) = load(run).generate("春", length=20, temperature=1.0, seed=1)
            assert await text_of(model.worker, short) == after
            assert after != before
            assert len(models.workers()) == 2
        assert models.workers() == [model.worker]
        watching.cancel()

    with_models(work, [run])
    assert sum("can't be taken over yet" in line for line in said) in (1, 2)  # empty, and cut


def test_a_run_that_changes_while_it_is_read_is_taken_over_once(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "_POLL", 0.01)
    reads: list[str] = []

    def changing(path: Path) -> Generator:
        read = load(path)
        reads.append(read.loaded.weights_sha256)
        if len(reads) == 2:
            changed(path)
        return read

    async def work() -> None:
        models = Models([run], None, changing, ServeConfig(slots=2), Metrics(), reads.append)
        watching = asyncio.create_task(models.watch())
        async with models.using(None) as old:
            changed(run)
            seen = old
            while seen is old:
                await asyncio.sleep(0.01)
                seen = models._loaded["run"]
            assert seen.fingerprint == load(run).loaded.weights_sha256 != old.fingerprint
        watching.cancel()
        models.stop()

    asyncio.run(asyncio.wait_for(work(), 60))


def test_what_is_cancelled_delivers_nothing_more(trained: Path) -> None:
    async def work(models: Models) -> None:
        async with models.using(None) as model:
            worker, parts = model.worker, []
            jobs = [Job(LONG, parts.append) for _ in range(4)]  # two slots: two run, two wait
            for job in jobs:
                worker.submit(job)
            while len(parts) < 20:
                await asyncio.sleep(0)
            assert (worker.running, worker.waiting) == (2, 2)
            for job in jobs:
                worker.cancel(job)
            assert (worker.running, worker.waiting) == (0, 0)
            count = len(parts)
            short = replace(LONG, config=SamplingConfig(length=5))
            assert len(await text_of(worker, short)) == 5
            assert len(parts) == count
            assert all(isinstance(part, Chunk) for part in parts)

    with_models(work, [trained])


def test_a_text_without_characters_is_done_at_once(trained: Path) -> None:
    async def work(models: Models) -> None:
        async with models.using(None) as model:
            assert await text_of(model.worker, Request("春", SamplingConfig(length=0), 1)) == ""

    with_models(work, [trained])


@pytest.fixture
def engine_fails_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine's first run ends at its fourth part."""
    real, calls = Engine.serve, []

    def serve(self: Engine, *arguments: Any) -> Any:
        calls.append(1)
        for n, part in enumerate(real(self, *arguments)):
            if len(calls) == 1 and n == 3:
                raise MemoryError("for a test")
            yield part

    monkeypatch.setattr(Engine, "serve", serve)


@pytest.mark.usefixtures("engine_fails_once")
def test_after_a_failure_the_engine_goes_on(trained: Path) -> None:
    async def work(models: Models) -> None:
        async with models.using(None) as model:
            with pytest.raises(MemoryError):
                await text_of(model.worker, LONG)
            short = replace(LONG, config=SamplingConfig(length=5, temperature=1.0))
            (want,) = model.generator.generate("春", length=5, temperature=1.0, seed=1)
            assert await text_of(model.worker, short) == want

    with_models(work, [trained])


@pytest.mark.usefixtures("engine_fails_once")
def test_a_failure_ends_what_ran_and_nothing_that_waited(trained: Path) -> None:
    async def work(models: Models) -> None:
        async with models.using(None) as model:
            failed: list[Part] = []
            running = [Job(LONG, failed.append) for _ in range(2)]
            short = replace(LONG, config=SamplingConfig(length=2000, temperature=1.0))
            for job in running:
                model.worker.submit(job)
            waiting = asyncio.create_task(text_of(model.worker, short))
            while not any(isinstance(part, MemoryError) for part in failed):
                await asyncio.sleep(0)
            while not (model.worker.running or waiting.done()):  # in the slot of what failed
                await asyncio.sleep(0)
            for job in running:
                model.worker.cancel(job)
            (want,) = model.generator.generate("春", length=2000, temperature=1.0, seed=1)
            assert await asyncio.wait_for(waiting, 10) == want
            assert sum(isinstance(part, MemoryError) for part in failed) == 2

    with_models(work, [trained])


def test_the_engine_goes_on_where_all_that_waited_is_cancelled_meanwhile(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, gone = Worker._gather, []

    def gather(self: Worker) -> None:
        while gone:
            self.cancel(gone.pop())
        real(self)

    monkeypatch.setattr(Worker, "_gather", gather)

    async def work(models: Models) -> None:
        async with models.using(None) as model:
            short = replace(LONG, config=SamplingConfig(length=5, temperature=1.0))
            want = await text_of(model.worker, short)
            gone.append(Job(short, lambda _part: None))
            model.worker.submit(gone[0])
            while gone:
                await asyncio.sleep(0)
            assert await asyncio.wait_for(text_of(model.worker, short), 10) == want

    with_models(work, [trained])


def test_of_the_shipped_runs_that_of_verse_writes_what_has_a_form(trained: Path) -> None:
    shipped = [path for name in SHIPPED if (path := shipped_run(name))]

    async def work(models: Models) -> None:
        assert (models.default, models.default_for_forms) == (STORIES, VERSE)
        async with models.using(None, form=True) as model:
            assert model.name == VERSE
        described = {each["id"]: each["default_for_forms"] for each in await models.describe_all()}
        assert described == {STORIES: False, VERSE: True}

    with_models(work, shipped)
    for paths in ([trained, *shipped], shipped[:1]):

        async def first(models: Models) -> None:
            assert models.default_for_forms == models.default

        with_models(first, paths)


def test_shipped_runs_come_after_those_of_ones_own(run: Path) -> None:
    own = run.parent
    shipped = [shipped_run(name) for name in SHIPPED]
    assert served_runs((), own) == [run, *shipped]
    shutil.copytree(run, own / STORIES)  # a run of one's own that has the name of a shipped one
    assert served_runs((), own)[1:] == [shipped_run(VERSE)]
    assert served_runs((run,), own) == [run]


def test_who_stops_waiting_for_a_run_leaves_it_to_others(trained: Path, tmp_path: Path) -> None:
    paths, read, go = copies(trained, tmp_path, "a", "b"), [], Event()

    def slowly(path: Path) -> Generator:
        read.append(path.name)
        go.wait()
        return load(path)

    async def work(models: Models) -> None:
        async def use(name: str) -> str:
            async with models.using(name) as model:
                return model.name

        models._load = slowly
        first, second = (asyncio.create_task(use("a")) for _ in range(2))
        while not read:
            await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait([first])
        go.set()
        assert await second == "a"
        assert first.cancelled()
        assert await use("b") == "b"
        assert read == ["a", "b"]
        assert not models.is_there("a")
        assert models.is_there("b")

    with_models(work, paths, loaded_runs=1)


def test_a_run_that_nobody_waits_for_any_more_may_be_broken(
    trained: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def work(models: Models) -> None:
        async with models.using(None):
            asked = asyncio.create_task(models.using("b").__aenter__())
            await asyncio.sleep(0)
            asked.cancel()
            while "b" in models._reading:
                await asyncio.sleep(0)

    paths = copies(trained, tmp_path, "a", "b")
    (paths[1] / "model.safetensors").write_bytes(b"")
    with_models(work, paths)
    gc.collect()
    assert not caplog.records


def test_a_run_that_can_not_be_read_takes_no_ones_place(trained: Path, tmp_path: Path) -> None:
    paths = copies(trained, tmp_path, "a", "b")
    (paths[1] / "model.safetensors").write_bytes(b"")

    async def work(models: Models) -> None:
        async with models.using("a"):
            pass
        with pytest.raises(RefusedError, match="damaged"):
            async with models.using("b"):
                pass
        assert models.is_there("a")

    with_models(work, paths, loaded_runs=1)


def test_what_a_run_leaves_is_gone_once_the_next_one_is_read(trained: Path, tmp_path: Path) -> None:
    async def work(models: Models) -> None:
        async with models.using("a") as first:
            left, thread = ref(first.engine), first.worker._thread
        del first
        async with models.using("b"):
            thread.join()
        async with models.using("c"):
            assert left() is None

    gc.disable()
    try:
        with_models(work, copies(trained, tmp_path, "a", "b", "c"), loaded_runs=1)
    finally:
        gc.enable()

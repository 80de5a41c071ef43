"""A batch that is shared: the bytes of one process, whatever is killed."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import sys
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

import chargen
from chargen import BatchProgress
from chargen.corpus.preparing import prepare
from chargen.errors import ChargenWarning, GenerationError
from chargen.generation.batch.asked import BatchOptions
from chargen.generation.batch.run import Batch
from chargen.generation.batch.workers import GIVEN_UP, texts_of
from chargen.generation.generator import engine_of
from chargen.options import CorpusConfig, WorkersConfig
from chargen.workers.messages import Crew
from chargen.workers.pool import Pool
from chargen.workers.processes import Processes
from chargen.workers.ray_cluster import cluster
from tests.processes import start
from tests.support import files_in, the_error
from tests.workers.work import Echoes

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="signals and /proc of POSIX")
OPTIONS = {"length": 12, "batch_size": 8, "seed": 3}


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = random.Random(0)
    lines = [
        {"prompt": rng.choice(["", "春", "夜来"]), "length": rng.randint(1, 30), "id": f"j{n}"}
        for n in range(150)
    ]
    lines[11]["num_samples"] = 3
    path = tmp_path_factory.mktemp("jobs") / "jobs.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return path


@pytest.fixture(scope="module")
def alone(jobs: Path, trained: Path) -> Path:
    """The output of one process."""
    out = jobs.with_name("alone.jsonl")
    chargen.batch(jobs, out, trained, device="cpu", **OPTIONS)
    return out


def pids(mark: str, under: int) -> list[int]:
    """The processes below another one whose command line has ``mark``."""
    parents, marked = {}, []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(entry.name)] = int(
                (entry / "stat").read_text().rsplit(") ", 1)[1].split()[1]
            )
            if mark in (entry / "cmdline").read_text():
                marked.append(int(entry.name))
        except OSError:
            continue
    found = []
    for pid in marked:
        above = pid
        while above > 1 and above != under:
            above = parents.get(above, 0)
        found += [pid] if above == under else []
    return found


@POSIX
def test_killed_workers_and_a_killed_driver_change_nothing(
    jobs: Path, alone: Path, trained: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    flags = ("-n", 12, "--batch-size", 8, "--seed", 3, "--device", "cpu", "--workers", 2)
    with start("batch", jobs, "-o", out, "--checkpoint", trained, *flags, "-q") as driver:
        while not out.exists() or out.stat().st_size < 3000:
            assert driver.poll() is None
            time.sleep(0.01)
        left = pids("spawn_main", driver.pid)
        os.kill(driver.pid, signal.SIGKILL)
    assert 0 < out.stat().st_size < alone.stat().st_size
    killed: list[int] = []

    def kill_one(progress: BatchProgress) -> None:
        if not killed and progress.texts > progress.before:
            killed.append(random.choice(multiprocessing.active_children()).pid or 0)
            os.kill(killed[-1], signal.SIGKILL)

    chargen.batch(
        jobs,
        out,
        trained,
        device="cpu",
        workers=2,
        resume=True,
        on_progress=kill_one,
        **OPTIONS,
    )
    assert killed
    assert out.read_bytes() == alone.read_bytes()
    assert multiprocessing.active_children() == []
    assert [pid for pid in left if _runs(pid)] == []


def _runs(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][:1]
    except OSError:
        return False


@POSIX
def test_an_actor_of_ray_that_is_killed_changes_nothing(
    jobs: Path, alone: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the same cluster, a text is prepared as by one process."""
    pytest.importorskip("ray")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    out, killed = tmp_path / "out.jsonl", []

    def kill_one(progress: BatchProgress) -> None:
        if not killed and progress.texts:
            killed.append(pids("ray::_Actor", os.getpid())[0])
            os.kill(killed[0], signal.SIGKILL)

    ray = WorkersConfig(ray="local", workers=1)
    with ExitStack() as stack:
        with pytest.warns(ChargenWarning, match="RAY_AUTH_TOKEN_PATH"):
            stack.enter_context(cluster("local", 1))
        prepare([jobs], tmp_path / "shared", CorpusConfig(), workers=ray)
        chargen.batch(
            jobs,
            out,
            trained,
            device="cpu",
            ray="local",
            workers=1,
            on_progress=kill_one,
            **OPTIONS,
        )
    assert out.read_bytes() == alone.read_bytes()
    assert killed
    assert not (tmp_path / "home").exists()
    prepare([jobs], tmp_path / "alone", CorpusConfig())
    assert files_in(tmp_path / "shared") == files_in(tmp_path / "alone")


@POSIX
@pytest.mark.parametrize("keep_going", [True, False])
def test_a_job_that_ends_every_worker(trained: Path, tmp_path: Path, keep_going: bool) -> None:
    """It is given up, with an error line while others go on, or with an error that names it.

    Four workers is what it costs, and two more where they had other jobs first.
    """
    jobs, out = tmp_path / "jobs.txt", tmp_path / "out"
    prompts = ["春" * n for n in range(1, 21)]
    jobs.write_text("\n".join(prompts), "utf-8")
    engine = engine_of(chargen.load(trained), slots=4)

    def begin() -> Crew:
        return Processes(2).begin(Echoes(tmp_path, prompts[6]), 1)

    with jobs.open("rb") as file, Pool(begin, {}, size=2, group=4, keep_going=keep_going) as pool:
        options = BatchOptions(keep_going=keep_going)
        batch = Batch(engine, file, str(jobs), out, options, {}, partial(texts_of, pool))
        inventory = batch.inventory()
        if keep_going:
            list(batch.run(inventory, resume=False, force=False))
            list(batch.run(inventory, resume=True, force=False))
            lines = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
            assert lines.pop(6) == {"id": 7, "error": f"{GIVEN_UP}: it got SIGKILL"}
            assert [line["text"] for line in lines] == [*prompts[:6], *prompts[7:]]
        else:
            with pytest.raises(GenerationError, match=r"The job 7 ended every worker .* SIGKILL"):
                list(batch.run(inventory, resume=False, force=False))
    assert 4 <= len(list(tmp_path.glob("mark-*"))) <= 6


def test_an_address_without_a_cluster_is_an_error(jobs: Path, trained: Path, here: Path) -> None:
    pytest.importorskip("ray")
    asked = ("batch", jobs, "-o", "out", "--checkpoint", trained)
    error = the_error(*asked, "--ray", "127.0.0.1:1")
    assert "No cluster of Ray answers at 127.0.0.1:1" in error


def test_shards_are_merged_into_the_file_of_one_process(
    jobs: Path, alone: Path, trained: Path, here: Path
) -> None:
    for number in (1, 2, 3):
        shard = f"{number}/3"
        chargen.batch(jobs, f"out.{number}", trained, device="cpu", shard=shard, **OPTIONS)
    there = sorted(Path().glob("out.*"))
    assert chargen.merge(there, "out") == 152
    assert Path("out").read_bytes() == alone.read_bytes()
    whole = alone.with_name(f"{alone.name}.run.json").read_text("utf-8")
    assert Path("out.run.json").read_text("utf-8") == whole
    refused = (
        (("out.1", "out.3"), "Shard 2 is missing: the batch has 3, and 2 were given"),
        (("out.3",), "Shards 1, 2 are missing"),
        (("out.1", "out.2", "out.3", "out.2"), "Shard 2 of 3 is there twice"),
        (("out.1", jobs), "is not the output of a shard"),
        (("out.1", "out.2", "out.3"), "Shard 2 of 3, out.2, is not as the batch wrote it"),
        (("out.1", "out.2", "out.3"), "Shard 2 of 3, out.2, is unfinished: it has 0 of 50 lines"),
    )
    for outputs, message in refused:
        if "as the batch wrote" in message:
            Path("out.2").write_bytes(Path("out.2").read_bytes().replace(b'"j4"', b'"j5"'))
        if "unfinished" in message:
            values = json.loads(Path("out.2.run.json").read_text("utf-8"))
            del values["written"]
            Path("out.2.run.json").write_text(json.dumps(values), "utf-8")
        assert message in the_error("merge", *outputs, "-o", "other")
    assert not list(Path().glob("other*"))

"""One run trained by several processes: the same run, whatever becomes of them."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
import torch
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, Std
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

import chargen
from chargen.cli import main
from chargen.errors import ConfigError, CorpusError, OtherFailedError, TrainingError
from chargen.machine import meeting
from chargen.machine.group import Group, team_of
from chargen.machine.launch import Launch
from chargen.runs.folder import RunFolder
from chargen.training import loop, session
from chargen.training.computing import gradients_sent_as
from chargen.training.plan import TrainRequest
from chargen.training.together import corpus_here
from tests.support import LEARNABLE, last_state, train_tiny

pytestmark = pytest.mark.skipif(os.name == "nt", reason="torch has no gloo for several processes")

processes = multiprocessing.get_context("spawn" if os.name == "nt" else "forkserver")
processes.set_forkserver_preload(
    ["torch._dynamo", "chargen.cli.train", "chargen.training.recording", __name__]
)
Jobs = list[tuple[int, Callable[[int], Any]]]
OPTIONS = {
    **{"dropout": 0.2, "ngram": "3", "max_steps": 12, "eval_every": 5, "threads": 1},
    "precision": "float32",  # in bfloat16 other sums are far apart
}


def work(rank: int, size: int, jobs: Jobs, results: Queue[Any]) -> None:
    """Do some jobs as one process of several, and report what each returns or raises."""
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(size), "LOCAL_RANK": str(rank)}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "OMP_NUM_THREADS": "1"}
    os.environ |= {"LOCAL_WORLD_SIZE": str(size)}
    found: list[Any] = []
    for port, job in jobs:
        os.environ["MASTER_PORT"] = str(port)
        try:
            found.append(job(rank))
        except chargen.ChargenError as error:
            found.append((type(error).__name__, error.message, error.rank))
    results.put((rank, found))


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def together(size: int, *jobs: Callable[[int], Any]) -> list[list[Any]]:
    """What each of some processes returns or raises in each of some jobs, by rank."""
    results = processes.Queue()
    given = [(free_port(), job) for job in jobs]
    started = [processes.Process(target=work, args=(n, size, given, results)) for n in range(size)]
    for each in started:
        each.start()
    try:
        by_rank = [found for _, found in sorted(results.get(timeout=120) for _ in started)]
        return [list(each) for each in zip(*by_rank, strict=True)]
    finally:
        for each in started:
            each.join(timeout=20)
            each.kill()


class Job:
    """A tiny run; ``how`` says what one of the processes does on the way."""

    def __init__(self, corpus: Path, out: Path, how: str = "", **options: Any) -> None:
        self.arguments, self.how = (corpus, out), how
        self.options = {**OPTIONS, **options}

    def __call__(self, rank: int) -> Any:
        if rank == 1:
            Unruly.how, Unruly.stops = self.how, False
            loop.Session = Unruly  # type: ignore[misc]
        run = train_tiny(*self.arguments, stop=lambda: Unruly.stops, **self.options)
        return run.reason, run.steps, run.bits_per_char, run.path.absolute()


class Unruly(session.Session):
    """A session that stops, fails, or has a loss that is not finite, once."""

    how, stops = "", False

    def next_lesson(self) -> Any:
        if Unruly.how and self.state.step == 6:
            how, Unruly.how = Unruly.how, ""
            Unruly.stops = how == "stops"
            if how == "dies":
                os.kill(os.getpid(), signal.SIGKILL)
            if how == "fails":
                raise TrainingError("It is too much.")
            if how == "spoils":
                with torch.no_grad():
                    self.state.model.table.fill_(float("inf"))
        return super().next_lesson()


def tensors(run: Path) -> dict[str, torch.Tensor]:
    saved = RunFolder(run).load_last()
    assert saved is not None
    return {name: tensor.clone() for name, tensor in saved[0].items()}


def close(one: Path, other: Path) -> None:
    """The same lanes, masks and states; weights equal up to rounding."""
    torch.testing.assert_close(tensors(one), tensors(other), rtol=1e-3, atol=1e-4)
    assert torch.equal(tensors(one)["generator"], tensors(other)["generator"])


@pytest.fixture(scope="module")
def changing(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Any]]:
    """Runs of two processes: whole, stopped and resumed, begun and ended by one."""
    out = tmp_path_factory.mktemp("changing")
    train_tiny(corpus, out / "x", stop=iter([False] * 3 + [True]).__next__, **OPTIONS)
    told = together(
        2,
        Job(corpus, out / "2"),
        Job(corpus, out / "s", "stops"),
        Job(corpus, out / "s", resume=True),
        Job(corpus, out / "x", "stops", resume=True),
    )
    train_tiny(corpus, out / "x", resume=True, **OPTIONS)
    return out, told


def test_the_run_is_that_of_one_process_however_often_their_number_changes(
    corpus: Path, changing: tuple[Path, list[Any]], tmp_path: Path
) -> None:
    out, (whole, stopped, again, _) = changing
    train_tiny(corpus, tmp_path, **OPTIONS)
    assert whole[0] == whole[1]
    assert whole[0][:2] == ("done", 12)
    assert whole[0][3] == out / "2" / "run"
    close(tmp_path / "run", out / "2" / "run")
    assert [result[:2] for result in stopped] == [("interrupted", 7)] * 2
    assert [result[:3] for result in again] == [result[:3] for result in whole]
    assert last_state(out / "s" / "run") == last_state(out / "2" / "run")
    lines = [(out / each / "run" / "metrics.jsonl").read_text() for each in "2s"]
    scores = [re.findall(r'"evaluation".*?bits_per_char": ([0-9.]+)', each) for each in lines]
    assert scores[0] == scores[1]
    assert len(scores[0]) == 3  # one process writes
    close(tmp_path / "run", out / "x" / "run")


def test_all_processes_go_back_end_and_stop_together(corpus: Path, tmp_path: Path) -> None:
    impatient = {"patience": 1, "lr": 3.0, "eval_every": 1, "max_steps": 100, "grad_clip": 0}
    back, early, by_clock = together(
        2,
        Job(corpus, tmp_path / "b", "spoils"),
        Job(corpus, tmp_path / "p", **impatient),
        Job(corpus, tmp_path / "c", max_steps=None, max_minutes=0.015),
    )
    assert back[0] == back[1]
    saved = RunFolder(tmp_path / "b" / "run").load_last()
    assert saved is not None
    assert (saved[1]["rollbacks"], saved[1]["step"]) == (1, 12)
    assert early[0] == early[1]
    assert early[0][0] == "patience"
    assert by_clock[0] == by_clock[1]
    assert RunFolder(tmp_path / "c" / "run").read_config().total_steps is not None


def records(task: str, folder: Path) -> tuple[Path, dict[str, Any]]:
    """Sixty records for a task, and options under which some batches have a single one."""
    sides = [("春夏秋冬"[n % 4] * (n % 5 + 1), "冬秋夏春"[n % 4]) for n in range(60)]
    settings: dict[str, Any] = {"records": "pairs" if task == "seq2seq" else "lines"}
    lines = [text + answer for text, answer in sides]
    if task == "seq2seq":
        lines = ["src\ttrg", *(f"{text}\t{answer * len(text)}" for text, answer in sides)]
    elif task != "infill":
        lines = ["text\tkind", *(f"{text}\t{answer}" for text, answer in sides)]
        settings = {"label_key": ["kind"]}
    path = folder / f"{task}.tsv"
    path.write_text("\n".join(lines), encoding="utf-8")
    options = {"task": task, "ngram": "0" if task == "infill" else "2", "max_steps": 6}
    options |= {"batch_size": 2, "seq_length": 9 if task == "seq2seq" else 5}
    return chargen.prepare(path, folder / task, **settings).path, options


def test_records_are_shared_out(tmp_path: Path) -> None:
    given = {task: records(task, tmp_path) for task in ("seq2seq", "classify", "infill", "lm")}
    jobs = [
        Job(corpus, tmp_path / "2" / task, **options) for task, (corpus, options) in given.items()
    ]
    together(2, *jobs)
    for task, (corpus, options) in given.items():
        train_tiny(corpus, tmp_path / "1" / task, **{**OPTIONS, **options})
        close(tmp_path / "1" / task / "run", tmp_path / "2" / task / "run")


def test_one_process_says_what_is_wrong(corpus: Path, tmp_path: Path) -> None:
    failed, odd = together(
        2, Job(corpus, tmp_path, "fails"), Job(corpus, tmp_path / "odd", batch_size=5)
    )
    assert failed[1] == ("TrainingError", "It is too much.", 1)
    assert failed[0][0] == OtherFailedError.__name__
    assert odd[0][0] == "ConfigError"
    assert "2 processes can't have equal shares" in odd[0][1]
    assert odd[1][0] == OtherFailedError.__name__
    assert not (tmp_path / "odd").exists()


def test_processes_that_would_differ_are_refused() -> None:
    here = {"chargen": "1", "torch": "2", "cpu": "AVX2"}
    meeting.require_same([here, here])
    for name, words in (("torch", "torch is 2 on rank 0 and 0 on rank 1"), ("chargen", "is 1")):
        with pytest.raises(TrainingError, match=words):
            meeting.require_same([here, {**here, name: "0"}])


def test_a_meeting_is_not_disturbed_by_what_an_earlier_one_left() -> None:
    """Machines that are started again find the launcher's store as it was."""
    store = torch.distributed.TCPStore("127.0.0.1", 0, is_master=True)  # type: ignore[attr-defined]
    ranks = [Launch(n, 2, n, 2, "127.0.0.1", store.port, hosted=True) for n in range(2)]
    with ThreadPoolExecutor(2) as threads:
        for _ in range(2):
            follower = threads.submit(meeting.meet, ranks[1])  # it is there before the leading one
            time.sleep(0.2)
            leader = meeting.meet(ranks[0])
            assert leader.add("failed", 1) == 1
            assert follower.result(timeout=5).add("failed", 1) == 2
    with pytest.raises(OtherFailedError):
        meeting.meet(ranks[1], lambda: True)


def test_an_address_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meeting, "CONNECT_SECONDS", 0.2)
    launch = Launch(rank=1, size=2, address="127.0.0.1", port=free_port())
    with pytest.raises(TrainingError, match="doesn't answer"), team_of(launch):
        pass


class Command:
    """``chargen train`` as a worker of torchrun; one is killed at a step, once."""

    def __init__(self, corpus: Path, out: Path, **options: Any) -> None:
        flags = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        named = ["--name=run", f"--runs={out}", "--preset=tiny", "--device=cpu", "--resume"]
        self.argv, self.once = ["chargen", "train", str(corpus), *named, *flags], out / "killed"

    def __call__(self) -> None:
        if os.environ["RANK"] == "1":
            Unruly.how = "" if self.once.exists() else "dies"
            loop.Session = Unruly  # type: ignore[misc]
            self.once.parent.mkdir(exist_ok=True)
            self.once.touch()
        sys.argv = self.argv
        try:
            main()
        except SystemExit as end:
            if end.code:
                raise RuntimeError(f"status {end.code}") from end


def torchrun(command: Command, logs: Path) -> None:
    """What torchrun does after it has read its command line, in a process of its own."""
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=2,
        run_id="it",
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        start_method="fork",  # this process has imported everything, and has no threads
        max_restarts=1,
        monitor_interval=0.05,
        logs_specs=DefaultLogsSpecs(str(logs), redirects=Std.ALL),
    )
    elastic_launch(config, Command.__call__)(command)


def test_torchrun_starts_again_after_a_kill_and_the_run_is_the_unbroken_one(
    corpus: Path, changing: tuple[Path, list[Any]], tmp_path: Path
) -> None:
    logs = tmp_path / "logs"
    command = Command(corpus, tmp_path / "killed", save_every=5, **OPTIONS)
    started = processes.Process(target=torchrun, args=(command, logs))
    started.start()
    started.join(timeout=120)
    said = {
        n: [(each / "stderr.log").read_text() for each in sorted(logs.glob(f"*/attempt_{n}/?"))]
        for n in (0, 1)
    }
    assert started.exitcode == 0, said
    assert "error: rank 0: The connection to another process was lost" in said[0][0]
    assert said[0][1] == said[1][1] == ""
    assert "Continuing at step 5" in said[1][0]
    assert said[1][0].count("12/12") == 1
    assert last_state(tmp_path / "killed" / "run") == last_state(changing[0] / "2" / "run")


class OnOneGPU(Job):
    """A job whose processes share a GPU, which NCCL takes for those of two machines."""

    def __call__(self, rank: int) -> Any:
        os.environ |= {"LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1", "NCCL_HOSTID": str(rank)}
        os.environ |= {"NCCL_SOCKET_IFNAME": "lo", "NCCL_IB_DISABLE": "1"}
        return super().__call__(rank)


@pytest.mark.cuda
def test_gradients_travel_by_nccl(corpus: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"device": "cuda", "precision": "float32"}
    whole, rounded, stopped, again = together(
        2,
        OnOneGPU(corpus, tmp_path / "2", **options),
        OnOneGPU(corpus, tmp_path / "b", **{**options, "precision": "bfloat16"}),
        OnOneGPU(corpus, tmp_path / "s", "stops", **options),
        OnOneGPU(corpus, tmp_path / "s", resume=True, **options),
    )
    assert whole[0] == whole[1]
    assert whole[0][:2] == rounded[0][:2] == ("done", 12)
    assert [result[:2] for result in stopped] == [("interrupted", 7)] * 2
    assert again[0][:3] == whole[0][:3]
    assert last_state(tmp_path / "s" / "run") == last_state(tmp_path / "2" / "run")
    train_tiny(corpus, tmp_path / "1", **{**OPTIONS, **options})
    close(tmp_path / "1" / "run", tmp_path / "2" / "run")


def test_a_process_that_cannot_see_the_corpus_makes_its_own_or_says_so(
    corpus: Path, trained: Path, tmp_path: Path
) -> None:
    config = RunFolder(trained).read_config()
    gone, other = tmp_path / "gone", tmp_path / "other.txt"
    other.write_text(LEARNABLE[::-1], encoding="utf-8")
    assert corpus_here(gone, config, TrainRequest(corpus, tmp_path)).path == corpus
    with pytest.raises(CorpusError, match="isn't seen here"):
        corpus_here(gone, config, TrainRequest(tmp_path / "missing.txt", tmp_path))
    with pytest.raises(CorpusError, match="is not that of the leading process"):
        corpus_here(
            chargen.prepare(other, tmp_path / "o").path, config, TrainRequest(None, tmp_path)
        )


def test_gradients_are_rounded_between_gpus_alone() -> None:
    found = [
        gradients_sent_as(precision, torch.device(device))
        for precision in ("float32", "bfloat16")
        for device in ("cpu", "cuda")
    ]
    assert found == [torch.float32] * 3 + [torch.bfloat16]


def test_a_missing_backend_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    launch = Launch(rank=0, size=2, local_size=2)
    with pytest.raises(ConfigError, match="on mps"):
        Group(launch).require(torch.device("mps"))
    monkeypatch.setattr(torch.distributed, "is_gloo_available", lambda: False)
    with pytest.raises(ConfigError, match="no gloo backend"), team_of(launch):
        pass

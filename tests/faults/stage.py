"""The files that commands are tried on: a tiny run, its corpus, jobs, and what is right of them."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.server import Command, Outcome, Server

TEXT = "春眠不觉晓，处处闻啼鸟。\n夜来风雨声，花落知多少。\n" * 60
STEPS = 6
TRAIN = ("--preset", "tiny", "--ngram", "3", "--threads", "1", "--device", "cpu", "--quiet")
SAMPLE = ("sample", "run", "-n", "20", "--seed", "1", "--quiet", "--device", "cpu")
BEGIN = ("train", "text.txt", "--name", "new", "--max-steps", "2", *TRAIN)
BATCH = ("--checkpoint", "run", "-n", "9", "--seed", "1", "--quiet", "--device", "cpu")


@dataclass
class Stage:
    """A folder with ``text.txt``, ``jobs.jsonl``, ``corpora/`` and a run in ``checkpoints/run``.

    Attributes:
        path: the folder, which stays as it is.
        sampled: what ``SAMPLE`` writes there.
        evaluated: likewise, of ``eval run text.txt --json``.
        resumed: the files of the run's last checkpoint after two more steps.
        begun: the files of a new run's checkpoint after two steps.
        outputs: what ``batch`` with some more options has written, and the file beside it.
    """

    path: Path
    server: Server
    sampled: str = ""
    evaluated: str = ""
    resumed: dict[str, bytes] | None = None
    begun: dict[str, bytes] | None = None
    outputs: dict[tuple[str, ...], tuple[bytes, bytes]] = field(default_factory=dict)

    @classmethod
    def made(cls, path: Path, server: Server) -> Stage:
        path.mkdir(parents=True)
        (path / "text.txt").write_text(TEXT, "utf-8")
        jobs = [{"prompt": "春"}, {"id": "x", "prompt": "夜", "num_samples": 3}, {"prompt": ""}]
        jobs += [{"prompt": "", "length": n, "seed": n, "top_k": 5} for n in range(1, 6)]
        lines = [json.dumps(each, ensure_ascii=False) + "\n" for each in jobs]
        (path / "jobs.jsonl").write_text("".join(lines), "utf-8")
        stage = cls(path, server)
        stage.call("train", "text.txt", "--name", "run", "--max-steps", str(STEPS), *TRAIN)
        stage.sampled = stage.call(*SAMPLE).out
        stage.evaluated = stage.call("eval", "run", "text.txt", "--json", "-q").out
        copy = stage.copy(path.with_name("resumed"))
        stage.call(*resume(), cwd=copy)
        stage.resumed = checkpoint(copy / "checkpoints" / "run")
        stage.call(*BEGIN, cwd=copy)
        stage.begun = checkpoint(copy / "checkpoints" / "new")
        shutil.rmtree(copy)
        return stage

    def call(self, *arguments: str, cwd: Path | None = None) -> Outcome:
        """Run a command that must succeed."""
        (outcome,) = self.server.run(Command(arguments, str(cwd or self.path)), seconds=60)
        assert outcome.status == 0, outcome
        return outcome

    def copy(self, to: Path) -> Path:
        return Path(shutil.copytree(self.path, to, symlinks=True))


def resume(steps: int = STEPS + 2) -> tuple[str, ...]:
    return ("train", "--resume", "--name", "run", "--max-steps", str(steps), "--quiet")


def checkpoint(run: Path) -> dict[str, bytes]:
    """The tensors of the newest resumable checkpoint, as they stand in its file."""
    steps = sorted((run / "last").iterdir(), key=lambda path: int(path.name))
    return {"step": steps[-1].name.encode(), "t": (steps[-1] / "state.safetensors").read_bytes()}

from __future__ import annotations

import io
import json
import os
import random
import stat
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from chargen.corpus.tokenizer import Tokenizer
from chargen.errors import ConfigError, GenerationError
from chargen.generation import asking, slot_text
from chargen.generation.batch.asked import BatchOptions, BatchProgress
from chargen.generation.batch.jobs import Defaults, Job
from chargen.generation.batch.lines import MOST_WAITING
from chargen.generation.batch.output import check_output
from chargen.generation.batch.run import Batch
from chargen.generation.engine import Engine
from chargen.generation.seeds import sample_seed, text_seeds
from chargen.network.model import CharModel
from chargen.options import SamplingConfig
from tests.generation.batch.cases import SHORT, parse
from tests.generation.conftest import make_model


@pytest.fixture
def engine(model: CharModel, tokenizer: Tokenizer) -> Engine:
    return Engine(model, tokenizer, slots=5)


def jobs_text(count: int) -> str:
    rng = random.Random(0)
    lines: list[dict[str, Any]] = [
        {"prompt": rng.choice(["", "春", "春江"]), "length": rng.randint(1, 40)}
        for _ in range(count)
    ]
    lines[3] = {"prompt": "春", "form": {"name": "wujue", "acrostic": "春江"}}
    lines[7]["num_samples"] = 4
    return "".join(json.dumps(line) + "\n" for line in lines)


def run(
    engine: Engine,
    jobs: str,
    out: Path,
    options: BatchOptions | None = None,
    *,
    resume: bool = False,
    force: bool = False,
    stop_after: int | None = None,
    most_waiting: int = MOST_WAITING,
    **identity: str,
) -> list[dict[str, Any]]:
    options = options or BatchOptions(SHORT)
    file = io.BytesIO(jobs.encode())
    work = Batch(engine, file, "-", out, options, identity, most_waiting=most_waiting)
    for progress in work.run(work.inventory(), resume=resume, force=force):
        if progress.texts == stop_after:
            break
    return [json.loads(line) for line in out.read_text("utf-8").splitlines()]


def test_all_bad_lines_are_told_at_once_before_anything_is_written(
    engine: Engine, tmp_path: Path
) -> None:
    jobs = '{"prompt": 1}\n{"prompt": ""}\n{"prompt": "", "id": 2}\nnonsense\n'
    with pytest.raises(GenerationError) as error:
        run(engine, jobs, tmp_path / "out")
    for part in (
        "3 lines are",
        "line 1, prompt",
        "id: 2 is already the id of line 2",
        "line 4, invalid",
    ):
        assert part in error.value.message
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ordered", [True, False])
def test_bad_lines_become_lines_with_errors(engine: Engine, tmp_path: Path, ordered: bool) -> None:
    jobs = '{"prompt": 1}\n{"prompt": ""}\n{"prompt": "", "id": 2}\n{"id": "d"}\n'
    options = BatchOptions(SHORT, ordered=ordered, keep_going=True)
    whole = run(engine, jobs, tmp_path / "out", options)
    assert [line["id"] for line in whole if "error" in line] == [1, 2, "d"]
    assert sum("text" in line for line in whole) == 1
    for stop in range(5):
        run(engine, jobs, tmp_path / "part", options, force=True, stop_after=stop)
        again = run(engine, jobs, tmp_path / "part", options, resume=True)
        assert again == whole


@pytest.mark.parametrize("ordered", [True, False])
def test_a_poem_that_keeps_its_rules_in_no_draft_becomes_a_line_with_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ordered: bool
) -> None:
    monkeypatch.setattr(slot_text, "_MOST_DRAFTS", 3)
    few = Tokenizer.train(Counter("，。\n春山江花天云月"), 99, "unk")
    engine = Engine(make_model(few), few, slots=2)
    poem = {
        "name": "wulv",
        "tones": "strict",
    }  # one oblique character, but parallel verses need two
    jobs = [
        {"prompt": ""},
        {"prompt": "", "form": poem, "seed": 3},
        {"prompt": "春", "num_samples": 2},
    ]
    text = "".join(json.dumps(job) + "\n" for job in jobs)
    with pytest.raises(GenerationError, match="in none of 3 drafts"):
        run(engine, text, tmp_path / "out", BatchOptions(SHORT, ordered=ordered))
    options = BatchOptions(SHORT, ordered=ordered, keep_going=True)
    whole = run(engine, text, tmp_path / "out", options, force=True)
    assert [line["id"] for line in whole if "text" in line] == [1, 3, 3]
    (failed,) = (line for line in whole if "error" in line)
    assert failed == {
        "id": 2,
        "error": "The poem with the seed 3 kept its rules in none of 3 drafts.",
    }
    for stop in range(4):
        run(engine, text, tmp_path / "part", options, force=True, stop_after=stop)
        again = run(engine, text, tmp_path / "part", options, resume=True)
        assert sorted(again, key=str) == sorted(whole, key=str)
    lines = (tmp_path / "part").read_text("utf-8")
    (tmp_path / "part").write_text(lines.replace('"id": 2, "error"', '"id": 4, "error"'), "utf-8")
    with pytest.raises(GenerationError, match="can't be resumed"):
        run(engine, text, tmp_path / "part", options, resume=True)


def test_an_id_that_no_file_can_hold_does_not_end_the_batch(engine: Engine, tmp_path: Path) -> None:
    jobs = r'{"id": "\ud800", "prompt": 5}' + '\n{"prompt": ""}\n'
    bad, good = run(engine, jobs, tmp_path / "out", BatchOptions(SHORT, keep_going=True))
    assert bad["id"] == 1
    assert "id: contains a lone surrogate" in bad["error"]
    assert "prompt: " in bad["error"]
    assert good["characters"] == 6


def test_samples_are_made_one_at_a_time(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def counted(seed: int, count: int) -> Iterator[int]:
        for each in text_seeds(seed, count):
            made.append(each)
            yield each

    monkeypatch.setattr(asking, "text_seeds", counted)
    text = '{"prompt": "", "seed": 4, "num_samples": 1000000}\n'
    work = Batch(engine, io.BytesIO(text.encode()), "-", tmp_path / "out", BatchOptions(SHORT), {})
    assert work.inventory().lines == 1000000
    assert len(made) <= 1
    (job,) = parse(text)
    assert isinstance(job, Job)
    first, second = islice(job.requests(), 2)
    assert (first.seed, second.seed) == (sample_seed(4, 0), sample_seed(4, 1))
    assert len(made) <= 4


def test_lines_come_in_the_order_of_the_jobs(engine: Engine, tmp_path: Path) -> None:
    lines = run(engine, jobs_text(30), tmp_path / "out")
    assert [line["id"] for line in lines] == sorted(line["id"] for line in lines)
    assert [line.get("sample") for line in lines if line["id"] == 8] == [0, 1, 2, 3]
    assert lines[3]["finish_reason"] == "form"
    assert all(line["characters"] == len(line["text"]) for line in lines)


def test_unordered_lines_are_the_same_lines(engine: Engine, tmp_path: Path) -> None:
    ordered = run(engine, jobs_text(30), tmp_path / "a")
    free = run(engine, jobs_text(30), tmp_path / "b", BatchOptions(SHORT, ordered=False))
    assert free != ordered
    assert sorted(free, key=json.dumps) == sorted(ordered, key=json.dumps)


@pytest.mark.parametrize("ordered", [True, False])
def test_an_output_cut_anywhere_is_completed_exactly(
    engine: Engine, tmp_path: Path, ordered: bool
) -> None:
    out, options = tmp_path / "out", BatchOptions(SHORT, ordered=ordered)
    run(engine, jobs_text(24), out, options)
    whole = out.read_bytes()
    rng = random.Random(2)
    for cut in [0, 1, len(whole) - 1, len(whole), *rng.sample(range(len(whole)), 12)]:
        out.write_bytes(whole[:cut])
        run(engine, jobs_text(24), out, options, resume=True)
        got = out.read_bytes()
        if ordered:
            assert got == whole
        assert sorted(got.splitlines()) == sorted(whole.splitlines())


def test_few_lines_wait_for_a_slow_one(engine: Engine, tmp_path: Path) -> None:
    bad = '{"prompt": 0}\n'
    jobs = bad * 9 + '{"prompt": "", "length": 60}\n' + jobs_text(12) + bad * 9
    options = BatchOptions(SHORT, keep_going=True)
    lines = run(engine, jobs, tmp_path / "out", options, most_waiting=4)
    assert [line["id"] for line in lines if "sample" not in line] == [
        n for n in range(1, 32) if n != 18
    ]


def test_resume_starts_what_was_not_begun(engine: Engine, tmp_path: Path) -> None:
    assert len(run(engine, jobs_text(9), tmp_path / "out", resume=True)) == 12


def test_an_existing_output_is_kept_without_force(engine: Engine, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_text("precious")
    with pytest.raises(GenerationError, match="exists already"):
        run(engine, jobs_text(9), out)
    with pytest.raises(GenerationError, match="missing or damaged"):
        run(engine, jobs_text(9), out, resume=True)
    assert out.read_text() == "precious"
    assert len(run(engine, jobs_text(9), out, force=True)) == 12


def test_a_resume_names_what_has_changed(engine: Engine, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(engine, jobs_text(9), out, weights="a")
    before = out.read_bytes()
    hotter = BatchOptions(Defaults(SamplingConfig(length=6, temperature=1.5)))
    for changed, what in (
        (lambda: run(engine, jobs_text(10), out, resume=True, weights="a"), "jobs_sha256"),
        (lambda: run(engine, jobs_text(9), out, resume=True, weights="b"), "weights"),
        (lambda: run(engine, jobs_text(9), out, hotter, resume=True, weights="a"), "temperature"),
    ):
        with pytest.raises(GenerationError, match=f"{what} changed"):
            changed()
    assert out.read_bytes() == before


def test_two_runs_do_not_write_one_output(engine: Engine, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with (
        FileLock(tmp_path / "out.run.json.lock"),
        pytest.raises(GenerationError, match="another process"),
    ):
        run(engine, jobs_text(9), out)


posix = pytest.mark.skipif(os.name == "nt", reason="links, pipes and devices of POSIX")


@posix
def test_an_output_that_is_a_link_is_followed(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    target, link = tmp_path / "deep/target", tmp_path / "link"
    link.symlink_to("deep/target")
    whole = run(engine, jobs_text(9), link)  # which leads nowhere yet
    assert run(engine, jobs_text(9), target, force=True, stop_after=4) == whole[:4]
    assert run(engine, jobs_text(9), link, resume=True) == whole
    with pytest.raises(GenerationError, match="exists already"):
        run(engine, jobs_text(9), link)
    assert run(engine, jobs_text(9), link, force=True) == whole
    assert link.is_symlink()
    assert sorted(path.name for path in tmp_path.rglob("*")) == [
        "deep",
        "link",
        "target",
        "target.run.json",
    ]


@posix
@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("ordered", [False, True])
def test_a_pipe_gets_its_lines_in_place(
    engine: Engine, tmp_path: Path, ordered: bool, force: bool
) -> None:
    options = BatchOptions(SHORT, ordered=ordered)
    whole = run(engine, jobs_text(9), tmp_path / "whole", options)
    folder = tmp_path / "in place"
    folder.mkdir()
    os.mkfifo(folder / "pipe")
    text = io.BytesIO(jobs_text(9).encode())
    with ThreadPoolExecutor() as pool:
        read = pool.submit((folder / "pipe").read_bytes)
        work = Batch(engine, text, "-", folder / "pipe", options, {})
        for _ in work.run(work.inventory(), resume=False, force=force):
            pass
        assert [json.loads(line) for line in read.result(20).splitlines()] == whole
    assert [path.name for path in folder.iterdir()] == ["pipe"]
    with pytest.raises(ConfigError, match="not a file that can be resumed"):
        run(engine, jobs_text(9), folder / "pipe", resume=True)


@posix
def test_a_device_stays_a_device(engine: Engine) -> None:
    null = Path(os.devnull)
    before = null.lstat()
    assert run(engine, jobs_text(9), null, force=True) == []
    after = null.lstat()
    assert stat.S_ISCHR(after.st_mode)
    assert after.st_ino == before.st_ino
    assert not list(null.parent.glob("null.*"))


def test_outputs_that_can_not_be_are_errors(tmp_path: Path) -> None:
    jobs = tmp_path / "jobs.jsonl"
    jobs.write_text("{}")
    for out, problem in (
        (tmp_path / "." / "jobs.jsonl", "job file itself"),
        (tmp_path, "is a folder"),
        (tmp_path / "no" / "out", "no folder"),
    ):
        with pytest.raises(GenerationError, match=problem):
            check_output(str(jobs), out, resume=False, force=True)


def test_no_jobs_are_an_error(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(GenerationError, match="no jobs"):
        run(engine, "\n\n", tmp_path / "out")


def test_progress_counts_what_an_earlier_run_wrote(engine: Engine, tmp_path: Path) -> None:
    run(engine, jobs_text(9), tmp_path / "out", stop_after=5)
    work = Batch(
        engine,
        io.BytesIO(jobs_text(9).encode()),
        "-",
        tmp_path / "out",
        BatchOptions(SHORT),
        {},
    )
    told = list(work.run(work.inventory(), resume=True, force=False))
    assert told[0] == BatchProgress(5, 12, 5, 0, 0)
    assert told[-1].texts == 12


@pytest.mark.parametrize("ordered", [True, False])
def test_progress_counts_the_errors_of_the_whole_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ordered: bool
) -> None:
    """Those of jobs and of poems that fail, written by this run or an earlier one."""
    monkeypatch.setattr(slot_text, "_MOST_DRAFTS", 1)
    few = Tokenizer.train(Counter("，。\n春山江花天云月"), 99, "unk")
    engine = Engine(make_model(few), few, slots=2)
    poem = {"prompt": "", "form": {"name": "wulv", "tones": "strict"}}
    jobs = "".join(json.dumps(job) + "\n" for job in ({"prompt": ""}, poem, {"prompt": 1}, poem))
    out, options = tmp_path / "out", BatchOptions(SHORT, ordered=ordered, keep_going=True)
    for stop in range(5):
        lines = run(engine, jobs, out, options, force=True, stop_after=stop)
        errors = sum("error" in line for line in lines)
        work = Batch(engine, io.BytesIO(jobs.encode()), "-", out, options, {})
        told = list(work.run(work.inventory(), resume=True, force=False))
        assert (told[0].errors, told[-1].errors) == (errors, 3)


def test_the_best_of_several_is_one_line_that_can_be_resumed(
    engine: Engine, tmp_path: Path
) -> None:
    jobs = '{"id": "a", "prompt": "春", "best_of": 4}\n{"prompt": "夜", "num_samples": 2}\n'
    whole = run(engine, jobs, tmp_path / "whole")
    assert [(line["id"], line.get("sample")) for line in whole] == [("a", None), (2, 0), (2, 1)]
    assert whole[0]["seed"] in text_seeds(sample_seed(0, "a"), 4)
    assert "bits_per_char" not in whole[0]
    again = f'{{"id": "a", "prompt": "春", "seed": {whole[0]["seed"]}}}\n'
    assert run(engine, again, tmp_path / "again")[0]["text"] == whole[0]["text"]
    for ordered in (True, False):
        out, options = tmp_path / str(ordered), BatchOptions(SHORT, ordered=ordered)
        run(engine, jobs, out, options, stop_after=1)
        found = run(engine, jobs, out, options, resume=True)
        assert sorted(map(str, found)) == sorted(map(str, whole))


def test_a_line_may_have_its_prompt(engine: Engine, tmp_path: Path) -> None:
    jobs, options = '{"prompt": "春"}\n{"prompt": ""}\n', BatchOptions(SHORT, with_prompt=True)
    plain = run(engine, jobs, tmp_path / "plain")
    whole = run(engine, jobs, tmp_path / "whole", options)
    assert [line["prompt"] for line in whole] == ["春", ""]
    assert [{k: v for k, v in line.items() if k != "prompt"} for line in whole] == plain
    out = tmp_path / "out"
    run(engine, jobs, out, options, stop_after=1)
    assert run(engine, jobs, out, options, resume=True) == whole
    out.write_text(out.read_text("utf-8").replace("春", "夜", 1), "utf-8")
    with pytest.raises(GenerationError, match="line 1"):
        run(engine, jobs, out, options, resume=True)

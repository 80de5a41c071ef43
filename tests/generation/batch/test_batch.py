from __future__ import annotations

import errno
import io
import json
import os
import random
import stat
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from chargen.corpus.tokenizer import Tokenizer
from chargen.errors import GenerationError
from chargen.generation.batch import jobs as jobs_module
from chargen.generation.batch import lines as lines_module
from chargen.generation.batch.fields import read_form
from chargen.generation.batch.jobs import BadLine, Defaults, Job, is_json, open_jobs, read_jobs
from chargen.generation.batch.output import check_output
from chargen.generation.batch.run import Batch, BatchOptions, BatchProgress
from chargen.generation.engine import Engine
from chargen.generation.poems.forms import Form
from chargen.generation.requests import Request
from chargen.generation.sampler import sample_seed
from chargen.network.model import CharModel
from chargen.options import SamplingConfig

SHORT = Defaults(SamplingConfig(length=6, temperature=1.0))


@pytest.fixture
def engine(model: CharModel, tokenizer: Tokenizer) -> Engine:
    return Engine(model, tokenizer, slots=5)


def parse(text: str, *, as_json: bool = True, defaults: Defaults = SHORT) -> list[Job | BadLine]:
    file = io.BytesIO(text.encode())
    return list(read_jobs(file, as_json=as_json, defaults=defaults, check=lambda request: None))


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
    **identity: str,
) -> list[dict[str, Any]]:
    work = Batch(
        engine, io.BytesIO(jobs.encode()), "-", out, options or BatchOptions(SHORT), identity
    )
    for progress in work.run(work.survey(), resume=resume, force=force):
        if progress.texts == stop_after:
            break
    return [json.loads(line) for line in out.read_text("utf-8").splitlines()]


def test_a_job_says_what_it_wants_and_the_defaults_say_the_rest() -> None:
    (job,) = parse('{"id": "x", "prompt": "春", "top_k": 3, "stop": "。", "seed": 9}')
    assert isinstance(job, Job)
    config = SamplingConfig(length=6, temperature=1.0, top_k=3, stop=("。",))
    assert job == Job("x", 1, Request("春", config, 9))


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"prompt": "a", "tempreature": 1}', "tempreature: unknown field (did you mean 'temper"),
        ('{"prompt": 3}', "prompt: input should be a valid string"),
        ("{}", "prompt: missing"),
        ('{"prompt": "a"', "invalid JSON"),
        ("[1]", "not a JSON object"),
        ('{"prompt": "a", "length": -1}', "length is -1, not at least 0"),
        ('{"prompt": "a", "length": 2.5}', "length: input should be a valid integer"),
        ('{"prompt": "a", "temperature": NaN}', "temperature: "),
        ('{"prompt": "a", "num_samples": 0}', "num_samples is 0"),
        ('{"prompt": "a", "form": "wujeu"}', "did you mean 'wujue'?"),
        ('{"prompt": "a", "form": {"name": "wujue", "tone": true}}', "did you mean 'tones'?"),
        ('{"prompt": "a", "form": {"name": "wujue", "acrostic": "春江花月夜"}}', "only 4 verses"),
        ('{"prompt": "a", "id": 1.5}', "id: should be a string or an integer"),
        ('{"prompt": "a", "stop": [""]}', "stop contains an empty string"),
        (r'{"id": "\ud800", "prompt": "a"}', "line 2, id: contains a lone surrogate"),
        (r'{"prompt": "a\udc00"}', "line 2, prompt: contains a lone surrogate"),
        (r'{"prompt": "", "stop": ["\ud800"]}', "line 2, stop: contains a lone surrogate"),
        (r'{"prompt": "", "form": {"name": "\ud800"}}', "line 2, form: contains a lone surrogate"),
        (r'{"prompt": "", "\ud800": 1}', "line 2, "),
    ],
)
def test_a_bad_line_is_told_by_line_and_field(line: str, problem: str) -> None:
    good, bad = parse('{"prompt": ""}\n' + line)
    assert isinstance(good, Job)
    assert isinstance(bad, BadLine)
    assert str(bad).startswith("line 2, ")
    assert problem in str(bad)
    json.dumps([bad.id, str(bad)], ensure_ascii=False).encode()


def test_bytes_that_are_no_utf8_are_a_bad_line() -> None:
    file = io.BytesIO(b'{"prompt": "\xff"}\n')
    (bad,) = read_jobs(file, as_json=True, defaults=SHORT, check=lambda request: None)
    assert str(bad) == "line 1, byte 13: not UTF-8"


def test_a_plain_file_has_a_prompt_a_line() -> None:
    jobs = parse("\ufeff春\r\n\n江 \n", as_json=False)
    assert [(job.id, job.request.prompt) for job in jobs if isinstance(job, Job)] == [
        (1, "春"),
        (3, "江 "),
    ]


def test_the_kind_of_file_is_told_by_name_or_first_line() -> None:
    as_json, plain = io.BytesIO(b'\n {"prompt": ""}'), io.BytesIO("春".encode())
    assert is_json("-", as_json)
    assert not is_json("-", plain)
    assert is_json("x.jsonl", plain)
    assert not is_json("x.txt", as_json)


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

    def counted(seed: int, what: int | str) -> int:
        made.append(what)
        return sample_seed(seed, what)

    monkeypatch.setattr(jobs_module, "sample_seed", counted)
    text = '{"prompt": "", "seed": 4, "num_samples": 1000000}\n'
    work = Batch(engine, io.BytesIO(text.encode()), "-", tmp_path / "out", BatchOptions(SHORT), {})
    assert work.survey().lines == 1000000
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


def test_few_lines_wait_for_a_slow_one(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines_module, "_MOST_WAITING", 4)
    bad = '{"prompt": 0}\n'
    jobs = bad * 9 + '{"prompt": "", "length": 60}\n' + jobs_text(12) + bad * 9
    lines = run(engine, jobs, tmp_path / "out", BatchOptions(SHORT, keep_going=True))
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
        for _ in work.run(work.survey(), resume=False, force=force):
            pass
        assert [json.loads(line) for line in read.result(20).splitlines()] == whole
    assert [path.name for path in folder.iterdir()] == ["pipe"]
    with pytest.raises(GenerationError, match="not a plain file"):
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


@pytest.mark.parametrize(("name", "problem"), [("no", "There is no file"), (".", "is a folder")])
def test_a_job_file_that_can_not_be_read_is_an_error(
    tmp_path: Path, name: str, problem: str
) -> None:
    with pytest.raises(GenerationError, match=problem), open_jobs(str(tmp_path / name)):
        pass


def test_a_job_file_that_must_not_be_read_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, _mode: str) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(GenerationError, match="Permission denied") as caught, open_jobs("jobs"):
        pass
    assert caught.value.remedy


def test_errors_of_those_who_read_the_jobs_are_their_own(tmp_path: Path) -> None:
    (tmp_path / "jobs").touch()
    with pytest.raises(FileNotFoundError), open_jobs(str(tmp_path / "jobs")):
        raise FileNotFoundError


@pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="there is no /dev/fd")
def test_jobs_may_come_through_a_pipe() -> None:
    reader, writer = os.pipe()
    os.write(writer, "春\n".encode())
    os.close(writer)
    try:
        with open_jobs(f"/dev/fd/{reader}") as file:
            assert [file.read().decode(), file.seek(0), file.read().decode()] == ["春\n", 0, "春\n"]
    finally:
        os.close(reader)


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
    told = list(work.run(work.survey(), resume=True, force=False))
    assert told[0] == BatchProgress(5, 12, 5, 0)
    assert told[-1].texts == 12


def test_a_form_is_named_or_given_as_json() -> None:
    asked = Form("wujue", "春", rhyme=True)
    assert read_form("wujue", acrostic="春", rhyme=True) == (asked, [])
    assert read_form('{"name": "wujue", "acrostic": "春"}', rhyme=True) == (asked, [])
    assert read_form(asked) == (asked, [])
    assert read_form(Form("wujue", "江"), acrostic="春", rhyme=True) == (asked, [])
    assert read_form(None) == (None, [])


@pytest.mark.parametrize(
    ("form", "details", "problem"),
    [
        ("qijeu", {}, "`form` is 'qijeu' (did you mean 'qijue'?), not one of wujue, qijue"),
        (7, {}, "`form` is 7, not a string"),
        ("lines", {"lines": 2}, "the form lines needs `characters`"),
        ("wujue", {"lines": 2}, "`lines` belongs to the form lines, not to wujue"),
        (None, {"rhyme": True}, "`rhyme` needs a `form`, such as qijue"),
        (None, {"rhyme": True, "tones": True}, "`rhyme`, `tones` need a `form`, such as qijue"),
        (
            '{"name": "lines", "line": 2}',
            {},
            "in `form`, line: unknown field (did you mean 'li",
        ),
        ('{"name": "lines", "x": 2}', {}, "x: unknown field; the fields are name, acrostic, rhyme"),
        ('{"rhyme": true}', {}, "in `form`, name: missing"),
        ('{"name": 3}', {}, "in `form`, name: input should be a valid string"),
        ("{", {}, "in `form`, invalid JSON"),
    ],
)
def test_a_form_that_can_not_be_is_told(form: Any, details: dict[str, Any], problem: str) -> None:
    found, problems = read_form(form, **details)
    assert found is None
    assert len(problems) == 1
    assert problem in problems[0]

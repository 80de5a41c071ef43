from __future__ import annotations

import errno
import io
import json
import os
from pathlib import Path
from typing import Any

import pytest

from chargen.errors import GenerationError
from chargen.generation.batch.jobs import BadLine, Job, is_json, open_jobs, read_jobs
from chargen.generation.poems.asked import read_form
from chargen.generation.poems.forms import Form
from chargen.generation.requests import Request
from chargen.options import SamplingConfig
from tests.generation.batch.cases import SHORT, parse


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
        ('{"prompt": "a", "form": {"name": "wujue", "tones": 1}}', "form.tones: input should be"),
        ('{"prompt": "a", "form": {"name": "wujue", "tones": "loose"}}', "tones is 'loose', not"),
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


@pytest.mark.parametrize(
    ("given", "tones"),
    [("true", "strict"), ("false", "none"), ('"strict"', "strict"), ('"lenient"', "lenient")],
)
def test_tones_are_named_or_switched_on(given: str, tones: str) -> None:
    (job,) = parse(f'{{"prompt": "", "form": {{"name": "wujue", "tones": {given}}}}}')
    assert isinstance(job, Job)
    assert job.request.form == Form("wujue", tones=tones)
    assert read_form(f'{{"name": "wujue", "tones": {given}}}') == (Form("wujue", tones=tones), [])


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
        (
            '{"name": "lines", "x": 2}',
            {},
            "x: unknown field; the fields are name, acrostic, pattern, ",
        ),
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

"""``chargen batch``: jobs to texts, and the schema of a job."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from chargen.generation.batch.fields import job_schema
from chargen.generation.batch.jobs import Defaults, Job, read_jobs
from tests.support import call, the_error

JOBS = '{"id": "a", "prompt": "春"}\n{"prompt": "", "length": 3}\n'


@pytest.fixture
def jobs(here: Path) -> Path:
    (here / "jobs.jsonl").write_text(JOBS, "utf-8")
    return here / "jobs.jsonl"


def test_batch_writes_a_line_a_job_and_resumes(jobs: Path, trained: Path, here: Path) -> None:
    command = ("batch", jobs, "-o", "out.jsonl", "--checkpoint", trained, "-n", 5, "--logprobs")
    assert call(*command).exit_code == 0
    whole = (here / "out.jsonl").read_bytes()
    first, second = map(json.loads, whole.splitlines())
    assert (first["id"], first["characters"]) == ("a", 5)
    assert (second["id"], second["characters"], second["finish_reason"]) == (2, 3, "length")
    assert set(second) == {"id", "text", "finish_reason", "characters", "seed", "bits_per_char"}
    assert "exists already" in the_error(*command)
    (here / "out.jsonl").write_bytes(whole[:-9])
    assert call(*command, "--resume").exit_code == 0
    assert (here / "out.jsonl").read_bytes() == whole
    assert "temperature changed" in the_error(*command, "--resume", "--temp", 0.5)
    assert call(*command, "--force", "--quiet").stderr == ""


def test_texts_and_errors_are_told_apart(trained: Path, here: Path) -> None:
    (here / "jobs.jsonl").write_text('{"prompt": "春", "length": 0}\nbad\nbad\n', "utf-8")
    command = ("batch", "jobs.jsonl", "-o", "out.jsonl", "--checkpoint", trained, "--keep-going")
    for more in ((), ("--resume",)):
        said = call(*command, *more).stderr
        assert "3 lines to out.jsonl" in said
        assert said.endswith("1 text and 2 errors in out.jsonl\n")
    piped = call(*command[:3], "-", *command[4:]).stderr
    assert "3 lines to standard output" in piped
    assert piped.endswith("1 text and 2 errors in standard output\n")


def test_batch_stands_in_a_pipe(trained: Path, here: Path) -> None:
    options = ("-o", "piped.jsonl", "--checkpoint", trained, "-n", 2)
    assert call("batch", "-", *options, stdin="春\n夜\n").exit_code == 0
    lines = (here / "piped.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["id"] for line in lines] == [1, 2]


def test_flags_of_poems_are_defaults_of_the_jobs(trained: Path, here: Path) -> None:
    lines = [{"prompt": ""}, {"prompt": "", "form": {"name": "lines", "lines": 1, "characters": 3}}]
    (here / "jobs.jsonl").write_text("".join(json.dumps(each) + "\n" for each in lines), "utf-8")
    poem = ("--form", "wujue", "--acrostic", "春夜花鸟")
    done = call("batch", "jobs.jsonl", "-o", "out.jsonl", "--checkpoint", trained, *poem)
    assert done.exit_code == 0, done.output
    texts = [json.loads(line)["text"] for line in Path("out.jsonl").read_text("utf-8").splitlines()]
    assert [texts[0][n] for n in (0, 6, 13, 19)] == list("春夜花鸟")
    assert len(texts[1]) == 3


def test_what_is_wrong_is_told_all_at_once(here: Path) -> None:
    error = the_error(
        "batch", "no-jobs", "-o", "out", "--resume", "--force", "--device", "abacus", "--tones",
        "--temp", -1, "--batch-size", 0, status=2,
    )  # fmt: skip
    for part in (
        "5 options are not usable",
        "--resume and --force contradict each other",
        "--device is 'abacus'",
        "--tones needs a --form",
        "--temp is -1.0, not at least 0 and finite",
        "--batch-size is 0, not at least 1",
    ):
        assert part in error
    assert list(here.iterdir()) == []


def test_bad_jobs_are_told_before_anything_is_written(trained: Path, here: Path) -> None:
    lines = ['{"prompt": "春", "temp": 1}', '{"prompt": 3}', '{"prompt": "", "form": "qijeu"}']
    (here / "jobs.jsonl").write_text("\n".join(lines), "utf-8")
    error = the_error("batch", "jobs.jsonl", "-o", "out.jsonl", "--checkpoint", trained)
    for part in (
        "3 lines are not usable",
        "line 1, temp: unknown field (did you mean 'temperature'?)",
        "line 2, prompt: input should be a valid string",
        "line 3, form is 'qijeu' (did you mean 'qijue'?), not one of wujue",
    ):
        assert part in error
    assert not list(here.glob("out*"))


def test_an_option_that_no_job_can_use_is_named_as_such(trained: Path, here: Path) -> None:
    """And not as a fault of each line, nor as an error of each text."""
    (here / "jobs.jsonl").write_text('{"prompt": "春"}\n{"prompt": "夜"}\n', "utf-8")
    command = ("batch", "jobs.jsonl", "-o", "out.jsonl", "--checkpoint", trained)
    for options, status, what in (
        (("--num-samples", 2, "--beam-size", 4), 2, "--num-samples is for texts that are drawn"),
        (("--beam-size", 4), 2, "--beam-size is for runs that answer lines"),
        (("--match-source-length",), 2, "--match-source-length is for runs that answer lines"),
        (("--label", "author=x"), 2, "--label is given, but this run has no labels"),
        (("--form", "wujue", "--stop", "x"), 2, "A form ends where the form says"),
        (("--form", "couplet", "--stop", "x"), 2, "A form ends where the form says"),
        (("--form", "wujue", "--acrostic", "☃"), 1, "The model can't write '☃'"),
    ):
        for more in ((), ("--keep-going",)):
            error = the_error(*command, *options, *more, status=status)
            assert what in error
            assert "line" not in error.replace("answer lines", "")
    assert not list(here.glob("out*"))


def test_a_job_that_contradicts_an_option_is_named(trained: Path, here: Path) -> None:
    lines = '{"prompt": "春"}\n{"prompt": "夜", "form": "wujue"}\n{"prompt": "", "beam_size": 2}\n'
    (here / "jobs.jsonl").write_text(lines, "utf-8")
    error = the_error("batch", "jobs.jsonl", "-o", "o", "--checkpoint", trained, "--stop", "x")
    assert "2 lines are not usable: line 2, A form ends where the form says" in error
    assert "line 3, stop is for texts that are drawn, and beam_size finds the likeliest" in error


def test_the_schema_is_printed_and_nothing_else_is_needed(here: Path) -> None:
    for arguments in ((), ("jobs.jsonl",), ("jobs.jsonl", "-o", "out.jsonl")):
        shown = call("batch", *arguments, "--schema")
        assert (shown.exit_code, shown.stderr) == (0, "")
        assert json.loads(shown.stdout) == job_schema()
    assert list(here.iterdir()) == []


def check_schema(schema: Any, definitions: dict[str, Any]) -> None:
    """Whether each part of a schema has the shape that JSON Schema wants."""
    types = {"array", "boolean", "integer", "null", "number", "object", "string"}
    assert set(schema) <= {
        "$defs", "$ref", "$schema", "additionalProperties", "anyOf", "default", "description",
        "enum", "exclusiveMaximum", "exclusiveMinimum", "items", "maximum", "minimum",
        "properties", "required", "title", "type",
    }  # fmt: skip
    kinds = schema.get("type", [])
    assert set([kinds] if isinstance(kinds, str) else kinds) <= types
    for bound in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
        assert isinstance(schema.get(bound, 0), (int, float))
    if "$ref" in schema:
        assert schema["$ref"].removeprefix("#/$defs/") in definitions
    assert set(schema.get("required", ())) <= set(schema.get("properties", ()))
    parts = [*schema.get("properties", {}).values(), *schema.get("anyOf", ())]
    for part in [*parts, *([schema["items"]] if "items" in schema else [])]:
        check_schema(part, definitions)


def test_the_schema_is_json_schema() -> None:
    schema = job_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["additionalProperties"] is False
    assert schema["required"] == ["prompt"]
    check_schema(schema, schema["$defs"])
    for each in schema["$defs"].values():
        assert each["additionalProperties"] is False
        check_schema(each, schema["$defs"])


def accepted(value: Any, schema: dict[str, Any], whole: dict[str, Any]) -> bool:
    """Whether a schema accepts a value: as much of JSON Schema as ours uses."""
    if "$ref" in schema:
        return accepted(value, whole["$defs"][schema["$ref"].removeprefix("#/$defs/")], whole)
    if "anyOf" in schema:
        return any(accepted(value, each, whole) for each in schema["anyOf"])
    kinds = {"array": list, "boolean": bool, "object": dict, "string": str, "null": type(None)}
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    allowed = schema.get("type", [])
    allowed = [allowed] if isinstance(allowed, str) else allowed
    fits = [
        number and (kind == "number" or isinstance(value, int))
        if kind in ("number", "integer")
        else isinstance(value, kinds[kind])
        for kind in allowed
    ]
    if not any(fits) or value not in schema.get("enum", [value]):
        return False
    if number and not (
        schema.get("minimum", value) <= value <= schema.get("maximum", value)
        and schema.get("exclusiveMinimum", value - 1) < value
        and value < schema.get("exclusiveMaximum", value + 1)
    ):
        return False
    if isinstance(value, list):
        return all(accepted(each, schema["items"], whole) for each in value)
    if isinstance(value, dict):
        known = schema["properties"]
        return set(schema.get("required", ())) <= set(value) <= set(known) and all(
            accepted(each, known[name], whole) for name, each in value.items()
        )
    return True


@pytest.mark.parametrize(
    ("fields", "right"),
    [
        ({}, True),
        ({"id": "x", "length": 5, "temperature": 0, "top_p": 1}, True),
        ({"id": 3, "seed": 2**64 - 1, "num_samples": 1, "stop": "。"}, True),
        ({"stop": ["。", "！"], "repetition_window": 1, "min_p": 0.5}, True),
        ({"form": "qijue"}, True),
        ({"form": {"name": "lines", "lines": 2, "characters": 3, "rhyme": False}}, True),
        ({"id": 1.5}, False),
        ({"prompt": 3}, False),
        ({"temp": 1}, False),
        ({"length": -1}, False),
        ({"length": 2.5}, False),
        ({"length": True}, False),
        ({"temperature": "1"}, False),
        ({"top_p": 0}, False),
        ({"top_p": 1.1}, False),
        ({"min_p": 1}, False),
        ({"seed": 2**64}, False),
        ({"num_samples": 0}, False),
        ({"stop": [1]}, False),
        ({"form": "qijeu"}, False),
        ({"form": {"rhyme": True}}, False),
        ({"form": {"name": "lines", "lines": 0, "characters": 3}}, False),
        ({"form": {"name": "wujue", "tone": True}}, False),
    ],
    ids=str,
)
def test_the_schema_accepts_what_the_batch_accepts(fields: dict[str, Any], right: bool) -> None:
    job = {"prompt": "春", **fields}
    schema = job_schema()
    assert accepted(job, schema, schema) == right
    lines = io.BytesIO(json.dumps(job).encode())
    (read,) = read_jobs(lines, as_json=True, defaults=Defaults(), check=lambda request: None)
    assert isinstance(read, Job) == right

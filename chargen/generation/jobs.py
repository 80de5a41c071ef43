"""A job file's lines: what each asks for, or what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from chargen.config import SamplingConfig
from chargen.errors import ChargenError
from chargen.generation.engine import Request, sample_seed
from chargen.generation.forms import FORMS, Form, nearest

MOST_SAMPLES = 1_000_000
_JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")
_BOM = b"\xef\xbb\xbf"


class FormFields(BaseModel):
    """``form`` as an object."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str
    acrostic: str = ""
    rhyme: bool = False
    tones: bool = False
    lines: int | None = None
    characters: int | None = None


class JobFields(BaseModel):
    """One line of a job file, as it stands there."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    id: str | int | None = None
    prompt: str
    length: int | None = None
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    stop: list[str] | None = None
    seed: int | None = None
    num_samples: int | None = None
    form: FormFields | None = None

    @field_validator("form", mode="before")
    @classmethod
    def _form_by_name(cls, value: object) -> object:
        return {"name": value} if isinstance(value, str) else value

    @field_validator("stop", mode="before")
    @classmethod
    def _one_stop(cls, value: object) -> object:
        return [value] if isinstance(value, str) else value


@dataclass(frozen=True)
class Defaults:
    """What a job gets that doesn't say otherwise.

    Attributes:
        sampling: length and all about the draw.
        seed: from which, with its id, the seed of a job without one is made.
        num_samples: texts a job.
        form: of every job's text.
    """

    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    seed: int = 0
    num_samples: int = 1
    form: Form | None = None


@dataclass(frozen=True)
class Job:
    """A line that can be fulfilled: one request a sample.

    Attributes:
        id: the line's own, or its number.
        line: its number, from 1.
    """

    id: str | int
    line: int
    requests: tuple[Request, ...]


@dataclass(frozen=True)
class BadLine:
    """A line that can't: its id, where it has one, and what is wrong, field by field."""

    id: str | int
    line: int
    problems: tuple[str, ...]

    def __str__(self) -> str:
        return "; ".join(f"line {self.line}, {problem}" for problem in self.problems)


def is_json(name: str, file: BinaryIO) -> bool:
    """Whether a job file holds JSON lines, by its name, else by its first line that isn't blank."""
    suffix = Path(name).suffix.lower()
    if suffix in _JSON_SUFFIXES or suffix == ".txt":
        return suffix != ".txt"
    file.seek(0)
    first = next((line for line in file if line.removeprefix(_BOM).strip()), b"")
    return first.removeprefix(_BOM).lstrip().startswith(b"{")


def read_jobs(
    file: BinaryIO, *, as_json: bool, defaults: Defaults, check: Callable[[Request], None]
) -> Iterator[Job | BadLine]:
    """The jobs of a file, from its beginning; blank lines are none.

    Args:
        file: UTF-8; read twice by those who want to validate first.
        as_json: a JSON object a line; otherwise a prompt a line.
        defaults: for what a job leaves open.
        check: raises ChargenError where a request can't be fulfilled.
    """
    file.seek(0)
    for number, line in enumerate(file, 1):
        data = line.removeprefix(_BOM) if number == 1 else line
        if not data.strip():
            continue
        try:
            text = data.decode().removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError as error:
            yield BadLine(number, number, (f"byte {error.start + 1}: not UTF-8",))
            continue
        fields = _parse(text, number) if as_json else JobFields(prompt=text)
        if isinstance(fields, BadLine):
            yield fields
        else:
            yield _job(fields, number, defaults, check)


def _parse(text: str, number: int) -> JobFields | BadLine:
    try:
        return JobFields.model_validate_json(text)
    except ValidationError as error:
        return BadLine(
            _id_of(text, number), number, tuple(dict.fromkeys(map(_told, error.errors())))
        )


def _id_of(text: str, number: int) -> str | int:
    """The id of a bad line, where it can be read; else its number."""
    try:
        found = json.loads(text)["id"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return number
    return found if isinstance(found, str) or type(found) is int else number


def _told(error: Any) -> str:
    """One of pydantic's errors as ``field: what is wrong``."""
    kind, where = error["type"], error["loc"]
    if kind == "json_invalid":
        return f"invalid JSON: {error['ctx']['error']}"
    if kind == "extra_forbidden":
        known = FormFields.model_fields if where[0] == "form" else JobFields.model_fields
        return f"{'.'.join(map(str, where))}: unknown field{nearest(str(where[-1]), list(known))}"
    if kind == "missing":
        return f"{'.'.join(map(str, where))}: missing"
    if kind in ("model_type", "model_attributes_type", "dict_type") and not where:
        return "not a JSON object"
    if where[0] == "id":
        return "id: should be a text or a whole number"
    return f"{'.'.join(map(str, where))}: {error['msg'][0].lower()}{error['msg'][1:]}"


def _job(
    fields: JobFields, number: int, defaults: Defaults, check: Callable[[Request], None]
) -> Job | BadLine:
    job_id = number if fields.id is None else fields.id
    given = fields.model_dump(
        exclude={"id", "prompt", "seed", "num_samples", "form"}, exclude_none=True
    )
    if "stop" in given:
        given["stop"] = tuple(given["stop"])
    sampling = replace(defaults.sampling, **given)
    form = defaults.form if fields.form is None else Form(**fields.form.model_dump())
    samples = defaults.num_samples if fields.num_samples is None else fields.num_samples
    problems = sampling.problems()
    if form is not None:
        problems += [f"form: {problem}" for problem in form.problems()]
    if not 1 <= samples <= MOST_SAMPLES:
        problems.append(f"num_samples is {samples}, not in 1 to {MOST_SAMPLES}")
    if problems:
        return BadLine(job_id, number, tuple(problems))
    seed = sample_seed(defaults.seed, job_id) if fields.seed is None else fields.seed
    first = Request(fields.prompt, sampling, seed, form)
    try:
        check(first)
    except ChargenError as error:
        return BadLine(job_id, number, (error.message.rstrip("."),))
    if samples == 1:
        return Job(job_id, number, (first,))
    seeds = (sample_seed(seed, n) for n in range(samples))
    return Job(job_id, number, tuple(replace(first, seed=s) for s in seeds))


def form_of(text: str, acrostic: str, *, rhyme: bool, tones: bool) -> Form:
    """A form from options: its name, or JSON as in a job.

    Raises:
        ValueError: it is neither; the text says what is wrong.
    """
    if text in FORMS or not text.lstrip().startswith("{"):
        return Form(text, acrostic, rhyme, tones)
    try:
        fields = FormFields.model_validate_json(text)
    except ValidationError as error:
        raise ValueError("; ".join(map(_told, error.errors()))) from error
    values = fields.model_dump()
    values["acrostic"] = acrostic or values["acrostic"]
    values["rhyme"] |= rhyme
    values["tones"] |= tones
    return Form(**values)

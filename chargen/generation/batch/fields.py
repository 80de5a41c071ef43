"""What may stand in a line of a job file, and what is told of a line that isn't so."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from chargen.generation.poems.forms import FORMS, Form, nearest


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


def parse_job(text: str) -> JobFields | tuple[str, ...]:
    """A line of JSON, or what is wrong with it, field by field."""
    try:
        return JobFields.model_validate_json(text)
    except ValidationError as error:
        return tuple(dict.fromkeys(_surrogates(text) or map(told, error.errors())))


def _surrogates(text: str) -> list[str]:
    """What is wrong with a line that has lone surrogates, which are no characters; else nothing.

    pydantic's reader of JSON stops at the first, and can't tell in which field; Python's can.
    """
    try:
        values = json.loads(text)
        written = {k: json.dumps([k, v], ensure_ascii=False) for k, v in values.items()}
    except (ValueError, AttributeError, RecursionError):
        return []
    wrong = [
        _escaped(f"{name}: has a lone surrogate") for name in values if not _writable(written[name])
    ]
    if wrong:
        whole = json.dumps(values, ensure_ascii=False).encode(errors="replace")
        try:
            JobFields.model_validate_json(whole)
        except ValidationError as error:
            wrong += map(told, error.errors())
    return wrong


def id_of(text: str, number: int) -> str | int:
    """The id of a bad line, where it can be read and written; else its number."""
    try:
        found = json.loads(text)["id"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return number
    usable = _writable(found) if isinstance(found, str) else type(found) is int
    return found if usable else number


def _writable(text: str) -> bool:
    """Whether UTF-8 can encode it: it has no lone surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _escaped(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()


def told(error: Any) -> str:
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
        raise ValueError("; ".join(map(told, error.errors()))) from error
    values = fields.model_dump()
    values["acrostic"] = acrostic or values["acrostic"]
    values["rhyme"] |= rhyme
    values["tones"] |= tones
    return Form(**values)

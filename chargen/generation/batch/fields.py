"""The fields of a job, and the validation of a line of a job file.

The fields are the options of sampling and of forms, and a few others.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    create_model,
    field_validator,
)

from chargen.generation.poems.forms import FORMS, Form
from chargen.options import BatchConfig, Config, SamplingConfig, nearest
from chargen.options.field import Entry

_STRICT = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


def _fields_of(config: type[Config], *names: str) -> dict[str, Any]:
    """Return the options of a config as fields of a pydantic model, none of them required."""
    entries = config.entries().values()
    return {each.name: _field_of(each) for each in entries if not names or each.name in names}


def _field_of(entry: Entry) -> tuple[Any, Any]:
    kind: Any = list[str] if entry.kind is tuple else entry.kind
    if entry.option.switch is not None:
        kind = Annotated[kind, BeforeValidator(entry.normalised)]
    field = Field(None, description=entry.option.help, json_schema_extra=_schema_of(entry))
    return kind | None, field


def _schema_of(entry: Entry) -> Callable[[dict[str, Any]], None]:
    """Return a function that adds the constraints of an option to its JSON Schema."""
    known = entry.option
    bounds = {
        "minimum": known.low,
        "maximum": known.high,
        "exclusiveMinimum": known.above,
        "exclusiveMaximum": known.below,
        "enum": None if known.choices is None else list(known.choices),
    }

    def change(schema: dict[str, Any]) -> None:
        kinds = [each for each in schema.pop("anyOf") if each["type"] != "null"]
        schema.pop("default", None)
        (kind,) = kinds
        schema |= kind | {name: value for name, value in bounds.items() if value is not None}
        if known.switch is not None:
            schema["type"], schema["enum"] = ["string", "boolean"], [*schema["enum"], True, False]
        if entry.kind is tuple:
            schema["type"] = ["array", "string", *(["object"] if known.keyed else [])]

    return change


class _FormFields(BaseModel):
    model_config = _STRICT

    name: str = Field(description="Form of the poem", json_schema_extra={"enum": list(FORMS)})


FormFields = create_model(
    "FormFields",
    __base__=_FormFields,
    **_fields_of(Form, *(name for name in Form.entries() if name != "name")),
)
"""The field ``form`` as an object."""


def _form_schema(schema: dict[str, Any]) -> None:
    schema["anyOf"] = [{"type": "string", "enum": list(FORMS)}, *schema["anyOf"][:-1]]
    schema.pop("default")


class JobFields(BaseModel):
    """The fields of one line of a job file."""

    model_config = _STRICT

    prompt: str = Field(description="Text that the model continues")
    id: str | int | None = Field(
        default=None, description="Name of the job; by default its line number"
    )
    if TYPE_CHECKING:
        form: Any = None

    @field_validator("form", mode="before", check_fields=False)
    @classmethod
    def _form_by_name(cls, value: object) -> object:
        return {"name": value} if isinstance(value, str) else value

    @field_validator("stop", mode="before", check_fields=False)
    @classmethod
    def _one_stop(cls, value: object) -> object:
        return [value] if isinstance(value, str) else value

    @field_validator("label", mode="before", check_fields=False)
    @classmethod
    def _label_lines(cls, value: object) -> object:
        """Turn ``{"author": "李白"}`` into ``["author=李白"]``, and weights likewise."""
        if isinstance(value, str):
            return [value]
        if not isinstance(value, dict):
            return value
        return [f"{key}={_mixture(each)}" for key, each in value.items()]

    def given(self, config: type[Config]) -> dict[str, Any]:
        """Return the line's values for options of ``config``, converted as the config does."""
        entries = config.entries()
        return {
            name: entries[name].normalised(value)
            for name, value in self.model_dump(exclude_none=True).items()
            if name in entries
        }


def _mixture(values: object) -> str:
    if not isinstance(values, dict):
        return str(values)
    return ",".join(f"{value}:{weight}" for value, weight in values.items())


_form: Any = FormFields | None
_WholeJob = create_model(
    "Job",
    __base__=JobFields,
    form=(
        _form,
        Field(
            None,
            description="Form of a poem, by name or with its details",
            json_schema_extra=_form_schema,
        ),
    ),
    **_fields_of(SamplingConfig),
    **_fields_of(BatchConfig, "seed", "num_samples", "best_of"),
)


def job_schema() -> dict[str, Any]:
    """Return the JSON Schema of a job."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A job of chargen batch",
        **{k: v for k, v in _WholeJob.model_json_schema().items() if k != "title"},
    }


def plain_job(prompt: str) -> JobFields:
    """Make a job from a prompt."""
    job: JobFields = _WholeJob(prompt=prompt)
    return job


def parse_job(text: str) -> JobFields | tuple[str, ...]:
    """Parse a line of JSON; returns its problems, field by field, if it is invalid."""
    try:
        job: JobFields = _WholeJob.model_validate_json(text)
        return job
    except ValidationError as error:
        return tuple(dict.fromkeys(_surrogates(text) or map(in_words, error.errors())))


def _surrogates(text: str) -> list[str]:
    """Return the problems of a line with lone surrogates; empty if it has none.

    pydantic's JSON parser stops at the first one and doesn't report the field, so Python's is used.
    """
    try:
        values = json.loads(text)
        written = {k: json.dumps([k, v], ensure_ascii=False) for k, v in values.items()}
    except (ValueError, AttributeError, RecursionError):
        return []
    wrong = [
        _escaped(f"{name}: contains a lone surrogate")
        for name in values
        if not _writable(written[name])
    ]
    if wrong:
        whole = json.dumps(values, ensure_ascii=False).encode(errors="replace")
        try:
            _WholeJob.model_validate_json(whole)
        except ValidationError as error:
            wrong += map(in_words, error.errors())
    return wrong


def id_of(text: str, number: int) -> str | int:
    """Return the id of an invalid line if it is usable, else its number."""
    try:
        found = json.loads(text)["id"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return number
    usable = _writable(found) if isinstance(found, str) else type(found) is int
    return found if usable else number


def _writable(text: str) -> bool:
    """Return whether ``text`` can be encoded as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _escaped(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()


def in_words(error: Any, *, form: bool = False) -> str:
    """Format one of pydantic's errors about a job or a form as ``field: problem``."""
    kind, where = error["type"], error["loc"]
    name = ".".join(map(str, where))
    if kind == "json_invalid":
        return f"invalid JSON: {error['ctx']['error']}"
    if kind == "extra_forbidden":
        known = list((FormFields if form or where[0] == "form" else _WholeJob).model_fields)
        close = nearest(str(where[-1]), known)
        known_ones = f"; the fields are {', '.join(known)}"
        return f"{name}: unknown field" + (f" (did you mean {close!r}?)" if close else known_ones)
    if kind == "missing":
        return f"{name}: missing"
    if not where:
        return "not a JSON object"
    if where[0] == "id":
        return "id: should be a string or an integer"
    return f"{name}: {error['msg'][0].lower()}{error['msg'][1:]}"

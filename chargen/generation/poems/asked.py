"""The form of a poem, as it is asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from chargen.generation.poems.forms import Form


def read_form(
    form: Form | str | Mapping[str, Any] | None, **details: Any
) -> tuple[Form | None, list[str]]:
    """Make a form from options.

    Args:
        form: a name such as ``qijue``, an object such as ``{"name": "qijue", "rhyme": true}``, also
            as JSON, a form, or None.
        details: values for other fields of ``Form``.

    Returns:
        The form, or None if none was given or it has problems; and its problems, one line each.
    """
    if form is None:
        needy = ", ".join(f"`{name}`" for name in details)
        verb = "needs" if len(details) == 1 else "need"
        return None, [f"{needy} {verb} a `form`, such as qijue"] if details else []
    values, problems = _form_values(form)
    values |= details
    problems = problems or Form.problems_in(values)
    return (None if problems else Form.from_dict(values)), problems


def _form_values(form: Any) -> tuple[dict[str, Any], list[str]]:
    if isinstance(form, Form):
        return form.to_dict(), []
    if isinstance(form, Mapping):
        form = json.dumps(dict(form), default=repr)
    if not isinstance(form, str) or not form.lstrip().startswith("{"):
        return {"name": form}, []
    from pydantic import ValidationError

    from chargen.generation.batch.fields import FormFields, in_words

    try:
        return FormFields.model_validate_json(form).model_dump(exclude_none=True), []
    except ValidationError as error:
        return {}, [f"in `form`, {in_words(each, form=True)}" for each in error.errors()]

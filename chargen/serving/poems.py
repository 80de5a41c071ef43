"""What the poem workshop asks for besides poems: the alternatives that a form allows."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from chargen.errors import ChargenError
from chargen.generation.poems.alternatives import fitting
from chargen.generation.poems.asked import read_form
from chargen.generation.poems.forms import Form
from chargen.generation.poems.plan import HANZI
from chargen.options import ServeConfig
from chargen.serving.bodies import read_json
from chargen.serving.models import Models
from chargen.serving.refusals import RefusedError, json_response
from chargen.serving.threads import in_thread

_MOST = 100
"""Characters that can be asked about at once."""


class Workshop:
    """The endpoint ``/runs/NAME/fitting``.

    Args:
        models: the runs.
        config: the limits.
    """

    def __init__(self, models: Models, config: ServeConfig) -> None:
        self._models, self._config = models, config

    def routes(self) -> list[Route]:
        return [Route("/runs/{name:path}/fitting", self._fitting, methods=["POST"])]

    async def _fitting(self, request: Request) -> Response:
        body = await read_json(request.scope, request.receive, self._config.max_body)
        form, poem, place, characters = _asked(body)
        async with self._models.using(request.path_params["name"]) as model:
            engine = model.engine
            if engine is None or engine.answers:
                raise RefusedError(400, "This run writes no poems.", param="name")

            def found() -> list[str]:
                task = engine.poet.task(form, "")
                size = task.plan.characters
                if len(poem) != size * task.plan.verses or place >= len(poem):
                    raise _wrong("poem", f"should have {size * task.plan.verses} characters")
                verses = [poem[n : n + size] for n in range(0, len(poem), size)]
                return fitting(verses, place, characters, task)

            try:
                return json_response({"fitting": await in_thread(found)})
            except ChargenError as error:
                raise RefusedError.of(error, param="form") from error


def _asked(body: bytes) -> tuple[Form, str, int, list[str]]:
    """The form without what it gives, a poem's characters, a place, and what may stand there."""
    try:
        values = dict(json.loads(body))
    except (ValueError, TypeError, RecursionError) as error:
        raise RefusedError(400, "The body should be a JSON object.") from error
    given = values.get("form")
    if not isinstance(given, (str, dict)):
        raise _wrong("form", "should be a name or an object")
    form, problems = read_form(given)
    if form is None or form.name == "couplet":
        raise _wrong("form", problems[0] if problems else "should have verses")
    poem, place, characters = (values.get(name) for name in ("poem", "place", "characters"))
    if not isinstance(poem, str) or not all(map(HANZI.fullmatch, poem)):
        raise _wrong("poem", "should be Chinese characters")
    if type(place) is not int or place < 0:
        raise _wrong("place", "should be the number of a character")
    if not isinstance(characters, list) or not _are_characters(characters):
        raise _wrong("characters", f"should be a list of at most {_MOST} Chinese characters")
    return replace(form, acrostic="", pattern=""), poem, place, characters


def _are_characters(values: list[Any]) -> bool:
    few = len(values) <= _MOST
    return few and all(isinstance(each, str) and HANZI.fullmatch(each) for each in values)


def _wrong(param: str, what: str) -> RefusedError:
    return RefusedError(400, f"`{param}` {what}.", param=param)

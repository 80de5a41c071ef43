"""What the poem workshop asks for besides poems: the alternatives that a form allows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from chargen.errors import ChargenError
from chargen.generation.poems.alternatives import fitting
from chargen.generation.poems.asked import read_form
from chargen.generation.poems.forms import MOST_CHARACTERS, MOST_VERSES, Form
from chargen.generation.poems.plan import HANZI
from chargen.options import ServeConfig
from chargen.serving.bodies import read_json
from chargen.serving.fields import Fields
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
        fields = Fields(body, ("form", "poem", "place", "characters"))
        form, poem, place, characters = _asked(fields)
        async with self._models.using(request.path_params["name"]) as model:
            engine = model.engine
            if engine is None or engine.answers:
                raise RefusedError(400, "This run writes no poems.", param="name")

            def found() -> list[str]:
                task = engine.poet.task(form, "")
                size = task.plan.characters
                if len(poem) != size * task.plan.verses:
                    fields.refuse("poem", f"should have {size * task.plan.verses} characters")
                if place >= len(poem):
                    fields.refuse("place", f"should be less than {len(poem)}")
                verses = [poem[n : n + size] for n in range(0, len(poem), size)]
                return fitting(verses, place, characters, task)

            try:
                return json_response({"fitting": await in_thread(found)})
            except ChargenError as error:
                raise RefusedError.of(error, param="form") from error


def _asked(fields: Fields) -> tuple[Form, str, int, list[str]]:
    """The form without what it gives, a poem's characters, a place, and what may stand there."""
    given = fields.values.get("form")
    if not isinstance(given, (str, dict)):
        fields.refuse("form", "should be a name or an object")
    form, problems = read_form(given)
    if form is None or form.name == "couplet":
        words = f"{problems[0]}." if problems else "The form should have verses."
        raise RefusedError(400, words, param="form")
    longest = MOST_VERSES * MOST_CHARACTERS
    poem, place = fields.text("poem", longest), fields.whole("place", 0, longest)
    if poem is None or not all(map(HANZI.fullmatch, poem)):
        fields.refuse("poem", "should be Chinese characters")
    if place is None:
        fields.refuse("place", "should be the number of a character")
    characters = fields.values.get("characters")
    if not isinstance(characters, list) or not _are_characters(characters):
        fields.refuse("characters", f"should be a list of at most {_MOST} Chinese characters")
    return replace(form, acrostic="", pattern=""), poem, place, characters


def _are_characters(values: list[Any]) -> bool:
    few = len(values) <= _MOST
    return few and all(isinstance(each, str) and HANZI.fullmatch(each) for each in values)

"""What the page shows of runs besides their texts: how they learnt, and what they copy."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from chargen.corpus.prepared import PreparedCorpus
from chargen.corpus.reading import read_text
from chargen.corpus.shipped import SHIPPED, shipped_text
from chargen.errors import ChargenError
from chargen.evaluation.copying import CopyFinder, check_size
from chargen.options import ServeConfig
from chargen.runs.folder import RunFolder
from chargen.runs.metrics import read_metrics
from chargen.runs.places import Places
from chargen.serving.bodies import read_json
from chargen.serving.fields import Fields
from chargen.serving.models import Models
from chargen.serving.refusals import RefusedError, json_response
from chargen.serving.threads import in_thread

_POINTS = 600
"""Of the curve of training losses: more can't be seen."""
_SAMPLES = 400
_FINDERS = 2
"""Corpora that are kept sorted."""
_LEAST = 12
"""Characters of a run that counts as copied."""


class Records:
    """The endpoints below ``/runs/NAME/``.

    Args:
        models: the runs.
        config: the limits.
    """

    def __init__(self, models: Models, config: ServeConfig) -> None:
        self._models, self._config = models, config
        self._finders: OrderedDict[Path, CopyFinder] = OrderedDict()
        self._turn = asyncio.Lock()  # one at a time: the engine needs the processor, too

    def routes(self) -> list[Route]:
        return [
            Route("/runs/{name:path}/record", self._record),
            Route("/runs/{name:path}/copies", self._copies, methods=["POST"]),
        ]

    async def _record(self, request: Request) -> Response:
        path = self._models.path_of(request.path_params["name"])
        try:
            return json_response(await in_thread(lambda: record_of(read_metrics(path))))
        except ChargenError as error:
            raise RefusedError.of(error, param="name") from error

    async def _copies(self, request: Request) -> Response:
        path = self._models.path_of(request.path_params["name"])
        body = await read_json(request.scope, request.receive, self._config.max_body)
        fields = Fields(body, ("text",))
        text = fields.text("text", self._config.max_prompt + self._config.max_length)
        if text is None:
            fields.refuse("text", "is missing")
        try:
            copies = await in_thread(lambda: self._found(path, text), self._turn)
        except ChargenError as error:
            raise RefusedError(404, f"{error.message} {error.remedy}", code="no_corpus") from error
        if copies is None:
            words = "The text that this run has learnt isn't here."
            raise RefusedError(404, words, code="no_corpus")
        return json_response({"least": _LEAST, "copies": copies})

    def _found(self, run: Path, text: str) -> list[tuple[int, int]] | None:
        finder = self._finder(run)
        return None if finder is None else finder.copies(text, _LEAST)

    def _finder(self, run: Path) -> CopyFinder | None:
        """The finder of what a run has learnt; None where that isn't on this machine."""
        places = Places.read(run)
        folder = places.corpus if places else None
        if folder is None or not folder.is_dir():
            folder = run  # learnt from a text that comes with chargen, perhaps
        if folder not in self._finders:
            learnt = _shipped_text_of(run) if folder == run else _text_of(folder)
            if learnt is None:
                return None
            self._finders[folder] = CopyFinder(learnt)
        self._finders.move_to_end(folder)
        while len(self._finders) > _FINDERS:
            self._finders.popitem(last=False)
        return self._finders[folder]


def _text_of(corpus: Path) -> str:
    opened = PreparedCorpus.open(corpus)
    check_size(opened.tokenizer.utf8_size(opened.train))
    return opened.tokenizer.decode(opened.train)


def _shipped_text_of(run: Path) -> str | None:
    """The part of a shipped text that a run has learnt; None: it has learnt another text."""
    corpus = RunFolder(run).read_config().corpus
    names = {f"{name}.txt" for name in SHIPPED}
    if len(corpus.sources) != 1 or corpus.sources[0].name not in names:
        return None
    path = shipped_text(corpus.sources[0].name)
    if sha256(path.read_bytes()).hexdigest() != corpus.sources[0].sha256:
        return None
    text = read_text(path, corpus.settings)
    return text[: corpus.train_characters] if len(text) == corpus.characters else None


def record_of(lines: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """How a run went, for a picture: curves in the unit of its evaluations, and its samples."""
    of: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        of.setdefault(line["event"], []).append(line)
    started, planned = (of.get(name, [{}])[-1] for name in ("started", "planned"))
    per_nat, unknown = started.get("bits_per_nat", 1.0), started.get("unknown_bits", 0.0)
    steps = of.get("step", [])
    last = lines[-1] if lines else {}
    return {
        "unit": started.get("unit", "bits per character"),
        "mixed": started.get("mixed", False),
        "steps": last.get("step", 0),
        "seconds": last.get("seconds", 0.0),
        "total_steps": planned.get("total_steps"),
        "ended": last.get("reason") if last.get("event") == "finished" else None,
        "characters_per_second": steps[-1].get("chars_per_second") if steps else None,
        "training": [
            [line["step"], line["loss"] * per_nat + unknown]
            for line in _thinned(steps)
            if line["loss"] is not None
        ],
        "validation": [
            [line["step"], line["bits_per_char"]]
            for line in of.get("evaluation", [])
            if line["bits_per_char"] is not None
        ],
        "samples": [
            {"step": line["step"], "text": str(line.get("text", ""))}
            for line in of.get("sample", [])[-_SAMPLES:]
        ],
    }


def _thinned(lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """So many of the lines that they can be told apart, the last one among them."""
    each = max(1, -(-len(lines) // _POINTS))
    return list(lines[::-1][::each])[::-1]

"""``POST /v1/embeddings``: vectors of texts, by a run of any task."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from starlette.types import Receive, Scope, Send

from chargen.errors import ChargenError
from chargen.options import EmbedConfig, ServeConfig, nearest
from chargen.serving.admission import Admission
from chargen.serving.asked import object_in
from chargen.serving.bodies import read_json
from chargen.serving.exchange import Exchange
from chargen.serving.models import Models
from chargen.serving.refusals import RefusedError, to_json
from chargen.serving.threads import in_thread

_FORMATS = ("float", "base64")
_OWN = ("pooling", "normalize")
_KNOWN = ("model", "input", "encoding_format", "dimensions", "user", *_OWN)


@dataclass(frozen=True)
class _Asked:
    """What a body asks for.

    Attributes:
        model: name of the run; None: the first one.
        texts: to embed.
        packed: whether vectors are to be base64 of little-endian float32.
        dimensions: that vectors must have; None: any.
        options: of ``EmbedConfig``.
    """

    model: str | None
    texts: list[str]
    packed: bool
    dimensions: int | None
    options: Mapping[str, Any]


class Embeddings:
    """The endpoint, an ASGI application.

    Args:
        models: the runs.
        admission: counts texts.
        config: the limits.
    """

    def __init__(self, models: Models, admission: Admission, config: ServeConfig) -> None:
        self._models, self._admission, self._config = models, admission, config
        self._turn = asyncio.Lock()  # one request at a time: each takes all threads of torch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange: Exchange = scope["state"]["exchange"]
        self._admission.enter(1)
        try:
            body = object_in(await read_json(scope, receive, self._config.max_body))
            asked = _read(body, self._config)
            try:
                async with asyncio.timeout(self._config.request_timeout):
                    answer = await self._answer(asked, exchange)
            except TimeoutError as error:
                words = f"took longer than {self._config.request_timeout:g} seconds."
                raise RefusedError(504, f"The request {words}", code="timeout") from error
            await exchange.send_json(send, answer)
        finally:
            self._admission.leave(1)

    async def _answer(self, asked: _Asked, exchange: Exchange) -> bytes:
        async with self._turn, self._models.using(asked.model) as model:
            exchange.model = name = model.name
            embed = model.generator.embed
            try:
                vectors = await in_thread(lambda: embed(asked.texts, **asked.options))
            except ChargenError as error:
                raise RefusedError.of(error, param="input") from error
        if asked.dimensions not in (None, vectors.shape[1]):
            words = f"The vectors of {name} have {vectors.shape[1]:,} dimensions."
            raise RefusedError(400, words, param="dimensions")
        rows = vectors.astype("<f4")
        data = [
            {
                "object": "embedding",
                "index": n,
                "embedding": base64.b64encode(row).decode() if asked.packed else row.tolist(),
            }
            for n, row in enumerate(rows)
        ]
        read = sum(map(len, asked.texts))
        usage = {"prompt_tokens": read, "total_tokens": read}
        return to_json({"object": "list", "data": data, "model": name, "usage": usage})


def _read(values: Mapping[str, Any], limits: ServeConfig) -> _Asked:
    """Read a body; null is the same as none.

    Raises:
        RefusedError: it isn't what it should be; ``param`` names the field.
    """
    unknown = next((name for name in values if name not in _KNOWN), None)
    if unknown is not None:
        close = nearest(unknown, _KNOWN)
        hint = f" (did you mean {close}?)" if close else ""
        raise RefusedError(400, f"Unknown field {unknown:.100}{hint}.", param=unknown[:100])
    given = {name: value for name, value in values.items() if value is not None}
    for name in ("model", "user"):
        if not isinstance(given.get(name, ""), str) or len(given.get(name, "")) > 1000:
            _refuse(name, "should be a text of at most 1,000 characters")
    shape = given.get("encoding_format", "float")
    if shape not in _FORMATS:
        _refuse("encoding_format", f"should be one of {', '.join(_FORMATS)}")
    size = given.get("dimensions")
    if size is not None and (not isinstance(size, int) or isinstance(size, bool) or size < 1):
        _refuse("dimensions", "should be a positive integer")
    options = {name: given[name] for name in _OWN if name in given}
    for name, value in options.items():
        if problem := EmbedConfig.entries()[name].problem(value):
            raise RefusedError(400, f"{problem}.", param=name)
    texts = _texts(given.get("input"), limits)
    return _Asked(given.get("model"), texts, shape == "base64", size, options)


def _texts(given: Any, limits: ServeConfig) -> list[str]:
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not all(isinstance(each, str) for each in texts):
        _refuse("input", "should be a text or a list of texts")
    if not 0 < len(texts) <= limits.max_choices:
        _refuse("input", f"should have 1 to {limits.max_choices} texts")
    if max(map(len, texts)) > limits.max_prompt:
        _refuse("input", f"has more than {limits.max_prompt:,} characters")
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        _refuse("input", "has a lone surrogate, which is not a character")
    return texts


def _refuse(name: str, problem: str) -> NoReturn:
    raise RefusedError(400, f"The field {name} {problem}.", param=name)

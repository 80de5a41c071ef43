"""``POST /v1/embeddings``: vectors of texts, by a run of any task."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.types import Receive, Scope, Send

from chargen.errors import ChargenError
from chargen.options import EmbedConfig, ServeConfig
from chargen.serving.admission import Admission
from chargen.serving.bodies import read_json
from chargen.serving.endings import Endings, HungUpError
from chargen.serving.exchange import Exchange
from chargen.serving.fields import Fields
from chargen.serving.models import Models
from chargen.serving.refusals import RefusedError, to_json
from chargen.serving.threads import in_thread

_FORMATS = ("float", "base64")
_OWN = ("pooling", "normalize")
_KNOWN = ("model", "input", "encoding_format", "dimensions", "user", *_OWN)
_MOST_DIMENSIONS = 1 << 20


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
        endings: end answers early.
    """

    def __init__(
        self, models: Models, admission: Admission, config: ServeConfig, endings: Endings
    ) -> None:
        self._models, self._admission = models, admission
        self._config, self._endings = config, endings
        # One request at a time, since each takes all threads of torch. Those that wait hold no run;
        # whoever hangs up leaves the line, while its thread keeps its turn.
        self._line, self._turn = asyncio.Lock(), asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange: Exchange = scope["state"]["exchange"]
        self._admission.enter(1)
        try:
            asked = _read(await read_json(scope, receive, self._config.max_body), self._config)
            async with self._endings.watching(exchange.started, receive):
                answer = await self._answer(asked, exchange)
            await exchange.send_json(send, answer)
        except HungUpError:
            exchange.gone = True
        finally:
            self._admission.leave(1)

    async def _answer(self, asked: _Asked, exchange: Exchange) -> bytes:
        async with self._line, self._models.using(asked.model) as model:
            exchange.model = name = model.name
            embed = model.generator.embed
            try:
                vectors = await in_thread(lambda: embed(asked.texts, **asked.options), self._turn)
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


def _read(body: bytes, limits: ServeConfig) -> _Asked:
    """Read a body.

    Raises:
        RefusedError: it isn't what it should be; ``param`` names the field.
    """
    fields = Fields(body, _KNOWN)
    fields.text("user")
    shape = fields.values.get("encoding_format", "float")
    if shape not in _FORMATS:
        fields.refuse("encoding_format", f"should be one of {', '.join(_FORMATS)}")
    return _Asked(
        fields.text("model"),
        fields.texts("input", limits.max_choices, limits.max_prompt),
        shape == "base64",
        fields.whole("dimensions", 1, _MOST_DIMENSIONS),
        fields.options(EmbedConfig, _OWN),
    )

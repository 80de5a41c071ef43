"""The JSON of completions, as OpenAI's API has it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from itertools import count
from typing import Any

from chargen.generation.requests import Drawn
from chargen.serving.asked import Asked
from chargen.serving.flow import Text, Texts
from chargen.serving.refusals import to_json

_HERE, _NUMBERS = secrets.token_hex(6), count(1)
"""What ids are made of. Random numbers for each would let go of Python's lock, and wait for it."""


class Answer:
    """The answer to one request.

    Args:
        asked: the request.
        model: name of the run.
        fingerprint: of its weights.
        prompts: what the characters of each text's prompt cost, where the prompts are to be
            echoed with probabilities.
    """

    def __init__(
        self, asked: Asked, model: str, fingerprint: str, prompts: Sequence[Sequence[Drawn]]
    ) -> None:
        self._asked, self._prompts = asked, prompts
        self._head = {
            "id": f"cmpl-{_HERE}{next(_NUMBERS):012x}",
            "object": "text_completion",
            "created": int(time.time()),
            "model": model,
            "system_fingerprint": fingerprint,
        }
        # What all events of a stream have in common is made once.
        self._before = b"data: " + to_json({**self._head, "choices": []}).removesuffix(b"]}")
        self._after = b'],"usage":null}\n\n' if asked.include_usage else b"]}\n\n"
        self._offsets = [0] * len(asked.requests)
        self._begun = [False] * len(asked.requests)

    def whole(self, flow: Texts) -> bytes:
        """The answer in one piece."""
        choices = [self._choice(n, text) for n, text in enumerate(flow.texts)]
        return to_json({**self._head, "choices": choices, "usage": self._usage(flow)})

    def events(self, flow: Texts) -> bytes:
        """Events with what is new of each text."""
        return b"".join(
            self._before + to_json(self._choice(n, text)) + self._after
            for n, text in enumerate(flow.texts)
            if text.has_news
        )

    def last_events(self, flow: Texts) -> bytes:
        """The lengths, if they were asked for, and the end of a stream."""
        if not self._asked.include_usage:
            return END
        return event({**self._head, "choices": [], "usage": self._usage(flow)}) + END

    def _choice(self, n: int, text: Text) -> dict[str, Any]:
        new, drawn = text.take()
        costs = None if self._asked.logprobs is None else list(drawn)
        if self._asked.echo and not self._begun[n]:
            new = text.request.prompt + new
            if costs is not None:
                costs = [*self._prompts[n], *costs]
        self._begun[n] = True
        reason = None
        if text.result is not None:  # OpenAI knows two: long enough, and ended
            reason = "length" if text.result.finish_reason == "length" else "stop"
        return {
            "index": n,
            "text": new,
            "logprobs": None if costs is None else self._logprobs(n, costs),
            "finish_reason": reason,
            "seed": text.request.seed,
        }

    def _logprobs(self, n: int, costs: Sequence[Drawn]) -> dict[str, Any]:
        """Tokens are characters. The one drawn is always among the likely ones, as OpenAI does."""
        offsets = []
        for each in costs:
            offsets.append(self._offsets[n])
            self._offsets[n] += len(each.character)
        gates = {}
        if any(each.gate is not None for each in costs):
            gates["gates"] = [each.gate for each in costs]
        return {
            "tokens": [each.character for each in costs],
            "token_logprobs": [each.nats for each in costs],
            "top_logprobs": [{**dict(each.likely), each.character: each.nats} for each in costs],
            "text_offset": offsets,
            **gates,
        }

    def _usage(self, flow: Texts) -> dict[str, int]:
        """Lengths in characters; a prompt counts once, however many texts it has."""
        read, written = self._asked.read, flow.characters
        return {
            "prompt_tokens": read,
            "completion_tokens": written,
            "total_tokens": read + written,
        }


END = b"data: [DONE]\n\n"
"""The end of every stream."""


def event(value: Any) -> bytes:
    """A server-sent event."""
    return b"data: " + to_json(value) + b"\n\n"

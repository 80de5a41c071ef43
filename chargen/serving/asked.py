"""What the body of ``POST /v1/completions`` asks for, field by field."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from chargen.generation.poems.asked import read_form
from chargen.generation.poems.forms import Form
from chargen.generation.requests import Request
from chargen.generation.seeds import text_seeds
from chargen.options import BatchConfig, SamplingConfig, ServeConfig, nearest
from chargen.serving.refusals import RefusedError

MOST_LOGPROBS = 20
MOST_STOPS, LONGEST_STOP = 16, 200
_MOST_ODDS = 1 << 18
"""Probabilities in an answer: each takes a hundred bytes."""
_OWN = (
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "recall",
    "repetition_penalty",
    "loop_penalty",
    "loop_length",
    "end",
    "label",
)
"""Options of sampling that have their own names in a body."""
_UNUSED: Mapping[str, tuple[Any, ...]] = {
    "best_of": (1,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logit_bias": ({},),
}
"""Fields of OpenAI's that chargen has nothing for, and the values that ask for nothing."""
_NOT_WITH_SUFFIX = ("stop", "logprobs", "form", *(n for n in _OWN if n != "temperature"))
_KNOWN = (
    *("model", "prompt", "max_tokens", "n", "stop", "seed", "stream", "stream_options"),
    *("logprobs", "echo", "form", "suffix", "user", *_OWN, *_UNUSED),
)


@dataclass(frozen=True)
class Asked:
    """A request for completions.

    Attributes:
        model: name of the run; None: the first one.
        requests: a text each, prompt by prompt.
        stream, include_usage: whether texts come as events, and their lengths at the end.
        logprobs: how many alternatives are reported; None: no probabilities at all.
        echo: whether the prompt stands before its text.
        read: characters of all prompts, and of the suffix with each.
        suffix: what follows the gap that each text fills; empty: the texts go on without an end.
    """

    model: str | None
    requests: tuple[Request, ...]
    stream: bool
    include_usage: bool
    logprobs: int | None
    echo: bool
    read: int
    suffix: str = ""

    @property
    def of_a_form(self) -> bool:
        return self.requests[0].form is not None


def read_body(data: bytes, limits: ServeConfig) -> Asked:
    """Read a body.

    Raises:
        RefusedError: it isn't what it should be; ``param`` names the field.
    """
    return _Reader(object_in(data), limits).asked()


def object_in(data: bytes) -> dict[str, Any]:
    """The JSON object that a body is; RefusedError where it is none."""
    try:
        values = json.loads(data.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise RefusedError(400, f"The body is not JSON: {error}.", code="invalid_json") from error
    if not isinstance(values, dict):
        raise RefusedError(400, "The body is not a JSON object.", code="invalid_json")
    return values


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


class _Reader:
    """The fields of a body; null is the same as none."""

    def __init__(self, values: Mapping[str, Any], limits: ServeConfig) -> None:
        unknown = next((name for name in values if name not in _KNOWN), None)
        if unknown is not None:
            close = nearest(unknown, _KNOWN)
            hint = f" (did you mean {close}?)" if close else ""
            raise RefusedError(400, f"Unknown field {unknown:.100}{hint}.", param=unknown[:100])
        self._values = {name: value for name, value in values.items() if value is not None}
        self._limits = limits

    def asked(self) -> Asked:
        for name, nothing in _UNUSED.items():
            if name in self._values and self._values[name] not in nothing:
                self._refuse(name, "is not supported")
        model = self._text("model", 1000)
        stream = self._flag("stream")
        logprobs = self._whole("logprobs", 0, MOST_LOGPROBS)
        self._text("user", 1000)
        suffix, prompts = self._suffix(), self._prompts()
        return Asked(
            model=model,
            requests=self._requests(prompts, logprobs),
            stream=stream,
            include_usage=self._include_usage(stream),
            logprobs=logprobs,
            echo=self._flag("echo"),
            read=sum(map(len, prompts)) + len(suffix) * len(prompts),
            suffix=suffix,
        )

    def _requests(self, prompts: list[str], logprobs: int | None) -> tuple[Request, ...]:
        """The texts: each prompt's have the seeds that ``chargen sample`` would give them."""
        n = self._whole("n", 1, self._limits.max_choices) or 1
        if n * len(prompts) > self._limits.max_choices:
            self._refuse("n", f"asks for more than {self._limits.max_choices} texts altogether")
        config, form = self._sampling(), self._form()
        if form is not None and config.stop:
            self._refuse("stop", "can't be used with a form, which ends where the form says")
        if logprobs is not None and n * len(prompts) * config.length * (1 + logprobs) > _MOST_ODDS:
            self._refuse("logprobs", f"asks for more than {_MOST_ODDS:,} probabilities altogether")
        given = self._values.get("seed")
        if given is not None and (problem := BatchConfig.entries()["seed"].problem(given)):
            raise RefusedError(400, f"{problem}.", param="seed")
        return tuple(
            Request(prompt, config, seed, form, alternatives=logprobs)
            for prompt in prompts
            for seed in text_seeds(secrets.randbelow(2**31) if given is None else given, n)
        )

    def _prompts(self) -> list[str]:
        given = self._values.get("prompt", "")
        prompts = [given] if isinstance(given, str) else given
        if not isinstance(prompts, list) or not all(isinstance(each, str) for each in prompts):
            self._refuse("prompt", "should be a text or a list of texts")
        if not prompts:
            self._refuse("prompt", "is an empty list")
        if len(prompts) > self._limits.max_choices:
            self._refuse("prompt", f"has more than {self._limits.max_choices} texts")
        if max(map(len, prompts)) > self._limits.max_prompt:
            self._refuse("prompt", f"has more than {self._limits.max_prompt:,} characters")
        for each in prompts:
            self._writable("prompt", each)
        return prompts

    def _suffix(self) -> str:
        suffix = self._text("suffix", self._limits.max_prompt) or ""
        self._writable("suffix", suffix)
        if suffix and "max_tokens" not in self._values:
            self._refuse("max_tokens", "is needed with suffix: it is the length of the gap")
        for name in _NOT_WITH_SUFFIX if suffix else ():
            if name in self._values:
                self._refuse(name, "has no meaning with suffix")
        return suffix

    def _sampling(self) -> SamplingConfig:
        entries, values = SamplingConfig.entries(), {}
        for name in _OWN:
            if name in self._values:
                value = self._labels() if name == "label" else self._values[name]
                value = entries[name].normalised(value)
                if problem := entries[name].problem(value):
                    raise RefusedError(400, f"{problem}.", param=name)
                values[name] = value
        most = self._limits.max_length
        length = self._whole("max_tokens", 0, most)
        values["length"] = min(SamplingConfig.length, most) if length is None else length
        values["stop"] = self._stops()
        if problems := SamplingConfig.conflicts_in(values):
            raise RefusedError(400, f"{problems[0]}.", param="stop")
        return SamplingConfig(**values)

    def _stops(self) -> tuple[str, ...]:
        given = self._values.get("stop", [])
        stops = [given] if isinstance(given, str) else given
        if not isinstance(stops, list) or not all(isinstance(each, str) for each in stops):
            self._refuse("stop", "should be a text or a list of texts")
        if len(stops) > MOST_STOPS:
            self._refuse("stop", f"has more than {MOST_STOPS} texts")
        if any(len(each) > LONGEST_STOP for each in stops):
            self._refuse("stop", f"has a text of more than {LONGEST_STOP} characters")
        return tuple(stops)

    def _labels(self) -> Any:
        """``{"author": "李白"}`` as ``["author=李白"]``, and weights likewise."""
        given = self._values["label"]
        lines = given
        if isinstance(given, dict):
            lines = [f"{key}={_mixture(value)}" for key, value in given.items()]
        for each in lines if isinstance(lines, list) else [lines]:
            if isinstance(each, str):
                self._writable("label", each)
        return lines

    def _form(self) -> Form | None:
        given = self._values.get("form")
        if given is not None and not isinstance(given, (str, dict)):
            self._refuse("form", "should be a name or an object")
        form, problems = read_form(given)
        if problems:
            raise RefusedError(400, f"{problems[0]}.", param="form")
        if form is not None:
            size = form.verses * (form.characters or 7)
            self._writable("form", form.acrostic)
            if size > self._limits.max_length:
                self._refuse("form", f"has more than {self._limits.max_length:,} characters")
        return form

    def _include_usage(self, stream: bool) -> bool:
        options = self._values.get("stream_options", {})
        if not isinstance(options, dict):
            self._refuse("stream_options", "should be an object")
        if options and not stream:
            self._refuse("stream_options", "has a meaning only with stream")
        if unknown := options.keys() - {"include_usage", "include_obfuscation"}:
            self._refuse("stream_options", f"has the unknown field {min(unknown):.100}")
        wanted = options.get("include_usage")
        if not isinstance(wanted, bool | None):
            self._refuse("stream_options", "has an include_usage that is neither true nor false")
        return bool(wanted)

    def _flag(self, name: str) -> bool:
        value = self._values.get(name, False)
        if not isinstance(value, bool):
            self._refuse(name, "should be true or false")
        return value

    def _whole(self, name: str, low: int, high: int) -> int | None:
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            self._refuse(name, f"should be an integer from {low} to {high:,}")
        return value

    def _text(self, name: str, longest: int) -> str | None:
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, str) or len(value) > longest:
            self._refuse(name, f"should be a text of at most {longest:,} characters")
        return value

    def _writable(self, name: str, text: str) -> None:
        try:
            text.encode()
        except UnicodeEncodeError:
            self._refuse(name, "has a lone surrogate, which is not a character")

    def _refuse(self, name: str, problem: str) -> NoReturn:
        raise RefusedError(400, f"The field {name} {problem}.", param=name)


def _mixture(values: Any) -> str:
    if not isinstance(values, dict):
        return str(values)
    return ",".join(f"{value}:{weight}" for value, weight in values.items())

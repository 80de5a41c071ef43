"""``POST /v1/completions``."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable, Sequence
from functools import partial

from starlette.types import Receive, Scope, Send

from chargen.errors import ChargenError, ConfigError
from chargen.generation.engine import Engine
from chargen.generation.generator import Generator
from chargen.generation.requests import Drawn, Request
from chargen.options import ServeConfig
from chargen.serving.admission import Admission
from chargen.serving.answers import END, Answer, event
from chargen.serving.asked import Asked, read_body
from chargen.serving.bodies import read_json
from chargen.serving.endings import Endings, HungUpError
from chargen.serving.exchange import Exchange
from chargen.serving.filling import Fillings
from chargen.serving.flow import Flow
from chargen.serving.metrics import Metrics
from chargen.serving.model import Model
from chargen.serving.models import Models
from chargen.serving.refusals import RefusedError
from chargen.serving.threads import in_thread

_SLOW_READER = 5.0
"""Seconds that a client has to take the last event of a stream that failed."""
_SHORT = 2000
"""Characters of prompts that are checked without a thread."""


class Completions:
    """The endpoint, an ASGI application.

    Args:
        models: the runs.
        admission: counts texts.
        metrics: counts the rest.
        config: the limits.
        endings: end answers early.
    """

    def __init__(
        self,
        models: Models,
        admission: Admission,
        metrics: Metrics,
        config: ServeConfig,
        endings: Endings,
    ) -> None:
        self._models, self._admission = models, admission
        self._metrics, self._config, self._endings = metrics, config, endings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange: Exchange = scope["state"]["exchange"]
        taken, started = 1, time.perf_counter()
        self._admission.enter(1)
        finished = False
        try:
            asked = read_body(await read_json(scope, receive, self._config.max_body), self._config)
            self._admission.enter(len(asked.requests) - taken, held=taken)
            taken = len(asked.requests)
            async with contextlib.AsyncExitStack() as stack:
                using = self._models.using(asked.model, form=asked.of_a_form)
                if self._models.is_there(asked.model, form=asked.of_a_form):
                    model = await stack.enter_async_context(using)
                else:
                    async with self._endings.watching(exchange.started, receive):
                        model = await stack.enter_async_context(using)
                exchange.model = model.name
                await self._answer(asked, model, exchange, receive, send)
            finished = exchange.status == 200
        except HungUpError:
            exchange.gone = True
        finally:
            seconds = time.perf_counter() - started if finished else None
            self._admission.leave(taken, seconds)

    async def _answer(
        self, asked: Asked, model: Model, exchange: Exchange, receive: Receive, send: Send
    ) -> None:
        task = model.generator.loaded.config.model.task
        if asked.suffix and task == "infill":
            await self._fill(asked, model, exchange, receive, send)
            return
        if asked.suffix:
            words = f"{model.name} has learnt the task {task}, and fills no gaps before a suffix."
            raise RefusedError(400, words, param="suffix")
        if model.engine is None or model.worker is None:
            more = " without a suffix" if task == "infill" else ""
            words = f"{model.name} has learnt the task {task}, and writes no texts{more}."
            raise RefusedError(400, words, param="model")
        flow = Flow(asked.requests, model.worker, self._metrics, exchange.started)
        try:
            async with self._endings.watching(exchange.started, receive):
                prompts = await _checked(asked, model, model.engine, self._config)
                answer = Answer(asked, model.name, model.fingerprint, prompts)
                flow.begin()
                if asked.stream:
                    await self._stream(flow, answer, exchange, send)
                else:
                    await flow.finished()
            if not asked.stream:
                await exchange.send_json(send, answer.whole(flow))
        except HungUpError:
            raise
        except Exception as error:
            if isinstance(error, ChargenError):  # such as a poem that kept its rules in no draft
                error = RefusedError.of(error, param=_subject(asked.requests[0]))
            if not exchange.streaming:
                raise error
            await end_with(error, exchange, send)
        finally:
            flow.cancel()
            exchange.characters = flow.characters

    async def _fill(
        self, asked: Asked, model: Model, exchange: Exchange, receive: Receive, send: Send
    ) -> None:
        """Fill gaps; a stream has all of a text in one event, since a gap is filled as a whole."""
        fillings = Fillings(asked.requests, asked.suffix, model)
        async with self._endings.watching(exchange.started, receive):
            await fillings.finished()
        answer = Answer(asked, model.name, model.fingerprint, [()] * len(asked.requests))
        exchange.characters = fillings.characters
        self._metrics.wrote(fillings.characters)
        if asked.stream:
            events = answer.events(fillings) + answer.last_events(fillings)
            await exchange.send_events(send, events, last=True)
        else:
            await exchange.send_json(send, answer.whole(fillings))

    async def _stream(self, flow: Flow, answer: Answer, exchange: Exchange, send: Send) -> None:
        """Send what the engine hands out when it does so: rarely, where there are many texts."""
        await flow.news()
        while not flow.done:
            await exchange.send_events(send, answer.events(flow))
            await flow.news()
        await flow.finished()
        last = answer.events(flow) + answer.last_events(flow)
        await exchange.send_events(send, last, last=True)


async def end_with(error: Exception, exchange: Exchange, send: Send) -> None:
    """End a stream that has begun with an error as an event."""
    exchange.error = error
    try:
        async with asyncio.timeout(_SLOW_READER):
            await exchange.send_events(send, event(RefusedError.of(error).body()) + END, last=True)
    except TimeoutError:
        raise HungUpError from error


async def _checked(
    asked: Asked, model: Model, engine: Engine, limits: ServeConfig
) -> Sequence[Sequence[Drawn]]:
    """Check texts that are asked for; what their prompts cost, if that is to be reported.

    Raises:
        RefusedError: the run can't do what is asked for.
    """
    if engine.answers:
        asked.check_lengths(limits, answers=True)
    requests = {request.prompt: request for request in asked.requests}
    scored = asked.echo and asked.logprobs is not None
    if scored and engine.answers:
        words = f"{model.name} answers lines, and knows no probabilities of the lines themselves."
        raise RefusedError(400, f"{words} Leave echo or logprobs out.", param="logprobs")
    if scored or sum(map(len, requests)) > _SHORT or asked.requests[0].form is not None:
        await in_thread(lambda: _check(requests.values(), engine))
    else:
        _check(requests.values(), engine)
    if not scored:
        return [()] * len(asked.requests)
    costs = {
        prompt: await in_thread(partial(_costs, model.generator, request), model.turn)
        for prompt, request in requests.items()
    }
    return [costs[request.prompt] for request in asked.requests]


def _check(requests: Iterable[Request], engine: Engine) -> None:
    for request in requests:
        try:
            engine.check(request)
        except ConfigError as error:  # what a run can do isn't known before it is there
            param = "label" if request.config.label else _subject(request)
            raise RefusedError.of(error, param=param) from error
        except ChargenError as error:
            raise RefusedError.of(error, param=_subject(request)) from error


def _subject(request: Request) -> str:
    """The field that is wrong where a text can't be made."""
    return "form" if request.form else "prompt"


def _costs(generator: Generator, request: Request) -> Sequence[Drawn]:
    """What each character of a prompt costs, as the text's own do: with its labels."""
    prompt, label = request.prompt, request.config.label
    if not prompt:
        return ()
    scores = generator.score_characters(prompt, label=label)
    gates: Sequence[float | None] = [None] * len(scores.text)
    if generator.loaded.ngram is not None:
        gates = generator.gate_characters(prompt, label)
    each = zip(scores.text, scores.nats.tolist(), gates, strict=True)
    return [Drawn(character, -nats, (), gate) for character, nats, gate in each]

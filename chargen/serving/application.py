"""The endpoints, and what answers where there is none."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Lifespan, Receive, Scope, Send

from chargen.errors import ChargenError
from chargen.serving.completions import Completions
from chargen.serving.embeddings import Embeddings
from chargen.serving.metrics import CONTENT_TYPE, Metrics
from chargen.serving.models import Models
from chargen.serving.page_files import page_routes
from chargen.serving.refusals import RefusedError, json_response

_COMPLETIONS = "/v1/completions"


class Status:
    """Whether the server takes requests.

    Attributes:
        loading: the first run isn't there yet.
        draining: the server finishes what runs, and ends.
    """

    def __init__(self) -> None:
        self.loading, self.draining = True, False

    @property
    def word(self) -> str:
        return "draining" if self.draining else "loading" if self.loading else "ok"

    def check(self) -> None:
        """Raise RefusedError, 503, where nothing is taken."""
        if self.word != "ok":
            raise RefusedError(
                503, f"The server is {self.word}. Try again later.", code=self.word, retry_after=2
            )


def application(
    status: Status,
    completions: Completions,
    embeddings: Embeddings,
    models: Models,
    metrics: Metrics,
    more: Sequence[Route],
    lifespan: Lifespan[Starlette],
) -> ASGIApp:
    """The application, without what stands before it."""

    async def embed(scope: Scope, receive: Receive, send: Send) -> None:
        status.check()
        await embeddings(scope, receive, send)

    async def health(_request: Request) -> Response:
        ready = status.word == "ok"
        headers = None if ready else {"retry-after": "2"}
        return json_response({"status": status.word}, 200 if ready else 503, headers)

    async def list_models(_request: Request) -> Response:
        return json_response({"object": "list", "data": await models.describe_all()})

    async def one_model(request: Request) -> Response:
        return json_response(await models.describe(request.path_params["name"]))

    async def report(_request: Request) -> Response:
        return Response(metrics.report(), headers={"content-type": CONTENT_TYPE})

    async def refused(_request: Request, error: Exception) -> Response:
        return RefusedError.of(error).response()

    async def unknown(request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            raise error
        return _refusal_of(request, error).response(error.headers)

    made = Starlette(
        routes=[
            Route(_COMPLETIONS, _Endpoint(completions), methods=["POST"]),
            Route("/v1/embeddings", _Endpoint(embed), methods=["POST"]),
            Route("/v1/models", list_models),
            Route("/v1/models/{name:path}", one_model),
            Route("/health", health),
            Route("/metrics", report),
            *more,
            *page_routes(),
        ],
        exception_handlers={
            **dict.fromkeys((RefusedError, ChargenError, Exception), refused),
            HTTPException: unknown,
        },
        lifespan=lifespan,
    )
    made.router.redirect_slashes = False
    return _before(made, status, completions)


def _before(made: ASGIApp, status: Status, completions: Completions) -> ASGIApp:
    """Completions, which are most of what is asked for, without starlette's layers."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("path") == _COMPLETIONS and scope["method"] == "POST":
            status.check()
            await completions(scope, receive, send)
        else:
            await made(scope, receive, send)

    return answer


class _Endpoint:
    """An ASGI application for a route, which takes a bare function for something else."""

    def __init__(self, app: object) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)  # type: ignore[operator]


def _refusal_of(request: Request, error: HTTPException) -> RefusedError:
    where = request.url.path[:200]
    if error.status_code == 404:
        return RefusedError(404, f"There is nothing at {where}.", code="not_found")
    if error.status_code == 405:
        return RefusedError(
            405, f"{request.method:.20} is not for {where}.", code="method_not_allowed"
        )
    return RefusedError(error.status_code, str(error.detail))

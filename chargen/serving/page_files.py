"""The page's own files, as they lie in ``page/``."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from chargen.serving.refusals import RefusedError

_FOLDER = Path(__file__).parent / "page"
_INDEX = "index.html"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
}


@dataclass(frozen=True)
class _File:
    content: bytes
    kind: str
    tag: str

    def answer(self, request: Request) -> Response:
        # Asked for again each time: a page of another release must not be made of both.
        headers = {"cache-control": "no-cache", "etag": self.tag, "content-type": self.kind}
        if request.headers.get("if-none-match") == self.tag:
            return Response(status_code=304, headers=headers)
        return Response(self.content, headers=headers)


def page_routes() -> list[Route]:
    """The routes of the page: ``/``, and ``/static/NAME`` for what it loads."""
    files = {path.name: _read(path) for path in _FOLDER.iterdir() if path.suffix in _TYPES}

    async def index(request: Request) -> Response:
        return files[_INDEX].answer(request)

    async def static(request: Request) -> Response:
        found = files.get(request.path_params["name"])
        if found is None:
            raise RefusedError(404, "The page has no such file.", code="not_found")
        return found.answer(request)

    return [Route("/", index), Route("/static/{name}", static)]


def _read(path: Path) -> _File:
    content = path.read_bytes()
    return _File(content, _TYPES[path.suffix], f'"{sha256(content).hexdigest()[:32]}"')

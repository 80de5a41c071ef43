"""What the server says where it can't do what it is asked for, in OpenAI's shape."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from chargen.errors import ChargenError

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
"""An encoder that is made once: ``json.dumps`` would make one for each value."""


class RefusedError(Exception):
    """A request that is not fulfilled.

    Args:
        status: of the answer.
        message: what is wrong and what to do.
        param: the field that is wrong, if it is one.
        code: a word for programs.
        retry_after: seconds after which another try makes sense.
        close: whether the connection must end, since the rest of the request isn't read.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after: int | None = None,
        close: bool = False,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code
        self.headers: dict[str, str] = {}
        if retry_after is not None:
            self.headers["retry-after"] = str(retry_after)
        if close:
            self.headers["connection"] = "close"
        if status == 401:
            self.headers["www-authenticate"] = "Bearer"

    @property
    def kind(self) -> str:
        """The type of the error, as OpenAI names it."""
        if self.status == 429:
            return "rate_limit_error"
        return "server_error" if self.status >= 500 else "invalid_request_error"

    def body(self) -> dict[str, Any]:
        """The JSON of the answer."""
        return {
            "error": {
                "message": self.message,
                "type": self.kind,
                "param": self.param,
                "code": self.code,
            }
        }

    def response(self, headers: Mapping[str, str] | None = None) -> Response:
        return json_response(self.body(), self.status, {**self.headers, **(headers or {})})

    @classmethod
    def of(cls, error: Exception, *, param: str | None = None) -> RefusedError:
        """What is said of an error: of what chargen's own checks reject, their words and remedy.

        Of a bug little is said; the log has the rest.
        """
        if isinstance(error, RefusedError):
            return error
        if isinstance(error, ChargenError):
            remedy = "Change it." if "oov_prompt" in error.remedy else error.remedy
            return cls(400, f"{error.message} {remedy}".rstrip(), param=param)
        return cls(500, "The server failed. Its log says why.", code="internal_error")


def to_json(value: Any) -> bytes:
    return _encode(value).encode(errors="backslashreplace")


def json_response(
    value: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    return Response(to_json(value), status, headers, media_type="application/json")

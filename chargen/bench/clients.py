"""Clients of a server in one thread, which do no more than they must while time runs.

They share the processor with the server, so that what they spend would be counted as its time. What
came is kept as it is, and read afterwards.
"""

from __future__ import annotations

import http.client
import json
import selectors
import socket
import time
from collections.abc import Sequence

from chargen.errors import GenerationError
from chargen.generation.requests import Request

_SILENCE = 60.0
"""Seconds without a byte after which a server is given up."""
_OK = b"HTTP/1.1 200"
_END = b"\r\n0\r\n\r\n"
"""The end of an answer in chunks; within one, JSON spells line ends otherwise."""


class Answer:
    """A streamed answer as it came.

    Attributes:
        raw: its bytes.
        first: seconds to the first of them.
    """

    def __init__(self) -> None:
        self.raw, self.first = bytearray(), 0.0
        self.begun = time.perf_counter()

    def add(self, data: bytes) -> bool:
        """Take bytes; whether the answer is complete.

        Raises:
            GenerationError: it is no answer.
        """
        if not self.raw:
            self.first = time.perf_counter() - self.begun
        self.raw += data
        if not data or not self.raw.startswith(_OK[: len(self.raw)]):
            raise GenerationError("The server gave no text.", f"It answered {self.raw[:200]!r}.")
        return self.raw.endswith(_END)

    def text(self) -> str:
        """The text of all events.

        Raises:
            GenerationError: the stream didn't end as it should.
        """
        _, _, rest = bytes(self.raw).partition(b"\r\n\r\n")
        body = bytearray()
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            count = int(size, 16)
            body += rest[:count]
            rest = rest[count + 2 :]
        *events, end, nothing = body.decode().split("\n\n")
        if (end, nothing) != ("data: [DONE]", ""):
            raise GenerationError("A stream has no end.", f"It ended with {end!r}.")
        choices = (json.loads(event.removeprefix("data: "))["choices"] for event in events)
        return "".join(choice["text"] for each in choices for choice in each)


class _Client:
    """A connection that asks for its texts, one after the other."""

    def __init__(self, port: int, texts: Sequence[Request]) -> None:
        self._asked = [_asked(each, last=each is texts[-1]) for each in texts]
        self.answers: list[Answer] = []
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._ask()

    def _ask(self) -> None:
        self.answers.append(Answer())
        self.socket.sendall(self._asked[len(self.answers) - 1])

    def read(self) -> bool:
        """Read what is there; whether all texts are."""
        if not self.answers[-1].add(self.socket.recv(1 << 16)):
            return False
        if len(self.answers) == len(self._asked):
            return True
        self._ask()
        return False


def ask(port: int, clients: Sequence[Sequence[Request]]) -> list[list[Answer]]:
    """Let clients ask for streamed texts at the same time, each for one after the other.

    Args:
        port: of a server on this machine.
        clients: what each asks for, over one connection.

    Raises:
        GenerationError: an answer is no text, or doesn't come.
    """
    with selectors.DefaultSelector() as waiting:
        asking = []
        for texts in clients:
            asking.append(_Client(port, texts))
            waiting.register(asking[-1].socket, selectors.EVENT_READ, asking[-1])
        left = len(asking)
        try:
            while left:
                ready = waiting.select(_SILENCE)
                if not ready:
                    raise GenerationError("The server is silent.", "Its messages are above.")
                for key, _ in ready:
                    if key.data.read():
                        waiting.unregister(key.fileobj)
                        left -= 1
        finally:
            for client in asking:
                client.socket.close()
    return [client.answers for client in asking]


def ask_for_one(port: int, request: Request) -> str:
    """Ask for one text, which is not streamed.

    Raises:
        GenerationError: the answer is no text.
        OSError: nobody listens.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_SILENCE)
    try:
        body = json.dumps(_fields(request))
        connection.request("POST", "/v1/completions", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        data = answer.read()
    except http.client.HTTPException as error:
        raise GenerationError("The server gave no text.", f"{error!r}.") from error
    finally:
        connection.close()
    if answer.status != http.client.OK:
        raise GenerationError("The server gave no text.", f"It answered {data[:200]!r}.")
    text: str = json.loads(data)["choices"][0]["text"]
    return text


def _fields(request: Request) -> dict[str, object]:
    config = request.config
    return {
        "prompt": request.prompt,
        "max_tokens": config.length,
        "seed": request.seed,
        "temperature": config.temperature,
    }


def _asked(request: Request, *, last: bool) -> bytes:
    body = json.dumps({**_fields(request), "stream": True}).encode()
    head = (
        f"POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Connection: {'close' if last else 'keep-alive'}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body

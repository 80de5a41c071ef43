"""The server: its socket, its signals, its beginning and its end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import uvicorn
from starlette.applications import Starlette

from chargen.errors import ConfigError
from chargen.generation.generator import Generator
from chargen.options import ServeConfig
from chargen.serving.admission import Admission
from chargen.serving.application import Status, application
from chargen.serving.completions import Completions
from chargen.serving.embeddings import Embeddings
from chargen.serving.endings import Endings
from chargen.serving.guard import Guard
from chargen.serving.logs import logger
from chargen.serving.metrics import Metrics
from chargen.serving.models import Models
from chargen.serving.poems import Workshop
from chargen.serving.protocol import bounded
from chargen.serving.records import Records
from chargen.serving.refusals import RefusedError
from chargen.serving.threads import wait_for_threads

_LAST_WORDS = 3
"""Seconds that connections have to close after the last answer; and that work which nobody waits
for has to end."""


@dataclass(frozen=True)
class Listener:
    """Whom the server tells what.

    Attributes:
        on_ready: called with the server's address once the first run is loaded.
        say: told what happens, a line each.
        access: told of requests, a line each.
        on_bug: told of exceptions that nothing was prepared for.
    """

    on_ready: Callable[[str], None]
    say: Callable[[str], None]
    access: Callable[[str], None]
    on_bug: Callable[[BaseException], None]


class Server(uvicorn.Server):
    """A server of runs.

    Args:
        config: checked already.
        paths, folder, load: see ``Models``.
        listener: whom it tells what.
    """

    def __init__(
        self,
        config: ServeConfig,
        paths: Sequence[Path],
        folder: Path | None,
        load: Callable[[Path], Generator],
        listener: Listener,
    ) -> None:
        self._options, self._listener = config, listener
        self._status, self._metrics = Status(), Metrics()
        self._failure: BaseException | None = None
        self._models = Models(paths, folder, load, config, self._metrics, listener.say)
        self._admission = Admission(config.slots, config.queue)
        self._endings = Endings(config.request_timeout)
        completions = Completions(
            self._models, self._admission, self._metrics, config, self._endings
        )
        self._measure()
        app = application(
            self._status,
            completions,
            Embeddings(self._models, self._admission, config, self._endings),
            self._models,
            self._metrics,
            [*Records(self._models, config).routes(), *Workshop(self._models, config).routes()],
            self._lifespan,
        )
        access = logger(config.access_log, listener.access)
        super().__init__(
            uvicorn.Config(
                Guard(app, config, self._metrics, access, listener.on_bug),
                http=bounded(config.max_connections),
                ws="none",
                lifespan="on",
                log_config=None,
                log_level="critical",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=_LAST_WORDS,
                timeout_keep_alive=15,  # longer than clients keep a connection, or they race
            )
        )

    def _measure(self) -> None:
        def total(of: str) -> Callable[[], float]:
            return lambda: sum(getattr(worker, of) for worker in self._models.workers())

        gauge = self._metrics.gauge
        gauge(
            "slots",
            "Slots of all loaded runs",
            lambda: self._options.slots * len(self._models.workers()),
        )
        gauge("slots_busy", "Slots with a text", total("running"))
        gauge("queued", "Texts that wait for a slot", total("waiting"))
        gauge("running", "Texts that were taken on", lambda: self._admission.taken)

    def serve_until_told(self) -> None:
        """Serve until a signal says to end.

        Raises:
            ConfigError: the address can't be listened on.
            ChargenError: the first run can't be read.
        """
        listening = _listen(self._options.host, self._options.port)
        host, port = listening.getsockname()[:2]
        self._address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        try:
            with listening, _imports_frozen():
                self.run(sockets=[listening])
        finally:
            wait_for_threads(_LAST_WORDS)
        if self._failure is not None:
            raise self._failure

    @contextlib.asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self._begin())]
        if self._options.reload:
            tasks.append(asyncio.create_task(self._models.watch()))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            self._models.stop()

    async def _begin(self) -> None:
        try:
            async with self._models.using(None):
                pass
        except RefusedError as refusal:
            self._failure = refusal.__cause__ or refusal
            self.should_exit = True
        except Exception as error:
            self._failure = error
            self.should_exit = True
        else:
            self._status.loading = False
            self._listener.on_ready(self._address)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Finish what runs, and refuse what comes; at a second signal end at once."""
        if self._status.draining:
            self._endings.close()
            super().handle_exit(sig, frame)
            return
        self._status.draining = True
        loop = self._loop
        loop.call_soon_threadsafe(lambda: loop.create_task(self._drain(sig, frame)))

    async def _drain(self, sig: int, frame: FrameType | None) -> None:
        count = self._admission.taken
        self._listener.say(f"Ending: {count} texts are still written." if count else "Ending.")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._options.shutdown_timeout):
                while self._admission.taken:
                    await asyncio.sleep(0.02)
        self._endings.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS):
                while self._admission.taken:
                    await asyncio.sleep(0.02)
        super().handle_exit(sig, frame)

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().serve(sockets)


@contextlib.contextmanager
def _imports_frozen() -> Iterator[None]:
    """A block in which no collection of garbage looks at what was there before.

    That is most of all objects, of torch above all: a full collection takes a tenth of a second,
    and comes whenever a crowd of requests does.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _listen(host: str, port: int) -> socket.socket:
    """A socket that listens; ConfigError where there can't be one."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, address = found[0]
        made = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:
        raise ConfigError(
            f"`host` is {host!r}, which is no address: {error}.", "Use 127.0.0.1."
        ) from error
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(2048)
    except OSError as error:
        made.close()
        raise ConfigError(
            f"{host} can't be listened on at port {port}: {error.strerror}.",
            "Choose another `port`, or 0 for one that is free.",
        ) from error
    made.setblocking(False)
    return made

"""Serving runs over HTTP."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chargen.errors import MissingExtraError
from chargen.options import (
    BatchConfig,
    ServeConfig,
    TrainConfig,
    check,
    distribute,
    keyword_options,
)

if TYPE_CHECKING:
    from chargen.generation.generator import Generator

KEY = "CHARGEN_API_KEY"
"""The environment variable that holds the key of clients."""


def _nothing(_about: object) -> None:
    pass


@keyword_options(ServeConfig)
def serve(
    runs: Sequence[str | Path] = (),
    *,
    runs_dir: str | Path | None = None,
    device: str = "auto",
    threads: int = 0,
    ngram: bool = True,
    on_ready: Callable[[str], None] = _nothing,
    say: Callable[[str], None] = _nothing,
    access: Callable[[str], None] = _nothing,
    on_bug: Callable[[BaseException], None] = _nothing,
    **options: Any,
) -> None:
    """Serve runs over HTTP, in the shape of OpenAI's API, until SIGINT or SIGTERM.

    Args:
        runs: run folders or names in ``runs_dir``, the first of which is the default. Where none
            is named, it is the newest that has finished, and all others there can be asked for,
            and the shipped ones after them. Where there is none either and ``runs_dir`` isn't
            given, it is a shipped one.
        runs_dir: the folder of runs.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        threads: of the CPU; 0: as many as torch chooses.
        ngram: False: the networks alone, without the runs' n-gram counts.
        on_ready: called with the address once the first run is loaded.
        say: told what happens, a line each.
        access: told of requests, a line each.
        on_bug: told of exceptions that nothing was prepared for; clients get status 500.
        options: as in ``chargen serve``.

    Raises:
        ConfigError: options are not usable, or the address can't be listened on.
        CheckpointError: a run is missing or damaged.
        MissingExtraError: a package of the extra ``serve`` is not installed.
    """
    (values,) = distribute(options, ServeConfig)
    values.setdefault("api_key", os.environ.get(KEY) or None)
    config = ServeConfig(**values)
    also = [p for entry, value in _others(device, threads) if (p := entry.problem(value))]
    check(config, also=also)
    _require_extra()
    from chargen.machine.devices import cpu_threads, resolve_device
    from chargen.runs.finding import runs_folder
    from chargen.serving.server import Listener, Server

    paths, folder = _paths(runs, runs_dir), runs_folder(runs_dir)
    resolve_device(device)

    def load(path: Path) -> Generator:
        from chargen.api.inspecting import load as load_run

        return load_run(path, device=device, ngram=ngram)

    listener = Listener(on_ready=on_ready, say=say, access=access, on_bug=on_bug)
    with cpu_threads(threads):
        Server(config, paths, None if runs else folder, load, listener).serve_until_told()


def _paths(runs: Sequence[str | Path], runs_dir: str | Path | None) -> list[Path]:
    """The folders of the runs to serve, the default one first."""
    from chargen.runs.finding import find_run, runs_folder, runs_in
    from chargen.runs.shipped import SHIPPED, STORIES, shipped_run

    folder = runs_folder(runs_dir)
    if runs:
        return [find_run(str(run), folder) for run in runs]
    shipped = STORIES if runs_dir is None else None
    newest = find_run(None, folder, finished=True, shipped=shipped)
    taken = {newest.name, *(run.name for run in runs_in(folder))}
    others = (shipped_run(name) for name in SHIPPED if name not in taken)
    return [newest, *(run for run in others if run is not None)]


def _others(device: str, threads: int) -> list[tuple[Any, Any]]:
    return [
        (BatchConfig.entries()["device"], device),
        (TrainConfig.entries()["threads"], threads),
    ]


def _require_extra() -> None:
    for package in ("starlette", "uvicorn", "httptools", "prometheus_client"):
        try:
            __import__(package)
        except ImportError as error:
            raise MissingExtraError(package.replace("_", "-"), "serve", "Serving") from error

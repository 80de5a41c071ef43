"""Joining a cluster of Ray, or starting one on this machine."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import signal
import socket
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from chargen.errors import ChargenWarning, MissingExtraError, WorkerError

_SECONDS_TO_ANSWER = 5.0
_SETTINGS_FRAME = 4
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, _SETTINGS_FRAME, 0, 0, 0, 0, 0])
"""The first words of a client of gRPC, which is HTTP/2; the server answers with its settings."""
_PREFIX, _LOCK = "chargen-ray-", "driver.lock"
"""Of the folder of a cluster on this machine, and of the file in it that its driver locks."""
_FOLDERS = Path("/tmp" if os.name == "posix" else tempfile.gettempdir())
"""Where these folders are. Ray's sockets lie in them, whose paths have at most 103 bytes on macOS
and 107 on Linux: too few for what TMPDIR may name, and does on macOS."""
_ADDRESS = re.compile(r"(?:ray://)?(.+):(\d+)")


@dataclass(frozen=True)
class Cluster:
    """A cluster of Ray that this process is connected to.

    Attributes:
        ray: the package.
        workers: number of actors to start.
        threads: CPU threads of each, for which it reserves as many processors.
    """

    ray: Any
    workers: int
    threads: int


@contextlib.contextmanager
def cluster(address: str, workers: int | None) -> Iterator[Cluster]:
    """Connect to a cluster for a block.

    Ray's usage statistics are off. A cluster on this machine lies, with its token and its logs, in
    a temporary folder, which is removed after the block; where the environment variable
    RAY_AUTH_TOKEN_PATH names a file with a token, that is used instead.

    Args:
        address: ``local`` starts a cluster on this machine; else see ``ray.init``. Where this
            process is connected to a cluster already, that is used.
        workers: number of actors; None: one for each processor.

    Raises:
        WorkerError: the address doesn't answer within ten seconds, or Ray refuses.
        MissingExtraError: Ray is not installed.
    """
    check_address(address)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_environment(RAY_USAGE_STATS_ENABLED="0"))
        options: dict[str, Any] = {"address": address}
        if address == "local":
            folder = Path(stack.enter_context(_temporary_folder()))
            stack.enter_context(_token(folder))
            cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
            options |= {"num_cpus": cores or os.cpu_count() or 1, "_temp_dir": str(folder)}
            options["include_dashboard"] = False
        import ray

        if not ray.is_initialized():
            _connect(ray, options)
            stack.callback(ray.shutdown)
        yield _described(ray, workers)


def _described(ray: Any, workers: int | None) -> Cluster:
    nodes = [node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]]
    total, most = int(sum(nodes)), int(max(nodes, default=0))
    if not total:
        raise WorkerError(
            "Ray's cluster has no processors.", "Start its machines with processors to use."
        )
    threads = 1 if workers is None else max(1, min(total // workers, most))
    return Cluster(ray, workers or total, threads)


def _connect(ray: Any, options: dict[str, Any]) -> None:
    """Connect; Ray's handlers of signals are taken back, since the caller's must stay."""
    before = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT)}
    try:
        ray.init(**options, log_to_driver=False, logging_level="error")
    except (Exception, SystemExit) as error:
        why = " ".join(str(error).split())[:300].rstrip(".")
        raise WorkerError(
            f"Ray doesn't connect to {options['address']}: {why}.",
            "Check the address, and that the versions of Ray and Python are the same.",
        ) from error
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def check_address(address: str) -> None:
    """Raise WorkerError unless a server of gRPC answers; Ray itself would ask for a minute.

    MissingExtraError: Ray is not installed.
    """
    if find_spec("ray") is None:
        raise MissingExtraError("ray", "ray", "Work on several machines")
    if (found := _ADDRESS.fullmatch(address)) is None:
        return
    try:
        with socket.create_connection((found[1], int(found[2])), _SECONDS_TO_ANSWER) as line:
            line.sendall(_PREFACE)
            answer = line.recv(4)
        what = "what answers isn't Ray"
    except (OSError, OverflowError) as error:
        answer, what = b"", str(getattr(error, "strerror", None) or error)
    if len(answer) < 4 or answer[3] != _SETTINGS_FRAME:
        raise WorkerError(
            f"No cluster of Ray answers at {address}: {what}.",
            "Check the address: `ray status` on a machine of the cluster shows it.",
        )


@contextlib.contextmanager
def _temporary_folder() -> Iterator[str]:
    """A folder that is locked while this process lives; those of killed ones are removed first."""
    for left in _FOLDERS.glob(f"{_PREFIX}*"):
        _remove_if_dead(left)
    folder = tempfile.mkdtemp(prefix=_PREFIX, dir=_FOLDERS)
    with FileLock(Path(folder, _LOCK)):
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)  # Ray's processes may still be ending


def _remove_if_dead(folder: Path) -> None:
    """Remove a folder of this user whose process was killed, which the system has unlocked."""
    with contextlib.suppress(OSError, Timeout):
        lock = folder / _LOCK
        ours = not hasattr(os, "getuid") or folder.lstat().st_uid == os.getuid()
        if ours and lock.is_file() and not folder.is_symlink():
            with FileLock(lock, timeout=0):
                shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _token(folder: Path) -> Iterator[None]:
    """Give a new cluster a token, in a file, unless the user has chosen one."""
    if any(os.environ.get(f"RAY_AUTH_{name}") for name in ("TOKEN", "TOKEN_PATH", "MODE")):
        yield
        return
    path = folder / "token"
    path.touch(mode=0o600)
    path.write_text(_secret())
    # The mode is left to Ray, which uses tokens unless told otherwise: set here, it would be
    # overlooked by a Ray that was imported before.
    with _environment(RAY_AUTH_MODE=None, RAY_AUTH_TOKEN_PATH=str(path)):
        warnings.warn(
            f"Ray's cluster on this machine has its token in {path} while it runs; the variable "
            "RAY_AUTH_TOKEN_PATH names another file.",
            ChargenWarning,
            stacklevel=1,
        )
        yield


@cache
def _secret() -> str:
    """A token for all clusters of this process, since Ray reads it but once."""
    return secrets.token_hex(32)


@contextlib.contextmanager
def _environment(**values: str | None) -> Iterator[None]:
    """Set environment variables for a block; None: not set."""
    before = {name: os.environ.get(name) for name in values}
    _set(values)
    try:
        yield
    finally:
        _set(before)


def _set(values: Mapping[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value

"""Two hosts train one run: two network namespaces, joined by a link that is lost for a while.

It takes half a minute, so it runs where it is asked for: ``TWO_HOSTS=1 pytest
tests/training/test_two_hosts.py``, as root, with the program ``ip``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chargen.runs.layout import LAST
from tests.support import LEARNABLE, last_state

ADDRESSES = ("10.213.7.1", "10.213.7.2")
LOST_SECONDS = 5
FLAGS = (
    "--name", "run", "--preset", "tiny", "--device", "cpu", "--max-steps", "600",
    "--save-every", "40", "--dropout", "0.2",
)  # fmt: skip


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@pytest.fixture
def hosts() -> Iterator[tuple[str, str]]:
    """Two namespaces, called like their ends of the link between them."""
    if os.environ.get("TWO_HOSTS") != "1":
        pytest.skip("it takes half a minute: set TWO_HOSTS=1 to run it")
    names = f"cg{os.getpid()}a", f"cg{os.getpid()}b"
    try:
        for name in names:
            ip("netns", "add", name)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("network namespaces can't be made here")
    try:
        ip("link", "add", names[0], "type", "veth", "peer", "name", names[1])
        for name, address in zip(names, ADDRESSES, strict=True):
            ip("link", "set", name, "netns", name)
            ip("-n", name, "addr", "add", f"{address}/24", "dev", name)
            ip("-n", name, "link", "set", name, "up")
            ip("-n", name, "link", "set", "lo", "up")
        yield names
    finally:
        for name in names:
            ip("netns", "delete", name)


def start(host: str, node: int, folder: Path) -> subprocess.Popen[str]:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2"]
    torchrun += ["--node-rank", str(node), "--nproc-per-node", "1"]
    torchrun += ["--master-addr", ADDRESSES[0], "--master-port", "29517"]
    command = [*torchrun, "-m", "chargen", "train", "text.txt", *FLAGS]
    return subprocess.Popen(
        ["ip", "netns", "exec", host, *command],
        cwd=folder,
        env={**os.environ, "GLOO_SOCKET_IFNAME": host},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_a_link_that_is_lost_for_five_seconds_changes_nothing(
    hosts: tuple[str, str], tmp_path: Path
) -> None:
    results = []
    for lost in (False, True):
        folders = [tmp_path / str(lost) / host for host in hosts]
        for folder in folders:  # nothing is shared but the link
            folder.mkdir(parents=True)
            (folder / "text.txt").write_text(LEARNABLE, encoding="utf-8")
        started = [start(host, n, folders[n]) for n, host in enumerate(hosts)]
        run = folders[0] / "checkpoints" / "run"
        try:
            if lost:
                while not (run / LAST / "80").exists() and started[0].poll() is None:
                    time.sleep(0.01)
                ip("-n", hosts[1], "link", "set", hosts[1], "down")
                time.sleep(LOST_SECONDS)
                assert not (run / LAST / "600").exists()
                ip("-n", hosts[1], "link", "set", hosts[1], "up")
            said = [process.communicate(timeout=120)[0] for process in started]
        finally:
            for process in started:
                process.kill()
        assert [process.returncode for process in started] == [0, 0], said
        assert not (folders[1] / "checkpoints").exists()
        results.append(last_state(run))
        shutil.rmtree(tmp_path / str(lost))
    assert results[0] == results[1]

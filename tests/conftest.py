from __future__ import annotations

import os

# One thread: the tests run side by side, and threads of several processes slow each other down.
# Set before torch is imported by anyone.
os.environ["OMP_NUM_THREADS"] = "1"
# Where a test asks for several, they sleep while they wait: spinning takes a core from others.
os.environ.setdefault("GOMP_SPINCOUNT", "0")

import contextlib
import gc
import importlib
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.processes import leave
from tests.support import LEARNABLE, STEPS, train_tiny

# Every process would compile every module again; ``__pycache__`` is ignored by git.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Files lie in memory where there is room: a tiny run waits for the disk for half of its time.
MEMORY = Path("/dev/shm")
if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > 4 << 30:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared corpus that is learnt within seconds; only to be read."""
    import chargen

    folder = tmp_path_factory.mktemp("corpus")
    text = folder / "learnable.txt"
    text.write_text(LEARNABLE, encoding="utf-8")
    return chargen.prepare(text, folder / "learnable").path


@pytest.fixture(scope="session")
def trained(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on ``corpus``; only to be read."""
    return train_tiny(corpus, tmp_path_factory.mktemp("checkpoints"), max_steps=STEPS).path


@pytest.fixture(scope="session", autouse=True)
def short_samples() -> Iterator[None]:
    """Samples of a run in training are short: whole, they take half of the time of a tiny one."""
    from chargen.training import material

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(material, "_SAMPLE", replace(material._SAMPLE, length=12))
        yield


@pytest.fixture
def run(trained: Path, corpus: Path, tmp_path: Path) -> Path:
    """A copy of ``trained`` to do anything to."""
    from chargen.runs.places import Places

    copy = Path(shutil.copytree(trained, tmp_path / "checkpoints" / "run"))
    Places(corpus).write(copy, copy)
    return copy


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pytest_sessionfinish() -> None:
    leave()


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Import a share of the tests: each worker rewrites and compiles another, for all of them."""
    given = getattr(session.config, "workerinput", None)
    if given is None:
        return
    files = sorted(session.config.rootpath.glob("tests/**/test_*.py"))
    share = files[int(given["workerid"].removeprefix("gw")) :: given["workercount"]]
    for file in share:
        name = ".".join(file.relative_to(session.config.rootpath).with_suffix("").parts)
        with contextlib.suppress(Exception, pytest.skip.Exception):  # its collection reports it
            importlib.import_module(name)


def pytest_collection_finish() -> None:
    """Spare the garbage collector what stays until the end, which is most of what there is."""
    gc.collect()
    gc.freeze()


FIRST = (
    *("generation/batch/test_workers.py", "training/test_resume.py", "training/test_together.py"),
    *("generation/poems/test_forms.py", "serving/page/test_writing.py"),
    *("serving/page/test_poems.py", "serving/page/test_learning.py", "faults/test_faults.py"),
    *("serving/test_server.py", "cli/test_processes.py", "bench/test_train.py"),
    *("generation/test_determinism.py", "cli/test_batch_output.py", "exporting/test_page.py"),
)
"""What takes longest, some of it waiting, so that no worker is left with it at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    import torch

    places = {file: place for place, file in enumerate(FIRST)}
    items.sort(
        key=lambda item: places.get(
            item.nodeid.partition("::")[0].removeprefix("tests/"), len(FIRST)
        )
    )
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("cuda"):
            item.add_marker(pytest.mark.skip(reason="there is no CUDA device"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep tests that share what takes seconds to make on one worker, so that it is made once."""
    if config.getoption("dist") != "load":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class Together(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return _shared_by(config.rootpath / nodeid.partition("::")[0])

    config.option.loadscopereorder = False  # the order is that of the items
    return Together(config, log)


@cache
def _shared_by(file: Path) -> str:
    """What the tests of a file have in common: the server, the page, the helps, or the file."""
    text = file.read_text("utf-8")
    shared = {"the server": "server: Served", "the page": "pages: Pages", "the helps": "real_helps"}
    return next((name for name, words in shared.items() if words in text), str(file))

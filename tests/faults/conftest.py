from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.server import Server
from tests.faults.stage import Stage


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A tiny run with all that belongs to it, and a warm process to run commands on copies."""
    with Server() as server:
        yield Stage.made(tmp_path_factory.mktemp("faults") / "stage", server)


@pytest.fixture
def place(stage: Stage, tmp_path: Path) -> Path:
    """A copy of the stage to do anything to."""
    return stage.copy(tmp_path / "place")

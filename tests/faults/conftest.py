from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.server import Server
from tests.faults.stage import Stage
from tests.processes import warm


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """A tiny run with all that belongs to it, and a warm process to run commands on copies."""
    return Stage.made(tmp_path_factory.mktemp("faults") / "stage", Server(warm()))


@pytest.fixture
def place(stage: Stage, tmp_path: Path) -> Path:
    """A copy of the stage to do anything to."""
    return stage.copy(tmp_path / "place")

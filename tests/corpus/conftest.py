from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

from tests.corpus.texts import CHINESE, ODD, write

# The same examples on every run, and no verdict that hangs on how busy the machine is.
settings.register_profile("corpus", derandomize=True, deadline=None, database=None)
settings.load_profile("corpus")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write(tmp_path / "text.txt", CHINESE + ODD)

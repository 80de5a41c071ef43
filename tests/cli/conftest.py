from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import LEARNABLE


@pytest.fixture
def text(here: Path) -> Path:
    """A text that is learnt within seconds, in the current folder."""
    path = here / "text.txt"
    path.write_text(LEARNABLE, encoding="utf-8")
    return path

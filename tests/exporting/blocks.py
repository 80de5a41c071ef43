"""The code in the room's README, which is what users copy."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import chargen

README = Path(chargen.__file__).parent / "exporting" / "README.md"


def blocks(language: str) -> list[str]:
    """The blocks of code in the room's README."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README.read_text("utf-8"), re.M | re.S)


def from_readme(function: str) -> dict[str, Any]:
    """What the block with a function defines, run in a folder without \"model.onnx\"'s step."""
    first, block = blocks("python")[0], next(b for b in blocks("python") if f"def {function}(" in b)
    space: dict[str, Any] = {}
    exec(first.split("session =")[0] + block, space)
    return space

"""The equations stand on their own: they know nothing of how they are made fast."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import chargen.cells

ROOM = Path(chargen.cells.__file__).parent


@pytest.mark.parametrize("path", sorted(ROOM.glob("*.py")), ids=lambda path: path.stem)
def test_equations_import_nothing_fast(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert not (node.module or "").startswith("chargen.cells.fast")
        if isinstance(node, ast.Attribute):
            assert ast.unparse(node) != "torch.autograd.Function"

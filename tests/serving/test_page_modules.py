"""The page's modules in Node."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from chargen.serving import page_files

PAGE = Path(page_files.__file__).parent / "page"


def in_node(folder: Path, code: str) -> Any:
    """What code beside the page's modules gives, as JSON."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no Node")
    shutil.copytree(PAGE, folder, dirs_exist_ok=True)
    (folder / "package.json").write_text('{"type": "module"}', "utf-8")
    (folder / "test.js").write_text(code, "utf-8")
    done = subprocess.run([node, "test.js"], cwd=folder, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode("utf-8")
    return json.loads(done.stdout)


def test_only_a_version_of_which_nothing_was_made_is_dropped(tmp_path: Path) -> None:
    code = """
import {Tree} from './tree.js';
const tree = new Tree(), names = () => tree.listed().map(({node}) => node.how.kind);
const empty = tree.add([], {kind: 'written'}), typed = tree.add([], {kind: 'typed'});
tree.drop(empty);
const kept = [...names(), tree.now.how.kind];
tree.drop(typed);
const gone = [...names(), tree.now.how.kind];
tree.drop(empty);
console.log(JSON.stringify({kept, gone, last: [...names(), tree.now.how.kind, tree.canRedo]}));
"""
    assert in_node(tmp_path, code) == {
        "kept": ["empty", "written", "typed", "typed"],
        "gone": ["empty", "written", "written"],
        "last": ["empty", "empty", False],
    }

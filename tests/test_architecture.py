"""Who imports whom, downwards only; and what the library never does."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import chargen

ROOT = Path(chargen.__file__).parent
ORDER = (
    ("errors",),
    ("config", "files"),
    ("machine",),
    ("corpus", "cells"),
    ("network",),
    ("runs",),
    ("evaluation",),
    ("generation",),
    ("training", "inspection"),
    ("bench",),
    ("api",),
    ("experiments",),
    ("cli",),
)
LEVEL = {name: n for n, names in enumerate(ORDER) for name in names}
BESIDE = {("runs", "training")}
# The table of the cells' names is data, which the config checks names against.
UP = {("config", "chargen.cells")}
MODULES = sorted(ROOT.rglob("*.py"))


def part(module: str) -> str:
    """The part of the house that a module is: ``chargen.corpus.reading`` is in ``corpus``."""
    return module.split(".")[1]


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports, inside functions too, but not for type checkers alone."""
    tree = ast.parse(path.read_text("utf-8"))
    for_types = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            assert node.module
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def each_module(test: object) -> object:
    return pytest.mark.parametrize("path", MODULES, ids=[name_of(p) for p in MODULES])(test)


@each_module
def test_imports_go_downwards(path: Path) -> None:
    name = name_of(path)
    if name in ("chargen", "chargen.__main__"):
        return
    here = part(name)
    for module in imported(path):
        if not module.startswith("chargen.") or module == "chargen.__version__":
            continue
        there = part(module)
        up = (here, module) in UP or (here, module.rpartition(".")[0]) in UP
        if there == here or (here, there) in BESIDE or up:
            continue
        assert there in LEVEL, f"{name} imports {module}, which has no place in the order"
        assert LEVEL[there] < LEVEL[here], f"{name} imports {module}, upwards"


def test_every_part_has_its_place() -> None:
    parts = {part(name_of(path)) for path in MODULES if name_of(path).count(".")}
    assert parts - {"__main__"} == set(LEVEL)


@each_module
def test_only_the_console_knows_rich(path: Path) -> None:
    roots = {module.split(".")[0] for module in imported(path)}
    if name_of(path) != "chargen.cli.terminal.console":
        assert "rich" not in roots
    if not name_of(path).startswith("chargen.cli"):
        assert not roots & {"typer", "click"}


@each_module
def test_the_library_never_prints_and_never_exits(path: Path) -> None:
    if name_of(path).startswith("chargen.cli"):
        return
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in {"print", "exit", "quit", "sys.exit", "os._exit", "input"}
        if isinstance(node, ast.Attribute):
            assert ast.unparse(node) not in {"sys.stdout", "sys.stderr"}


@each_module
def test_the_corpus_needs_no_torch(path: Path) -> None:
    if name_of(path).startswith("chargen.corpus"):
        assert "torch" not in {module.split(".")[0] for module in imported(path)}


@each_module
def test_no_module_is_too_long(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 600


def test_public_names() -> None:
    assert chargen.__all__ == [
        "ChargenError",
        "CorpusConfig",
        "Generator",
        "ModelConfig",
        "SamplingConfig",
        "TrainConfig",
        "__version__",
        "load",
        "prepare",
        "train",
    ]
    assert all(getattr(chargen, name) for name in chargen.__all__)
    assert dir(chargen) == sorted(chargen.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = chargen.nonsense
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", chargen.__version__)


def test_types_are_shipped() -> None:
    assert (ROOT / "py.typed").is_file()


LAZY = {
    "the package": "import chargen; chargen.__version__; chargen.CorpusConfig",
    "the help": "call('--help')",
    "the help of a command": "call('train', '--help')",
    "preparing": "call('prepare', 'text.txt', '--quiet')",
    "a report on a corpus": "call('prepare', 'text.txt', '-q'); call('inspect', 'corpora/text')",
    "options of sampling that can't be": "call('sample', '--top-p', '3')",
    "options of training that can't be": "call('train', 'text.txt', '--cell', 'nonsense')",
    "sizes that can't be": "call('train', '--hidden-size', '-3', '--val-frac', '2')",
    "a text that isn't there": "call('train', 'missing.txt')",
    "a name that can't be": "call('train', 'text.txt', '--name', 'a/b')",
    "forms that can't be": "call('sample', '--form', '{}', '--device', 'abacus')",
}


@pytest.mark.parametrize("what", LAZY)
def test_torch_is_not_imported_for(what: str, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("some text\n" * 20, encoding="utf-8")
    code = f"""
import sys

def call(*arguments):
    from chargen.cli import main
    sys.argv[1:] = arguments
    try:
        main()
    except SystemExit as error:
        assert error.code in (0, 1), error.code

{LAZY[what]}
assert "torch" not in sys.modules
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr

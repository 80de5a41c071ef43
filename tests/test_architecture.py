"""Who imports whom, downwards only; and what the library never does."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import chargen

ROOT = Path(chargen.__file__).parent
ORDER = (
    ("errors",),
    ("files", "options"),
    ("machine",),
    ("corpus", "ngrams", "cells"),
    ("network",),
    ("runs",),
    ("evaluation",),
    ("generation",),
    ("training", "inspection"),
    ("bench", "serving", "export"),
    ("api",),
    ("experiments",),
    ("cli",),
)
"""The rooms, from the ground up: each may import those below, and none beside it."""
LEVEL = {name: n for n, names in enumerate(ORDER) for name in names}
PLANNED = {"serving", "export"}
"""Rooms that have their place already, and nothing in them yet."""
MODULES = sorted(ROOT.rglob("*.py"))


def part(module: str) -> str:
    """The part of the house that a module is: ``chargen.corpus.reading`` is in ``corpus``."""
    return module.split(".")[1]


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports, inside functions too, but not for type checkers alone.

    What is imported from a module is listed as ``module.name``, whether that is a module or not.
    """
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
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def graph() -> dict[str, set[str]]:
    """The modules of the package, the ``__init__`` of each folder too, and which each imports."""
    known = {name_of(path) for path in MODULES}
    edges: dict[str, set[str]] = {}
    for path in MODULES:
        names = {name if name in known else name.rpartition(".")[0] for name in imported(path)}
        edges[name_of(path)] = names & known - {name_of(path)}
    return edges


def circles(edges: Mapping[str, set[str]]) -> list[set[str]]:
    """The modules that import each other, by whatever way: a set for each circle."""

    def reachable(start: str) -> set[str]:
        found: set[str] = set()
        todo = [start]
        while todo:
            for name in edges[todo.pop()] - found:
                found.add(name)
                todo.append(name)
        return found

    behind = {name: reachable(name) for name in edges}
    found = {
        frozenset(other for other in behind[name] if name in behind[other])
        for name in edges
        if name in behind[name]
    }
    return [set(circle) for circle in found]


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
        assert there in LEVEL, f"{name} imports {module}, which has no place in the order"
        assert there == here or LEVEL[there] < LEVEL[here], f"{name} imports {module}, upwards"


def test_no_modules_import_each_other() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == [{"b", "c"}]
    assert circles(graph()) == []


def test_every_part_has_its_place() -> None:
    parts = {part(name_of(path)) for path in MODULES if name_of(path).count(".")}
    assert parts - {"__main__"} | PLANNED == set(LEVEL)


@each_module
def test_only_the_terminal_knows_rich(path: Path) -> None:
    name, roots = name_of(path), {module.split(".")[0] for module in imported(path)}
    if not name.startswith("chargen.cli.terminal."):
        assert "rich" not in roots
    if not name.startswith("chargen.cli"):
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
def test_the_library_names_no_flags(path: Path) -> None:
    """Messages name options as ``name`` or ``name=value``; the command line makes flags of them."""
    if name_of(path).startswith(("chargen.cli", "chargen.options")):
        return
    tree = ast.parse(path.read_text("utf-8"))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    texts = {
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if id(node) not in docstrings
    }
    assert [text for text in texts if re.search(r"(^|[^-])--[a-z]", text)] == []


@each_module
def test_corpus_and_counts_need_no_torch(path: Path) -> None:
    if name_of(path).startswith(("chargen.corpus", "chargen.ngrams")):
        assert "torch" not in {module.split(".")[0] for module in imported(path)}


@each_module
def test_no_module_is_too_long(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= 300


@each_module
def test_no_function_is_too_long(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert node.end_lineno
            assert node.end_lineno - node.lineno < 60, node.name


LAZY = {
    "the package": "import chargen; chargen.__version__; dir(chargen); chargen.ConfigError",
    "a form of a poem": "import chargen; chargen.Form('qijue')",
    "the help": "call('--help')",
    "preparing": "call('prepare', 'text.txt', '--quiet')",
    "a report on a corpus": "call('prepare', 'text.txt', '-qo', 'x'); call('inspect', 'x')",
    "options of sampling that can't be": "call('sample', '--top-p', '3')",
    "the schema of a job": "call('batch', '--schema')",
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

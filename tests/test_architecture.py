"""Who imports whom, downwards only; and what the library never does."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import chargen

ROOT = Path(chargen.__file__).parent
ORDER = (
    ("errors",),
    ("files", "options"),
    ("machine",),
    ("workers",),
    ("corpus", "ngrams", "cells"),
    ("network",),
    ("runs",),
    ("evaluation",),
    ("generation",),
    ("training", "inspection"),
    ("bench", "serving", "exporting", "terminal"),
    ("api",),
    ("experiments",),
    ("cli",),
)
"""The rooms, from the ground up: each may import those below, and none beside it."""
LEVEL = {name: n for n, names in enumerate(ORDER) for name in names}
MODULES = sorted(ROOT.rglob("*.py"))
PRINTS_OR_EXITS = {"print", "exit", "quit", "sys.exit", "os._exit", "input"}
STREAMS = {"sys.stdout", "sys.stderr"}


def part(module: str) -> str:
    """The part of the house that a module is: ``chargen.corpus.reading`` is in ``corpus``."""
    return module.split(".")[1]


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


@cache
def imported(path: Path) -> tuple[str, ...]:
    """Every module that a file imports, inside functions too, but not for type checkers alone.

    What is imported from a module is listed as ``module.name``, whether that is a module or not.
    """
    return tuple(_imported(path))


def _imported(path: Path) -> Iterator[str]:
    tree = parsed(path)
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


def test_imports_go_downwards() -> None:
    wrong = []
    for path in MODULES:
        name = name_of(path)
        if name in ("chargen", "chargen.__main__"):
            continue
        for module in imported(path):
            if not module.startswith("chargen.") or module == "chargen.__version__":
                continue
            here, there = part(name), part(module)
            assert there in LEVEL, f"{name} imports {module}, which has no place in the order"
            if there != here and LEVEL[there] >= LEVEL[here]:
                wrong.append(f"{name} imports {module}, upwards")
    assert wrong == []


def test_no_modules_import_each_other() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == [{"b", "c"}]
    assert circles(graph()) == []


def test_every_part_has_its_place() -> None:
    parts = {part(name_of(path)) for path in MODULES if name_of(path).count(".")}
    assert parts - {"__main__"} == set(LEVEL)


def importers(roots: set[str]) -> set[str]:
    """The modules that import one of some packages."""
    return {
        name_of(path)
        for path in MODULES
        if roots & {module.split(".")[0] for module in imported(path)}
    }


def test_only_the_terminal_knows_rich() -> None:
    assert {n for n in importers({"rich"}) if not n.startswith("chargen.terminal.")} == set()
    for_people = {"typer", "click", "prompt_toolkit"}
    assert {n for n in importers(for_people) if not n.startswith("chargen.cli")} == set()


def test_corpus_and_counts_need_no_torch() -> None:
    without = ("chargen.corpus", "chargen.ngrams")
    assert {name for name in importers({"torch"}) if name.startswith(without)} == set()


def test_the_library_never_prints_and_never_exits() -> None:
    wrong = []
    for path in MODULES:
        if name_of(path).startswith(("chargen.cli", "chargen.terminal")):
            continue
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in PRINTS_OR_EXITS:
                wrong.append(f"{path}:{node.lineno}")
            if isinstance(node, ast.Attribute) and ast.unparse(node) in STREAMS:
                wrong.append(f"{path}:{node.lineno}")
    assert wrong == []


def test_the_library_names_no_flags() -> None:
    """Messages name options as ``name`` or ``name=value``; the command line makes flags of them."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    wrong = []
    for path in MODULES:
        if name_of(path).startswith(("chargen.cli", "chargen.options")):
            continue
        docstrings = {
            id(node.body[0].value)
            for node in ast.walk(parsed(path))
            if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
        }
        wrong += [
            f"{path}:{node.lineno}: {node.value}"
            for node in ast.walk(parsed(path))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
            if id(node) not in docstrings and re.search(r"(^|[^-])--[a-z]", node.value)
        ]
    assert wrong == []


def test_no_module_and_no_function_is_too_long() -> None:
    lengths = {str(path): len(path.read_text("utf-8").splitlines()) for path in MODULES}
    assert {path: lines for path, lines in lengths.items() if lines > 300} == {}
    functions = {
        f"{path}:{node.name}": (node.end_lineno or 0) - node.lineno + 1
        for path in MODULES
        for node in ast.walk(parsed(path))
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }
    assert {name: lines for name, lines in functions.items() if lines > 60} == {}


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


def test_torch_is_not_imported_for_what_needs_none(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("some text\n" * 20, encoding="utf-8")
    code = f"""
import sys

def call(*arguments):
    from chargen.cli import main
    sys.argv[1:] = arguments
    try:
        main()
    except SystemExit as error:
        assert error.code in (0, 1, 2), error.code

for what, code in {LAZY!r}.items():
    exec(code)
    assert "torch" not in sys.modules, what
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr

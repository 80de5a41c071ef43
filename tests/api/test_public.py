"""The public API: the names that ``chargen`` exports, and only these, and all that they mention."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import typing
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import chargen

PUBLIC: dict[str, Any] = {name: getattr(chargen, name) for name in chargen.__all__}
CLASSES = {name: each for name, each in PUBLIC.items() if inspect.isclass(each)}
FUNCTIONS = {name: each for name, each in PUBLIC.items() if inspect.isfunction(each)}


@cache
def _for_types(module: str) -> dict[str, Any]:
    """What a module imports for type checkers alone, of chargen."""
    tree = ast.parse(Path(str(importlib.import_module(module).__file__)).read_text("utf-8"))
    return {
        alias.asname or alias.name: getattr(importlib.import_module(node.module), alias.name)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for node in ast.walk(block)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("chargen")
        for alias in node.names
    }


def _hints(documented: Any) -> dict[str, Any]:
    return typing.get_type_hints(documented, localns=_for_types(documented.__module__))


def _types_in(hint: Any) -> Iterator[type]:
    """The classes of chargen in an annotation."""
    if inspect.isclass(hint) and hint.__module__.split(".")[0] == "chargen":
        yield hint
    for part in (*typing.get_args(hint), typing.get_origin(hint)):
        for each in part if isinstance(part, list) else [part]:
            if each is not None and each is not hint:
                yield from _types_in(each)


def _own(kind: type) -> Iterator[Callable[..., Any]]:
    """The public methods that a class has from this package, as functions."""
    ours = [kind, *(base for base in kind.__mro__ if base.__module__.startswith("chargen.gen"))]
    for name, each in {n: e for base in reversed(ours) for n, e in vars(base).items()}.items():
        if name.startswith("_"):
            continue
        if isinstance(each, (classmethod, staticmethod)):
            yield each.__func__
        elif inspect.isfunction(each):
            yield each


def mentioned(name: str) -> dict[type, str]:
    """The classes that the signatures of a public name mention, and where each is."""
    each = PUBLIC[name]
    found: dict[type, str] = {}
    functions = [each] if name in FUNCTIONS else _own(each)
    for function in functions:
        for argument, hint in _hints(function).items():
            for kind in _types_in(hint):
                found.setdefault(kind, f"{function.__qualname__}, {argument}")
    return found


def _raised(function: Callable[..., Any]) -> set[str]:
    """The errors that a docstring lists."""
    listed = (inspect.getdoc(function) or "").partition("Raises:")[2]
    return set(re.findall(r"\b[A-Z]\w+Error\b", listed))


def test_names() -> None:
    assert set(CLASSES) | set(FUNCTIONS) == set(PUBLIC)
    assert {name for name in FUNCTIONS if name in vars(chargen.api)} == set(FUNCTIONS)
    assert dir(chargen) == sorted(chargen.__all__)
    with pytest.raises(AttributeError, match="nonsense"):
        _ = chargen.nonsense
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", chargen.__version__)


@pytest.mark.parametrize("name", PUBLIC)
def test_all_that_is_mentioned_is_exported(name: str) -> None:
    exported = set(CLASSES.values())
    missing = {k.__name__: where for k, where in mentioned(name).items() if k not in exported}
    assert missing == {}


def test_all_that_is_exported_is_mentioned() -> None:
    known = {kind for name in PUBLIC for kind in mentioned(name)}
    names = set().union(*(_raised(f) for f in FUNCTIONS.values()))
    names |= set().union(*(_raised(f) for kind in CLASSES.values() for f in _own(kind)))
    raised = {CLASSES[name] for name in names if name in CLASSES}
    parents = {base for kind in known | raised for base in kind.__mro__[1:]}
    events = {kind for kind in CLASSES.values() if issubclass(kind, tuple(known))}
    used = known | raised | parents | events
    assert [name for name, kind in CLASSES.items() if kind not in used] == []


def test_types_are_shipped() -> None:
    folder = Path(str(chargen.__file__)).parent
    assert (folder / "py.typed").is_file()
    assert (folder / "__init__.pyi").is_file()

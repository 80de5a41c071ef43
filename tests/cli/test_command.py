"""How a function becomes a command."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from chargen.cli.command import command, help_of, only, unescape
from chargen.options import Config, option


@dataclass(frozen=True)
class Sample(Config):
    """An option of each kind."""

    size: int = option(3, "Size", low=1, aliases=("-s",))
    share: float = option(0.5, "Share", default_text="as suits")
    kind: str = option("red", "Kind", choices={"red": "warm", "green": ""}, flag="--colour")
    deep: bool = option(False, "Depth")
    wide: bool = option(True, "Width", negatable=True)
    ends: tuple[str, ...] = option((), "Ends", escaped=True)
    limit: int | None = option(None, "Limit", parameter="most")
    fixed: int = option(1, "Nobody's choice", derived=True)


def given(*arguments: str, source: Any = Sample) -> dict[str, Any]:
    """The options that a command gets from a command line."""
    seen: list[dict[str, Any]] = []

    def run(*, options: dict[str, Any]) -> None:
        seen.append(options)

    app = typer.Typer()
    app.command()(command(source)(run))
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == 0, result.output
    return seen[0]


def test_only_options_that_were_given_reach_the_function() -> None:
    assert given() == {}
    assert given("-s", "4", "--share", "1") == {"size": 4, "share": 1.0}
    assert given("--colour", "green", "--most", "9") == {"kind": "green", "most": 9}
    assert given("--deep", "--no-wide") == {"deep": True, "wide": False}
    assert given("--ends", r"a\n", "--ends", "b") == {"ends": ["a\n", "b"]}


def test_a_selection_has_these_options_alone() -> None:
    chosen = only(Sample, "size", "deep")
    assert given("--size", "4", "--deep", source=chosen) == {"size": 4, "deep": True}
    with pytest.raises(AssertionError, match="No such option"):
        given("--share", "1", source=chosen)
    with pytest.raises(AssertionError, match="No such option"):
        given("--fixed", "1")


def test_what_is_no_number_is_left_to_the_config() -> None:
    assert given("--size", "many", "--share", "1,5") == {"size": "many", "share": "1,5"}
    assert given("--size", "1.5", "--share", "nan")["size"] == "1.5"
    problems = Sample.problems_in({"size": "many", "share": "1,5", "kind": "gren"})
    assert problems == [
        "`size` is 'many', not an integer",
        "`share` is '1,5', not a number",
        "`kind` is 'gren' (did you mean 'green'?), not one of red, green",
    ]


def test_help_says_meaning_values_and_default() -> None:
    texts = {name: help_of(entry) for name, entry in Sample.entries().items()}
    assert texts["size"] == "Size. \\[default: 3]"
    assert texts["share"] == "Share. \\[default: as suits]"
    assert texts["kind"] == "Kind: red (warm), green. \\[default: red]"
    assert texts["deep"] == "Depth."
    assert texts["wide"] == "Width. \\[default: wide]"
    assert texts["ends"] == r"Ends; repeatable, \n and other escapes are understood."
    assert texts["limit"] == "Limit."
    assert help_of(Sample.entries()["size"], "random") == "Size. \\[default: random]"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (r"\n\t\r\0", "\n\t\r\0"),
        (r"\\n", r"\n"),
        (r"\u3002", "。"),
        (r"\x41", "A"),
        (r"\q", r"\q"),
        (r"\ud83d\ude00\n", "😀\n"),
        (r"\ud800", "\ud800"),
    ],
)
def test_escapes_are_understood(written: str, meant: str) -> None:
    assert unescape(written) == meant

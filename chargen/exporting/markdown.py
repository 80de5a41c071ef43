"""Text in Markdown that is shown as it is."""

from __future__ import annotations

import re

_FENCE = "```"
_MARKS = re.compile(r"[\\`*_\[\]<>|&#~]")


def plain(text: str) -> str:
    """A text on one line, none of which is taken for markup; in a table too."""
    return _MARKS.sub(r"\\\g<0>", " ".join(text.split()))


def code(text: str) -> str:
    """A line of code between as many backticks as it takes."""
    ticks = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{ticks}{text}{ticks}"


def fenced(text: str, language: str) -> str:
    """A block of text between fences that are longer than any run of backticks in it."""
    fence = _FENCE
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text}\n{fence}"

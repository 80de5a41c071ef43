"""Formatting of numbers, times and generated texts."""

from __future__ import annotations

import re
import unicodedata


def human(number: float) -> str:
    """Format a number with three digits and a unit: 1234567 as ``1.23 M``."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number:.3g}"


def duration(seconds: float) -> str:
    """Format seconds: ``45 s``, ``3 min 20 s``, ``2 h 5 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def visible(text: str) -> str:
    """Make control characters in ``text`` visible, so that the terminal doesn't act on them."""
    return "".join(_visible(character) for character in text)


def _visible(character: str) -> str:
    if character in "\n\t":
        return character
    kind = unicodedata.category(character)
    if kind == "Cc":
        point = ord(character)
        return chr(0x2400 + point) if point < 0x20 else "␡" if point == 0x7F else f"<{point:02X}>"
    if character in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069":
        return f"<{ord(character):04X}>"
    return character


def wrapped(line: str, width: int) -> str:
    """Break a line between words, for a terminal; a longer word, such as a path, stays whole.

    The second column of a line that begins with two spaces keeps its place.
    """
    from rich.cells import cell_len

    column = re.match(r"  \S+(?: \S+)* {2,}", line)
    indent = len(column[0]) if column and len(column[0]) < width // 2 else 0
    begun = max(indent, len(line) - len(line.lstrip(" ")))
    lines, used, first = [line[:begun]], begun, True
    for word in line[begun:].split(" "):
        size = cell_len(word)
        if not first and used + 1 + size > width:
            lines.append(" " * indent)
            used, first = indent, True
        lines[-1] += word if first else f" {word}"
        used += size if first else 1 + size
        first = False
    return "\n".join(lines)


def counted(count: int, noun: str) -> str:
    """A number of things, such as ``1 thread`` or ``1,024 threads``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"

"""Convert traditional to simplified script and back, with OpenCC, in bounded memory."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from chargen.errors import MissingExtraError

# Longer than any line of a book; a text without line ends is cut into parts of about this size.
LONGEST_LINE = 1 << 20

_LAST_BREAK = re.compile(
    "[^\u3400-\u9fff\U00020000-\U0003ffff][\u3400-\u9fff\U00020000-\U0003ffff]*$"
)


def converter(direction: str) -> Callable[[str], str]:
    """A function that converts text, ``t2s`` or ``s2t``; MissingExtraError without OpenCC."""
    try:
        import opencc
    except ImportError as error:
        raise MissingExtraError("opencc", "convert", f'`convert="{direction}"`') from error
    convert: Callable[[str], str] = opencc.OpenCC(direction).convert
    return convert


def converted(
    chunks: Iterable[str], convert: Callable[[str], str], longest: int = LONGEST_LINE
) -> Iterator[str]:
    """Convert chunks as if they were one text.

    OpenCC looks at words, and no word contains a line end, so whole lines are converted. A line of
    more than ``longest`` characters is cut after its last character that isn't Han.
    """
    rest = ""
    for chunk in chunks:
        rest += chunk
        cut = rest.rfind("\n") + 1
        if not cut and len(rest) > longest:
            found = _LAST_BREAK.search(rest, len(rest) - longest)
            cut = found.start() + 1 if found else len(rest)
        if cut:
            yield convert(rest[:cut])
            rest = rest[cut:]
    if rest:
        yield convert(rest)

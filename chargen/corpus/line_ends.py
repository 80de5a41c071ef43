"""Line ends of every kind become LF, in a text that comes in chunks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chargen.corpus.reading import Source


def with_line_feeds(chunks: Iterable[str], source: Source) -> Iterator[str]:
    """Replace CR and CRLF, and count them in ``source``."""
    held = ""  # a CR at the end of a chunk: its LF may come with the next
    for chunk in chunks:
        text = held + chunk
        held = "\r" if text.endswith("\r") else ""
        if text := _line_feeds(text.removesuffix("\r"), source):
            yield text
    if held:
        source.cr += 1
        yield "\n"


def _line_feeds(text: str, source: Source) -> str:
    if "\r" not in text:
        return text
    crlf = text.count("\r\n")
    source.crlf += crlf
    source.cr += text.count("\r") - crlf
    return text.replace("\r\n", "\n").replace("\r", "\n")

"""A text as HTML, its characters tinted by what they cost a model."""

from __future__ import annotations

import html
from collections.abc import Sequence

SHOWN = 5000
"""The most characters that are shown; a notebook gets slow with more."""
_DARKEST_BITS = 12.0


def tinted(text: str, bits: Sequence[float], caption: str) -> str:
    """Return HTML of a text above a caption; red is surprising, and a tooltip has the bits."""
    shown = "".join(map(_character, text[:SHOWN], bits[:SHOWN]))
    more = f" The first {SHOWN:,} characters are shown." if len(text) > SHOWN else ""
    return (
        '<div style="white-space: pre-wrap; line-height: 1.6; color: black; background: white">'
        f"{shown}</div><p><small>{html.escape(caption)}. The redder a character, the more "
        f"surprising; {_DARKEST_BITS:g} bits and more are darkest.{more}</small></p>"
    )


def _character(character: str, bits: float) -> str:
    share = min(1.0, max(0.0, bits / _DARKEST_BITS))
    sign = "↵\n" if character == "\n" else html.escape(character)
    colour = f"rgba(220, 30, 30, {0.75 * share:.2f})"
    return f'<span style="background: {colour}" title="{bits:.2f} bits">{sign}</span>'

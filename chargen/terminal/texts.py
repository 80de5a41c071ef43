"""Generated texts: as data, or on a terminal with colours and visible control characters."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from chargen.terminal.words import visible

if TYPE_CHECKING:
    from rich.console import Console

_PROMPT = "bold cyan"
_HEADING = "dim"
_TINTS: Mapping[str, tuple[str, Sequence[tuple[float, str]], str]] = {
    "surprisal": (
        "bits",
        ((1.0, "bright_black"), (3.0, ""), (5.0, "yellow"), (8.0, "dark_orange")),
        "bold red",
    ),
    "gate": (
        "the network's share, the rest is counting",
        ((0.2, "dark_orange"), (0.4, "yellow"), (0.6, ""), (0.8, "cyan")),
        "bold blue",
    ),
}
"""By what colours tell: its name, the colours of numbers up to so much, that of greater ones."""


class TextWriter:
    """Writes texts to standard output, as they are where it is no terminal."""

    def __init__(self) -> None:
        self.on_terminal = sys.stdout.isatty()

    @cached_property
    def _console(self) -> Console:
        from rich.console import Console  # which is slow to import

        return Console(highlight=False, soft_wrap=True)

    def write(self, text: str, style: str = "") -> None:
        """Write a part of a text."""
        if self.on_terminal:
            from rich.text import Text

            self._console.print(Text(visible(text), style), end="")
        else:
            sys.stdout.write(text)
        sys.stdout.flush()

    def prompt(self, text: str) -> None:
        """Write what the model was given to continue."""
        self.write(text, _PROMPT)

    def heading(self, words: str) -> None:
        """Write a line about the next text, on a terminal only."""
        if self.on_terminal:
            self.write(f"{words}\n", _HEADING)

    def tinted(self, told: Iterable[tuple[str, float]], what: str) -> None:
        """Write characters, each in the colour of its number; ``what`` is a key of ``_TINTS``."""
        _, steps, last = _TINTS[what]
        for character, number in told:
            self.write(character, next((style for most, style in steps if number <= most), last))

    def legend(self, what: str) -> None:
        """Write which colour stands for which numbers."""
        name, steps, last = _TINTS[what]
        below, parts = 0.0, []
        for most, style in steps:
            parts.append((f"{below:g} to {most:g}", style))
            below = most
        self.write(f"{name}: ", _HEADING)
        for words, style in [*parts, (f"over {below:g}", last)]:
            self.write(words, style)
            self.write("  ")
        self.write("\n")

    def beside(self, headings: Sequence[str], texts: Sequence[tuple[str, str]]) -> None:
        """Write texts side by side, each (prompt, text) below its heading."""
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, expand=True, padding=(0, 2, 0, 0))
        for heading in headings:
            table.add_column(Text(heading, _HEADING), ratio=1, overflow="fold")
        cells = [Text(visible(a), _PROMPT).append(visible(b), "not bold default") for a, b in texts]
        table.add_row(*cells)
        self._console.print(table)

    def fits(self, columns: int) -> bool:
        """Whether so many texts can be read side by side."""
        return self.on_terminal and self._console.width >= 24 * columns

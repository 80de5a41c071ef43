"""Lines of TSV as cells.

Much TSV knows no quoting, and other TSV quotes as CSV does. So a quoted field has quotes as
characters unless it needs them, around a tab or a doubled quote, or the header is quoted too. A
field never goes on in the next line.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator

_QUOTED = re.compile(r'"([^"]*+(?:""[^"]*+)*+)"(?=\t|\Z)')
_PLAIN = re.compile(r"[^\t]*")
_WITHIN_QUOTES = re.compile(r'[^"]*+(?:""[^"]*+)*+')
_LONGEST_FIELD = 1 << 17  # characters, as in CSV


class FieldOfSeveralLinesError(ValueError):
    """A quoted field that seems to go on in the next line; ``line`` is the first."""

    def __init__(self, line: int) -> None:
        super().__init__("a quoted field of several lines")
        self.line = line


def tsv_cells(lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of each line that isn't blank, from 1, and its cells; the first is a header.

    Raises:
        FieldOfSeveralLinesError: see there.
    """
    rest = _Lines(lines)
    columns, always = 0, False
    for number, line in enumerate(rest, 1):
        if not line:
            continue
        if '"' not in line:
            cells = line.split("\t")
        else:
            if _seems_to_go_on(line, rest, columns):
                raise FieldOfSeveralLinesError(number)
            always = always or (not columns and _QUOTED.match(line) is not None)
            cells = _cells(line, columns, always=always)
        columns = columns or len(cells)
        yield number, cells


class _Lines:
    """Lines that can be looked at before their turn."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines, self._seen = iter(lines), deque[str]()

    def __iter__(self) -> Iterator[str]:
        while True:
            try:
                yield self._seen.popleft() if self._seen else next(self._lines)
            except StopIteration:
                return

    def ahead(self) -> Iterator[str]:
        """The lines whose turn has not come, up to a number of characters."""
        characters = 0
        for line in self._seen:
            characters += len(line) + 1
            yield line
        for line in self._lines:
            self._seen.append(line)
            characters += len(line) + 1
            yield line
            if characters > _LONGEST_FIELD:
                return


def _cells(line: str, columns: int, *, always: bool) -> list[str]:
    """The cells of a line, by its quotes unless only without them there is one for each column."""
    plain, cells = line.split("\t"), []
    for field in _fields(line):
        quoted = _QUOTED.fullmatch(field)
        inner = quoted[1] if quoted else field
        needed = not inner or '"' in inner or "\t" in inner
        cells.append(inner.replace('""', '"') if quoted and (always or needed) else field)
    return plain if len(cells) != columns == len(plain) else cells


def _fields(line: str) -> Iterator[str]:
    """The fields of a line as they are written."""
    place = 0
    while place <= len(line):
        found = _QUOTED.match(line, place) or _PLAIN.match(line, place)
        assert found is not None  # _PLAIN matches anything
        yield found[0]
        place = found.end() + 1


def _seems_to_go_on(line: str, rest: _Lines, columns: int) -> bool:
    """Whether a field is quoted to its end in a later line, and not each line has all columns."""
    if not _leaves_open(line):
        return False
    whole = line.count("\t") + 1 == columns
    for following in rest.ahead():
        whole = whole and (not following or following.count("\t") + 1 == columns)
        found = _WITHIN_QUOTES.match(following)
        end = found.end() if found else 0
        if end < len(following):
            return not whole and following[end + 1 : end + 2] in ("\t", "")
    return False


def _leaves_open(line: str) -> bool:
    """Whether a field begins with a quote that nothing closes."""
    place = 0
    for field in _fields(line):
        if field.startswith('"') and not _QUOTED.fullmatch(field):
            found = _WITHIN_QUOTES.match(line, place + 1)
            if found and found.end() == len(line):
                return True
        place += len(field) + 1
    return False

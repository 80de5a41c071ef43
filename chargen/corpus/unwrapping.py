"""Join the lines of hard-wrapped text, in which line ends stand in the middle of sentences.

A text is hard-wrapped if nearly every line that ends in the middle of a sentence is full: the first
word of the next line would not have fitted on it. In verse, lists, tables and code such lines end
anywhere; in verse of equal lines, the last line of a stanza is full too.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

SAMPLE_CHARACTERS = 1 << 18
_LONGEST_LINE = 1 << 16

_NARROWEST, _WIDEST = 30, 200  # columns of lines that may be wrapped
_LEAST_LINES = 20
_LEAST_MID = 10  # line ends in the middle of a sentence
_MID_SHARE = 0.3
_FULL_SHARE = 0.75  # of wrapped prose 0.8 to 1; of drama and code at most 0.3
_SHORT_ENDS = 3  # last lines of paragraphs
_SHORT_SHARE = 0.4
_WORDS = 4  # in a full line of a script with spaces
_SLACK = 2  # characters
_INSISTED = 0.6  # share of the width that is full where the user says that lines are wrapped

_WIDE = re.compile(
    "[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6"
    "\U00020000-\U0003fffd]"
)
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\ua4cf\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60"
    "\U00020000-\U0003fffd]"
)
"""Characters of scripts without spaces between words: Chinese, Japanese, Thai, Khmer and others."""
_ANY_SCRIPT = "\"'“”‘’«»…—"
"""Punctuation of scripts with and without spaces; what stands beside it tells which it is."""
_ENDS = re.compile("[.!?…。！？：:；;][\"'”’»』」）)\\]]*$|[”』」]$")
_ITEM = re.compile(r"(?:[-*•·+>|#]|\d{1,3}[.)、]|[（(]?[一二三四五六七八九十\d]{1,3}[)）、])")
_HYPHEN = re.compile(r"\w[-\u2010]$")
_DASH_AT_END, _DASH_AT_BEGIN = re.compile(r"\S—$"), re.compile(r"—\S")


def columns(line: str) -> int:
    """The width of a line in a terminal."""
    return len(line) + len(_WIDE.findall(line))


@dataclass(frozen=True)
class Wrapping:
    """How a text is wrapped.

    Attributes:
        width: of a full line, by ``measure``.
        measure: ``columns`` or ``len``.
        indent: spaces at the beginning of most lines.
        ends: whether a full line that ends a sentence is followed by the same paragraph:
            ``always``, where blank lines or indents set paragraphs apart; ``mostly``; ``never``.
        insisted: whether the user says that lines are wrapped, however they look.
    """

    width: int
    measure: Callable[[str], int]
    indent: int
    ends: str
    insisted: bool = False

    def joins(self, line: str, following: str) -> bool:
        """Whether the end of ``line`` was made by wrapping."""
        if not _breaks(line, following, self.indent):
            return False
        if not _ENDS.search(line):
            share = self.measure(line) / self.width
            full = is_full(line, following, self.width, self.measure)
            return full or (self.insisted and share >= _INSISTED)
        if self.ends == "never":
            return False
        slack = _SLACK if self.ends == "always" else 0
        return is_full(line, following, self.width, self.measure, slack)


def recognise(sample: str, *, insist: bool = False) -> Wrapping | None:
    """Find out how a text is wrapped from its beginning; None if it isn't.

    Args:
        sample: whole lines.
        insist: take the text for wrapped, and find out only how.
    """
    lines = [line.rstrip() for line in sample.split("\n")]
    filled = [line for line in lines if line]
    if not filled or (len(filled) < _LEAST_LINES and not insist):
        return None
    found = [wrapping for measure in (columns, len) if (wrapping := _judged(lines, measure))]
    best = max(found, key=lambda pair: pair[0], default=None)
    if best is not None:
        return best[1]
    if not insist:
        return None
    indent = _usual_indent(filled)
    width = _width([columns(line) for line in filled])
    return Wrapping(width, columns, indent, "never", insisted=True)


def _judged(lines: list[str], measure: Callable[[str], int]) -> tuple[float, Wrapping] | None:
    """How wrapped a text looks by one measure, and how it is wrapped; None if it isn't."""
    filled = [line for line in lines if line]
    width = _width([measure(line) for line in filled])
    if not _NARROWEST <= _width([columns(line) for line in filled]) <= _WIDEST:
        return None
    indent = _usual_indent(filled)
    found = _counted(lines, width, measure, indent)
    wrapped = (
        found["mid"] >= max(_LEAST_MID, _MID_SHARE * found["breaks"])
        and found["full"] >= _FULL_SHARE * found["mid"]
        and found["short ends"] >= max(_SHORT_ENDS, _SHORT_SHARE * found["ends"])
        and (found["words"] >= _WORDS * found["spaced"] or found["spaced"] < 0.3 * found["mid"])
    )
    if not wrapped:
        return None
    unmarked, ends = found["unmarked ends"], "never"
    if unmarked <= 0.2 * (found["ends"] - unmarked):
        ends = "always"
    elif found["full ends"] >= 0.15 * unmarked:
        ends = "mostly"
    return found["full"] / found["mid"], Wrapping(width, measure, indent, ends)


def _counted(
    lines: list[str], width: int, measure: Callable[[str], int], indent: int
) -> Counter[str]:
    """Count what tells whether lines are wrapped, by the names that ``_judged`` uses."""
    found: Counter[str] = Counter()
    before = ""
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        first, before = not before, line
        if not line:
            continue
        fills = _breaks(line, following, indent) and is_full(line, following, width, measure)
        if not _breaks(line, following, indent):
            found["ends"] += 1
            found["short ends"] += measure(line) < 0.9 * width
        elif _ENDS.search(line):
            found["breaks"] += 1
            if not fills:
                found.update(["ends", "unmarked ends", "short ends"])
            elif is_full(line, following, width, measure, slack=0):
                found["full ends"] += 1
        elif fills or not first:  # else it is a title
            found.update(["breaks", "mid"])
            found["full"] += fills
            if not _UNSPACED.search(line):
                found["spaced"] += 1
                found["words"] += len(line.split())
    return found


def is_full(
    line: str, following: str, width: int, measure: Callable[[str], int], slack: int = _SLACK
) -> bool:
    """Whether the first word of ``following`` would not have fitted on ``line``.

    In a script without spaces that is the first character, or ``slack`` more of them: punctuation
    is kept from the ends of lines.
    """
    following = following.lstrip()
    if _UNSPACED.match(following.lstrip(_ANY_SCRIPT)):
        return measure(line) + (1 + slack) * measure(following[0]) > width
    word = _UNSPACED.split(following.split(None, 1)[0], maxsplit=1)[0]
    return measure(line) + 1 + measure(word) >= width


def _breaks(line: str, following: str, indent: int) -> bool:
    """Whether a paragraph may go on from one line to the next."""
    inner = following.lstrip()
    return (
        bool(line.strip())
        and bool(inner)
        and len(following) - len(inner) <= indent
        and not _ITEM.match(inner)
    )


def _usual_indent(filled: list[str]) -> int:
    counted = Counter(len(line) - len(line.lstrip()) for line in filled)
    return counted.most_common(1)[0][0]


def _width(widths: list[int]) -> int:
    """The width that nearly no line exceeds."""
    return sorted(widths)[int(0.98 * (len(widths) - 1))]


def joined(line: str, following: str) -> str:
    """Join two lines by what the script asks for."""
    line, following = line.rstrip(), following.lstrip()
    if line.endswith("\u00ad"):
        return line[:-1] + following
    if _HYPHEN.search(line[-2:]) or _joins_without_space(line, following):
        return line + following
    return f"{line} {following}"


def _joins_without_space(line: str, following: str) -> bool:
    """Whether either side is of a script without spaces, or ends in a dash that has none."""
    sides = line.rstrip(_ANY_SCRIPT)[-1:], following.lstrip(_ANY_SCRIPT)[:1]
    if any(_UNSPACED.match(side) for side in sides):
        return True
    return bool(_DASH_AT_END.search(line[-2:]) or _DASH_AT_BEGIN.match(following))


def unwrapped(
    chunks: Iterable[str], wrapping: Wrapping, on_join: Callable[[int], None]
) -> Iterator[str]:
    """Join the wrapped lines of a text that comes in chunks.

    Args:
        chunks: the text; only the paragraph at hand is held in memory, up to a limit.
        wrapping: how it is wrapped.
        on_join: called with the number of lines joined to the ones before.
    """
    paragraph: str | None = None  # what has been joined so far
    last = ""  # its last line
    rest = ""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split("\n")
        done, joins = [], 0
        for line in lines:
            if paragraph is None or len(paragraph) > _LONGEST_LINE:
                joins_on = False
            else:
                joins_on = wrapping.joins(last.rstrip(), line)
            if joins_on and paragraph is not None:
                paragraph, joins = joined(paragraph, line), joins + 1
            else:
                done += [] if paragraph is None else [paragraph]
                paragraph = line
            last = line
        if joins:
            on_join(joins)
        if done:
            yield "\n".join(done) + "\n"
        if len(rest) > _LONGEST_LINE:
            yield from _flushed(paragraph, rest)
            paragraph, last, rest = None, "", ""
    if paragraph is not None and rest and wrapping.joins(last.rstrip(), rest):
        on_join(1)
        yield joined(paragraph, rest)
        return
    yield from _flushed(paragraph, rest)


def _flushed(paragraph: str | None, rest: str) -> Iterator[str]:
    text = (paragraph + "\n" if paragraph is not None else "") + rest
    if text:
        yield text

"""A reader's check of poems, which shares no code with what writes them: rules, not patterns.

    chargen sample RUN --form qijue --rhyme --tones --num-samples 100 --json > poems.jsonl
    python -m tests.generation.poems.check qijue poems.jsonl

Each verse is read as pypinyin reads it as a whole. In the modern reading 入声 have no tone of their
own. Rhymes are the eighteen of 中华新韵 (1941).
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from pypinyin import Style, pinyin

SHAPES = {"wujue": (4, 5), "qijue": (4, 7), "wulv": (8, 5), "qilv": (8, 7)}
RHYMES = (
    "a ia ua/o uo/e/ie ve ê/-i/er/i/ei uei/ai uai/u/v/ou iou/ao iao/"
    "an ian uan van/en in uen vn/ang iang uang/eng ing ueng/ong iong"
)
GROUP = {final: group for group in RHYMES.split("/") for final in group.split()}


def tones_of(verse: str) -> str:
    """平, 仄 or · (neutral or unknown) for each character."""
    kinds = {"1": "平", "2": "平", "3": "仄", "4": "仄"}
    return "".join(kinds.get(tone[-1:], "·") for (tone,) in pinyin(verse, style=Style.TONE3))


def rhyme_of(verse: str) -> str | None:
    """The rhyme group of the last character, as it is read in the verse."""
    final = pinyin(verse, style=Style.FINALS, strict=True)[-1][0]
    initial = pinyin(verse, style=Style.INITIALS, strict=True)[-1][0]
    if final == "i" and initial in {"zh", "ch", "sh", "r", "z", "c", "s"}:
        final = "-i"
    return GROUP.get(final)


def breaches(
    text: str,
    name: str,
    *,
    tones: bool = True,
    rhyme: bool = True,
    first: bool = True,
    acrostic: str = "",
) -> list[str]:
    """What a poem breaks.

    Args:
        text: the poem, its verses separated by marks and line ends.
        name: of its form.
        tones, rhyme: whether these were asked for.
        first: whether the first verse is to rhyme (首句入韵), or must not.
        acrostic: the characters that were to begin the verses.
    """
    count, width = SHAPES[name]
    verses = re.split("[，。\n]+", text.rstrip("。\n"))
    if not re.fullmatch("(?:[^，。\n]+，[^，。\n]+。\n?)+", text) or not text.endswith("。"):
        return ["marks"]
    if [len(verse) for verse in verses] != [width] * count:
        return ["shape"]
    found = [f"acrostic {n}" for n, c in enumerate(acrostic) if verses[n][0] != c]
    if rhyme:
        found += _rhyme_breaches(verses, first=first)
    if tones:
        found += _tone_breaches([tones_of(verse) for verse in verses], first=first and rhyme)
    if count == 8:
        found += [f"couplet {n}" for n in (3, 5) if not mirrored(verses[n - 1], verses[n])]
    return found


def mirrored(first: str, second: str) -> bool:
    """Whether two verses share no character, and repeat their own at the same places."""
    pairs = set(zip(first, second, strict=True))
    one_to_one = len(pairs) == len(set(first)) == len(set(second))
    return one_to_one and not set(first) & set(second)


def _rhyme_breaches(verses: list[str], *, first: bool) -> Iterator[str]:
    ends = ([verses[0]] if first else []) + verses[1::2]
    groups = {rhyme_of(verse) for verse in ends}
    if len(groups) > 1 or None in groups:
        yield f"rhyme {groups}"
    if len({verse[-1] for verse in ends}) < len(ends):
        yield "a rhyme repeated"


def _tone_breaches(tones: list[str], *, first: bool) -> Iterator[str]:
    for n, verse in enumerate(tones):
        level = n % 2 == 1 or (first and n == 0)
        if verse[-1] != ("平" if level else "仄"):
            yield f"end of {n}: {verse}"
        even = verse[1::2]
        if set(even) - {"平", "仄"} or any(a == b for a, b in pairwise(even)):
            yield f"places 2, 4, 6 of {n}: {verse}"
        if verse[-3:] in ("平平平", "仄仄仄"):
            yield f"three alike at the end of {n}: {verse}"
        if verse.endswith("仄平") and verse[-5:-1].count("平") < 2:
            yield f"孤平 in {n}: {verse}"
        before = tones[n - 1][1] if n else ""
        if n and (verse[1] == before) != (n % 2 == 0):
            yield f"{'粘' if n % 2 == 0 else '对'} of {n}: {verse}"


def main() -> int:
    """Check the texts of a file of JSON lines, and print those that fail."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("form", choices=SHAPES)
    parser.add_argument("file", type=Path)
    parser.add_argument("--first-rhyme", choices=("yes", "no"), default="yes")
    asked = parser.parse_args()
    texts = [json.loads(line)["text"] for line in asked.file.read_text("utf-8").splitlines()]
    failing = 0
    for text in texts:
        if found := breaches(text, asked.form, first=asked.first_rhyme == "yes"):
            failing += 1
            print(text, *found, sep="\n", end="\n\n")
    print(f"{failing} of {len(texts)} fail")
    return int(failing > 0)


if __name__ == "__main__":
    sys.exit(main())

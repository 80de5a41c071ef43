"""Where the validation split begins: near its share of the text, at a line end if possible."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

# "Near" is within a hundredth of the text, and never further than this many characters.
REACH = 1 << 16


def split_point(characters: int, val_frac: float) -> tuple[int, int]:
    """Where to cut a text of ``characters``, and how far from there a line end is still near.

    At least two characters stay for training, where there are as many.
    """
    if val_frac == 0:
        return characters, 0
    target = max(characters - round(characters * val_frac), min(2, characters))
    return target, min(characters // 100, REACH)


def split_chunks(chunks: Iterable[str], target: int, reach: int) -> Iterator[tuple[bool, str]]:
    """The chunks again, each marked True from the cut on; one is cut in two where need be.

    The cut comes after the line end nearest to ``target``, at most ``reach`` characters from it
    (the earlier of two equally near), else at ``target`` itself. Only the text within reach is
    held back.
    """
    done = 0  # characters that were yielded
    held = ""
    chunks = iter(chunks)
    for chunk in chunks:
        held += chunk
        if done + len(held) > target + reach:
            break
        # What comes before the reach can go; a line end just before it counts as within.
        safe = min(max(target - reach - 1 - done, 0), len(held))
        if safe:
            yield False, held[:safe]
            done, held = done + safe, held[safe:]
    cut = _cut(held, target - done, reach)
    if held[:cut]:
        yield False, held[:cut]
    if held[cut:]:
        yield True, held[cut:]
    for chunk in chunks:
        yield True, chunk


def _cut(text: str, target: int, reach: int) -> int:
    """The place of the cut in ``text``, of which ``target`` is an index."""
    before = text.rfind("\n", max(target - reach - 1, 0), target) + 1
    after = text.find("\n", target, target + reach) + 1
    near = [place for place in (before, after) if place and abs(place - target) <= reach]
    return min(near, key=lambda place: abs(place - target), default=target)

"""Where the validation split begins: near its share of the text, after a line end if possible."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

# "Near" is within a hundredth of the text, and at most this many characters.
REACH = 1 << 16


def split_point(characters: int, val_frac: float) -> tuple[int, int]:
    """Where to cut a text of ``characters``, and how far away a line end is still near.

    At least two characters are left for training, if there are that many.
    """
    if val_frac == 0:
        return characters, 0
    target = max(characters - round(characters * val_frac), min(2, characters))
    return target, min(characters // 100, REACH)


def split_chunks(chunks: Iterable[str], target: int, reach: int) -> Iterator[tuple[bool, str]]:
    """Pair each chunk with whether it belongs to validation; the chunk at the cut is divided.

    The cut is after the line end nearest to ``target`` and at most ``reach`` characters away (the
    earlier of two equally near ones), otherwise at ``target`` itself. Only the text within reach
    is held in memory.
    """
    done = 0  # characters yielded so far
    held = ""
    chunks = iter(chunks)
    for chunk in chunks:
        held += chunk
        if done + len(held) > target + reach:
            break
        # What comes before the reach is yielded; a line end just before it still counts.
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
    """The index of the cut in ``text``; ``target`` is an index too."""
    before = text.rfind("\n", max(target - reach - 1, 0), target) + 1
    after = text.find("\n", target, target + reach) + 1
    near = [place for place in (before, after) if place and abs(place - target) <= reach]
    return min(near, key=lambda place: abs(place - target), default=target)

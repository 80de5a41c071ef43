from __future__ import annotations

import tracemalloc

from chargen.generation.prompts import ReadCache

LARGE, SMALL = 5_000_000, 10


def sizes() -> ReadCache[int]:
    """A cache of what has as many numbers as it says."""
    return ReadCache(int)


def test_texts_are_known_by_their_pieces_and_labels() -> None:
    cache = sizes()
    cache.keep([1, 2], 3)
    cache.keep((1, 2), 4, ("kind=a",))
    cache.keep([1], 5, ("kind=a", "kind=b"))
    assert cache.find((1, 2)) == 3
    assert cache.find([1, 2], ("kind=a",)) == 4
    assert cache.find([1], ("kind=a", "kind=b")) == 5
    assert cache.find([1], ('kind=a", "kind=b',)) is None
    assert cache.find([2, 1]) is None


def test_the_least_recently_used_is_forgotten() -> None:
    cache = sizes()
    for n in range(3):
        cache.keep([n], LARGE)
    assert cache.find([0]) == LARGE
    cache.keep([3], LARGE)
    assert [cache.find([n]) for n in range(4)] == [LARGE, None, LARGE, LARGE]
    for n in range(100):
        cache.keep([n, n], SMALL)
    assert len(cache) == 103
    for n in range(9):  # of the same text
        cache.keep([0, 0], LARGE + n)
    assert len(cache) >= 100
    cache.keep([4], 10 * LARGE)
    assert len(cache) == 1


def test_a_long_prompt_takes_no_more_memory_than_a_short_one() -> None:
    cache = sizes()
    tracemalloc.start()
    try:
        for n in range(100):
            cache.keep([*range(4095), n], SMALL)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(cache) == 100
    assert held < 100 * 1024

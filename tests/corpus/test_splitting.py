from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargen.corpus.splitting import REACH, split_chunks, split_point


def naive_cut(text: str, target: int, reach: int) -> int:
    places = [i + 1 for i, c in enumerate(text) if c == "\n" and abs(i + 1 - target) <= reach]
    return min(places, key=lambda place: (abs(place - target), place), default=target)


@given(
    text=st.text(st.sampled_from("ab\n"), max_size=40),
    share=st.floats(0, 1),
    reach=st.integers(0, 12),
    size=st.integers(1, 50),
)
def test_the_cut_is_the_line_end_nearest_to_the_target(
    text: str, share: float, reach: int, size: int
) -> None:
    target = round(len(text) * share)
    chunks = (text[i : i + size] for i in range(0, len(text), size))
    pieces = list(split_chunks(chunks, target, reach))
    cut = naive_cut(text, target, reach)
    assert "".join(piece for is_val, piece in pieces if not is_val) == text[:cut]
    assert "".join(piece for is_val, piece in pieces if is_val) == text[cut:]
    assert [is_val for is_val, _ in pieces] == sorted(is_val for is_val, _ in pieces)
    assert all(piece for _, piece in pieces)


def test_no_more_than_a_chunk_and_the_reach_is_held() -> None:
    pieces = list(split_chunks(("x" * 10 for _ in range(1000)), 5000, 30))
    assert max(len(piece) for _, piece in pieces) <= 70


@pytest.mark.parametrize(
    ("characters", "val_frac", "expected"),
    [
        (1000, 0.1, (900, 10)),
        (1000, 0.0, (1000, 0)),
        (20, 0.1, (18, 0)),
        (20, 0.99, (2, 0)),
        (1, 0.5, (1, 0)),
        (10**9, 0.1, (9 * 10**8, REACH)),
    ],
)
def test_the_target_is_the_share_and_near_is_a_hundredth(
    characters: int, val_frac: float, expected: tuple[int, int]
) -> None:
    assert split_point(characters, val_frac) == expected

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from chargen.ngrams import (
    CountedTexts,
    beginning,
    count,
    joined,
    records,
    score,
    without_singletons,
)
from tests.ngrams.reference import Reference

NEWLINE, SIZE = 4, 6
TEXTS = [[0, 1, 2, 5], [0, 1, 3, 1, 5], [5], [2, 4, 0, 1, 5], [0, 1, 2, 5], [3, 5], [0, 4, 1, 5]]
TOKENS = np.array(
    [9, *(piece for text in TEXTS for piece in text)], np.uint16
)  # something else comes before
LENGTHS = np.array([len(text) for text in TEXTS])
STARTS = 1 + np.cumsum(LENGTHS) - LENGTHS


def stream_of(texts: list[list[int]], order: int) -> tuple[list[int], list[int]]:
    """The texts after their newlines, and where their pieces are."""
    stream, places = [], []
    for text in texts:
        stream += [NEWLINE] * (order - 1)
        places += range(len(stream), len(stream) + len(text))
        stream += text
    return stream, places


@pytest.mark.parametrize("ahead", [0, 1000])
@pytest.mark.parametrize("order", [1, 2, 4])
@pytest.mark.parametrize("every", [1, 2])
def test_texts_are_counted_without_what_they_contribute(
    every: int, order: int, ahead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream, places = stream_of(TEXTS[::every], order)
    whole, _ = stream_of(TEXTS, order)
    monkeypatch.setattr(records, "most_counted", lambda _: -(-len(whole) // every))
    monkeypatch.setattr(records, "_BLOCK", 6)
    found = CountedTexts(TOKENS, STARTS, LENGTHS, SIZE, order, NEWLINE, ahead)
    model, asked = found.whole, np.array([6, 1, 0])
    by_hand = {}
    left = iter(places)
    for n, text in enumerate(TEXTS):
        if n % every:
            alone, own = stream_of([text], order)
            by_hand[n] = score(model, np.array(alone))[own]
        else:
            discounts = model.discounts.tolist()
            at = [next(left) for _ in text]
            by_hand[n] = np.array(
                [
                    Reference(
                        [stream], SIZE, order, NEWLINE, (0, t), discounts, found.drop_from
                    ).at(t)
                    for t in at
                ]
            )
    side_by_side = found.of(asked)
    assert side_by_side.shape == (5, 3)
    for column, n in zip(side_by_side.T, asked.tolist(), strict=True):
        assert_allclose(column[: len(TEXTS[n])], by_hand[n], rtol=1e-6)
        assert (column[len(TEXTS[n]) :] == 1).all()


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_a_text_that_is_written_begins_where_one_that_is_scored_does(order: int) -> None:
    stream, places = joined(TOKENS, STARTS, LENGTHS, order, NEWLINE)
    assert (stream.tolist(), places.tolist()) == stream_of(TEXTS, order)
    whole = count(stream, SIZE, order, NEWLINE)
    model = without_singletons(whole, order if order > 2 else 0)
    p = score(model, stream)[places]
    firsts = np.cumsum(LENGTHS) - LENGTHS
    state = np.array([beginning(model)])
    for piece, n in zip([NEWLINE, *TEXTS[1][:-1]], range(len(TEXTS[1])), strict=True):
        state = model.tables.after(model.tables.parts(state), np.array([piece]))
        row = model.tables.row(state)[0]
        assert_allclose(row[TEXTS[1][n]], p[firsts[1] + n], rtol=1e-5)
        assert_allclose(row.sum(), 1, rtol=1e-5)
    assert_array_equal(TOKENS[STARTS], [text[0] for text in TEXTS])

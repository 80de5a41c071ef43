"""Records in batches: each once a pass, the same for the same step, padded little."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chargen.corpus.batching import RecordBatches, by_length, padded
from chargen.corpus.record_split import RecordSplit

END = 9


def split_of(lengths: list[int], sides: int = 1) -> RecordSplit:
    """Records whose pieces count up, each ended by the end piece."""
    tokens = [[*(n % 7 for n in range(length - 1)), END] for length in lengths]
    return RecordSplit(np.concatenate(tokens), END, len(lengths) // sides, sides)


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=60),
    st.integers(1, 200),
    st.integers(0, 3),
)
@settings(max_examples=60, deadline=None)
def test_every_record_comes_once_a_pass_and_batches_fit(
    lengths: list[int], pieces: int, seed: int
) -> None:
    split = split_of(lengths)
    batches = RecordBatches(split, pieces, seed)
    for epoch in range(2):
        steps = range(epoch * batches.steps_per_epoch, (epoch + 1) * batches.steps_per_epoch)
        found = [batches.records(step) for step in steps]
        assert sorted(np.concatenate(found).tolist()) == list(range(len(lengths)))
        for records in found:
            widest = split.lengths()[records].max()
            assert len(records) == 1 or len(records) * widest <= pieces


def test_a_batch_depends_on_seed_and_step_alone() -> None:
    split = split_of([3, 5, 4, 4, 4, 5, 3, 3] * 5)
    one, other = RecordBatches(split, 16, 1), RecordBatches(split, 16, 1)
    last = 3 * one.steps_per_epoch - 1
    in_order = [one.records(step).tolist() for step in range(last + 1)]
    assert other.records(last).tolist() == in_order[last]
    assert other.records(2).tolist() == in_order[2]
    again = [RecordBatches(split, 16, 2).records(step).tolist() for step in range(last + 1)]
    assert again != in_order
    first, second = in_order[: one.steps_per_epoch], in_order[one.steps_per_epoch :]
    assert first != second[: len(first)]


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30))), st.integers(1, 200))
@settings(max_examples=60, deadline=None)
def test_records_by_length_come_once_in_batches_that_fit(
    lengths: list[tuple[int, int]], pieces: int
) -> None:
    both = np.array(lengths, np.int64).reshape(-1, 2).T
    found = list(by_length(both, pieces))
    assert sorted(n for records in found for n in records.tolist()) == list(range(len(lengths)))
    for records in found:
        widest = both[:, records].max(axis=1).sum()
        assert len(records) == 1 or len(records) * widest <= pieces


def test_both_sides_of_a_pair_count() -> None:
    split = split_of([2, 9, 2, 1, 3, 4], sides=2)
    batches = RecordBatches(split, 12, 0)
    for step in range(batches.steps_per_epoch):
        records = batches.records(step)
        wide = sum(int(split.lengths(side)[records].max()) for side in (0, 1))
        assert len(records) == 1 or wide * len(records) <= 12


@pytest.mark.parametrize("side", [0, 1])
def test_padding_stands_behind_the_texts(side: int) -> None:
    split = split_of([2, 4, 3, 1, 5, 2], sides=2)
    ids, lengths = padded(split, np.array([2, 0]), side)
    assert ids.shape == (max(lengths), 2)
    for column, record in enumerate((2, 0)):
        text = split.side(record, side)
        assert ids[: lengths[column], column].tolist() == text.tolist()
        assert not ids[lengths[column] :, column].any()

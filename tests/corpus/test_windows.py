from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargen.corpus.windows import WINDOWS_PER_LANE, Windows, fit
from chargen.errors import CorpusError

NEWLINE = 99


@given(
    n=st.integers(1, 60),
    batch_size=st.integers(1, 5),
    seq_length=st.integers(1, 9),
    step=st.integers(0, 200),
)
def test_windows_equal_a_naive_loop(n: int, batch_size: int, seq_length: int, step: int) -> None:
    if n < batch_size:
        return
    tokens = np.arange(n, dtype=np.uint16)
    windows = Windows(tokens, batch_size, seq_length, NEWLINE)
    lane = n // batch_size
    stream = [NEWLINE, *tokens.tolist()]
    assert windows.steps_per_epoch == -(-lane // seq_length)
    start = (step % windows.steps_per_epoch) * seq_length
    times = range(start, min(start + seq_length, lane))
    expected_inputs = [[stream[b * lane + t] for b in range(batch_size)] for t in times]
    expected_targets = [[stream[b * lane + t + 1] for b in range(batch_size)] for t in times]
    inputs, targets, fresh = windows.window(step)
    assert inputs.tolist() == expected_inputs
    assert targets.tolist() == expected_targets
    assert fresh == (start == 0)
    beside = windows.of_targets(10 * tokens, step)
    assert beside.tolist() == [[10 * token for token in row] for row in expected_targets]
    assert beside.flags.c_contiguous


@given(
    n=st.integers(1, 60),
    batch_size=st.integers(1, 5),
    seq_length=st.integers(1, 9),
    number=st.integers(0, 9),
    seed=st.integers(0, 3),
)
def test_a_pass_goes_round_the_text_from_a_place_of_its_own(
    n: int, batch_size: int, seq_length: int, number: int, seed: int
) -> None:
    if n < batch_size:
        return
    tokens = np.arange(n, dtype=np.uint16)
    windows = Windows(tokens, batch_size, seq_length, NEWLINE, seed)
    steps = range(number * windows.steps_per_epoch, (number + 1) * windows.steps_per_epoch)
    parts = [windows.window(step) for step in steps]
    targets = np.concatenate([part[1] for part in parts])
    offset = int(targets[0, 0])
    assert targets.T.ravel().tolist() == [(offset + k) % n for k in range(targets.size)]
    inputs = np.concatenate([part[0] for part in parts])
    assert inputs.tolist() == np.where(targets > 0, targets - 1, NEWLINE).tolist()
    assert [part[2] for part in parts] == [True] + [False] * (len(parts) - 1)
    if number == 0:
        assert offset == 0
    for step, part in zip(steps, parts, strict=True):
        assert windows.of_targets(10 * tokens, step).tolist() == (10 * part[1]).tolist()
        start, end = windows.span(step)
        stretches = windows.stretches(step, start, end)
        found = [[k for each in lane for k in range(*each)] for lane in stretches]
        assert found == part[1].T.tolist()


def test_passes_begin_all_over_the_text_and_by_the_seed() -> None:
    tokens = np.arange(1000)

    def beginnings(seed: int | None) -> list[int]:
        windows = Windows(tokens, 2, 100, NEWLINE, seed)
        return [int(windows.window(n * windows.steps_per_epoch)[1][0, 0]) for n in range(200)]

    found = beginnings(1)
    assert found == beginnings(1) != beginnings(2)
    assert beginnings(1)[:3] == [0, 274, 463]  # on every machine, or a resume isn't exact
    assert len(set(found)) > 150
    assert 400 < np.mean(found) < 600
    assert set(beginnings(None)) == {0}


def test_windows_are_contiguous_int64_from_a_read_only_map(tmp_path: Path) -> None:
    path = tmp_path / "tokens.bin"
    np.arange(1000, dtype="<u2").tofile(path)
    windows = Windows(np.memmap(path, "<u2", mode="r"), 4, 16, NEWLINE)
    for step in (0, 1, windows.steps_per_epoch - 1):
        for array in windows.window(step)[:2]:
            assert array.dtype == np.int64
            assert array.flags.c_contiguous
            assert array.flags.writeable


def test_an_epoch_charges_every_token_of_every_lane_once() -> None:
    windows = Windows(np.arange(103), 4, 7, NEWLINE)
    seen = [windows.window(step)[1].ravel() for step in range(windows.steps_per_epoch)]
    assert sorted(np.concatenate(seen).tolist()) == list(range(100))


def test_more_lanes_than_tokens_is_an_error() -> None:
    with pytest.raises(CorpusError, match="3 tokens"):
        Windows(np.arange(3), 4, 2, NEWLINE)


@given(n=st.integers(2, 10**6), batch_size=st.integers(1, 300), seq_length=st.integers(1, 300))
def test_fit_shrinks_only_what_it_must(n: int, batch_size: int, seq_length: int) -> None:
    lanes, steps = fit(n, batch_size, seq_length)
    assert 1 <= lanes <= batch_size
    assert 1 <= steps <= seq_length
    assert lanes * steps <= n
    if n >= batch_size * seq_length * WINDOWS_PER_LANE:
        assert (lanes, steps) == (batch_size, seq_length)
    if steps < seq_length:
        assert (lanes, steps) == (1, n)


def test_fit_halves_the_batch_before_it_shortens_windows() -> None:
    assert fit(100_000, 32, 64) == (32, 64)
    assert fit(3000, 32, 64) == (8, 64)
    assert fit(40, 32, 64) == (1, 40)


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_tokens_to_train_on_is_an_error(n: int) -> None:
    with pytest.raises(CorpusError, match="at least 2"):
        fit(n, 4, 8)

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator

import pytest
import torch

from chargen.machine.settings import TrainingSettings, under_training_settings

THREADS = 3


def settings() -> tuple[int, bool]:
    return torch.get_num_threads(), torch.backends.cudnn.allow_tf32


@pytest.fixture(autouse=True)
def before() -> Iterator[tuple[int, bool]]:
    """The settings before a test, which must be those after it."""
    found = settings()
    yield found
    assert settings() == found


INSIDE = (THREADS, False)


def three(seen: list[tuple[int, bool]]) -> Generator[int, None, str]:
    """Three numbers; notes the settings under which each part runs, and the end."""
    try:
        for n in range(3):
            seen.append(settings())
            yield n
        seen.append(settings())
        return "done"
    finally:
        seen.append(settings())


def test_blocks_have_the_settings(before: tuple[int, bool]) -> None:
    with contextlib.closing(TrainingSettings(THREADS)) as training:
        for _ in range(2):
            with training.block():
                assert settings() == INSIDE
            assert settings() == before
        with contextlib.suppress(KeyError), training.block():
            raise KeyError
        assert settings() == before


def test_a_generator_runs_under_the_settings_and_its_reader_does_not(
    before: tuple[int, bool],
) -> None:
    seen: list[tuple[int, bool]] = []
    numbers = []
    for n in under_training_settings(three(seen), THREADS):
        assert settings() == before
        numbers.append(n)
    assert numbers == [0, 1, 2]
    assert seen == [INSIDE] * 5


def test_what_the_reader_sets_stays(before: tuple[int, bool]) -> None:
    seen: list[tuple[int, bool]] = []
    for _ in under_training_settings(three(seen), THREADS):
        torch.set_num_threads(before[0] + 1)
    assert settings() == (before[0] + 1, before[1])
    assert seen == [INSIDE] * 5
    torch.set_num_threads(before[0])


def test_what_a_generator_returns_is_returned() -> None:
    def reader() -> Generator[int, None, str]:
        return (yield from under_training_settings(three([]), THREADS))

    numbers = reader()
    assert [next(numbers) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(StopIteration) as end:
        next(numbers)
    assert end.value.value == "done"


def test_closing_ends_the_generator_under_the_settings(before: tuple[int, bool]) -> None:
    seen: list[tuple[int, bool]] = []
    numbers = under_training_settings(three(seen), THREADS)
    next(numbers)
    numbers.close()
    assert seen == [INSIDE] * 2
    assert settings() == before


def test_an_error_that_is_thrown_in_arrives_under_the_settings(before: tuple[int, bool]) -> None:
    caught: list[tuple[int, bool]] = []

    def stubborn() -> Generator[int, None, None]:
        try:
            yield 1
        except KeyError:
            caught.append(settings())
            yield 2
        raise IndexError

    numbers = under_training_settings(stubborn(), THREADS)
    assert next(numbers) == 1
    assert numbers.throw(KeyError()) == 2
    assert caught == [INSIDE]
    with pytest.raises(IndexError):
        next(numbers)
    assert settings() == before


def test_two_generators_may_take_turns(before: tuple[int, bool]) -> None:
    one: list[tuple[int, bool]] = []
    two: list[tuple[int, bool]] = []
    pairs = zip(
        under_training_settings(three(one), THREADS),
        under_training_settings(three(two), THREADS + 1),
        strict=True,
    )
    for a, b in pairs:
        assert a == b
        assert settings() == before
    assert set(one) == {INSIDE}
    assert set(two) == {(THREADS + 1, False)}

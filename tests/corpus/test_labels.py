"""Labels as vectors, and what people ask for."""

from __future__ import annotations

import numpy as np
import pytest

from chargen.corpus.labels import Labels
from chargen.errors import ConfigError

LABELS = Labels(
    {"author": [("李白", 5), ("杜甫", 3), ("a,b", 1)], "form": [("qijue", 6), ("x:1", 2)]}
)


def test_a_text_has_a_one_for_each_label() -> None:
    v = LABELS.vectors(np.array([[1, 2], [0, 1], [3, 0]], np.uint16))
    assert v.tolist() == [[1, 0, 0, 0, 1], [0, 0, 0, 1, 0], [0, 0, 1, 0, 0]]
    assert LABELS.size == 5
    assert (LABELS.places("author"), LABELS.places("form")) == (slice(0, 3), slice(3, 5))


def test_numbers_are_those_of_the_vectors_and_what_is_unknown_is_absent() -> None:
    assert LABELS.numbers({"author": "杜甫"}).tolist() == [2, 0]
    assert LABELS.numbers({"author": "nobody", "form": "x:1"}).tolist() == [0, 2]


@pytest.mark.parametrize(
    ("asked", "v"),
    [
        (["author=李白"], [1, 0, 0, 0, 0]),
        (["author=李白:0.7,杜甫:0.3"], [0.7, 0.3, 0, 0, 0]),
        (["author=李白,杜甫"], [0.5, 0.5, 0, 0, 0]),
        (["author=李白:3,杜甫:1", "form=qijue"], [0.75, 0.25, 0, 1, 0]),
        (["author=a,b", "form=x:1"], [0, 0, 1, 0, 1]),
        (["form=x:1:2,qijue:2"], [0, 0, 0, 0.5, 0.5]),
        ([], [0, 0, 0, 0, 0]),
    ],
)
def test_what_is_asked_for_becomes_a_vector(asked: list[str], v: list[float]) -> None:
    np.testing.assert_allclose(LABELS.wanted(asked), v)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("author", "not KEY=VALUE"),
        ("autor=李白", "did you mean 'author'?"),
        ("author=李", "did you mean '李白'?"),
        ("form=qijeu", "did you mean 'qijue'?"),
        ("author=李白:0", "all 0"),
    ],
)
def test_what_is_not_known_is_named_with_the_nearest(asked: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        LABELS.wanted([asked])
    assert told in caught.value.message
    assert "author: 李白, 杜甫" in caught.value.remedy


def test_a_run_without_labels_says_so() -> None:
    with pytest.raises(ConfigError) as caught:
        Labels({}).wanted(["author=李白"])
    assert caught.value.message == "`label` is given, but this run has no labels."

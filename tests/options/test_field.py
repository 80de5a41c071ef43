"""One option: its type, its range, its name."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chargen
from chargen.errors import ConfigError
from chargen.options import Config, SamplingConfig, TrainConfig, check, distribute, option


@dataclass(frozen=True)
class Sample(Config):
    """An option of each kind."""

    flag: bool = option(True, "A flag")
    count: int = option(5, "A count", low=1)
    share: float = option(0.5, "A share", above=0, high=1)
    rate: float = option(0.1, "A rate", above=0)
    text: str = option("plain", "A text")
    kind: str = option("red", "A kind", choices={"red": "", "green": ""})
    texts: tuple[str, ...] = option((), "Texts")
    limit: int | None = option(None, "A limit", low=1)
    level: str = option(
        "off", "A level", choices={"off": "", "on": "", "max": ""}, switch=("off", "on")
    )


def problem(**value: Any) -> str | None:
    """What is wrong with the only value given; None: nothing."""
    ((name, given),) = value.items()
    return Sample.entries()[name].problem(given)


@pytest.mark.parametrize(
    ("value", "allowed"),
    [
        ({"flag": 1}, "True or False"),
        ({"flag": "yes"}, "True or False"),
        ({"flag": None}, "True or False"),
        ({"count": None}, "an integer"),
        ({"count": True}, "an integer"),
        ({"count": 256.0}, "an integer"),
        ({"count": "256"}, "an integer"),
        ({"count": float("nan")}, "an integer"),
        ({"share": None}, "a number"),
        ({"share": True}, "a number"),
        ({"share": "0.5"}, "a number"),
        ({"share": 1j}, "a number"),
        ({"text": None}, "a string"),
        ({"text": b"plain"}, "a string"),
        ({"kind": ["red"]}, "a string"),
        ({"texts": "END"}, "a list of strings"),
        ({"texts": ("a", 1)}, "a list of strings"),
        ({"texts": {"a"}}, "a list of strings"),
        ({"texts": None}, "a list of strings"),
        ({"limit": "none"}, "an integer"),
    ],
    ids=repr,
)
def test_a_value_of_another_type_is_a_problem(value: dict[str, Any], allowed: str) -> None:
    ((name, given),) = value.items()
    assert problem(**value) == f"`{name}` is {given!r}, not {allowed}"
    assert Sample(**value).problems() == [problem(**value)]


@pytest.mark.parametrize(
    "value",
    [
        {"flag": False},
        {"count": np.int64(3)},
        {"count": np.uint8(3)},
        {"share": 1},
        {"share": np.float32(0.5)},
        {"share": np.int64(1)},
        {"share": Fraction(1, 3)},
        {"rate": 1e300},
        {"rate": 10**30},
        {"text": ""},
        {"kind": "green"},
        {"texts": ["a", "b"]},
        {"texts": ()},
        {"limit": None},
        {"limit": 3},
    ],
    ids=repr,
)
def test_a_value_that_fits_is_none(value: dict[str, Any]) -> None:
    assert problem(**value) is None
    assert Sample(**value).problems() == []


@pytest.mark.parametrize(
    ("value", "allowed"),
    [
        ({"count": 0}, "at least 1"),
        ({"count": -3}, "at least 1"),
        ({"count": 2**63}, "at least 1 and below 2^63"),
        ({"count": 10**400}, "at least 1 and below 2^63"),
        ({"count": 10**5000}, "at least 1 and below 2^63"),
        ({"share": 0}, "above 0 and at most 1"),
        ({"share": 1.1}, "above 0 and at most 1"),
        ({"share": float("inf")}, "above 0 and at most 1"),
        ({"share": float("nan")}, "above 0 and at most 1"),
        ({"rate": 0}, "above 0 and finite"),
        ({"rate": float("inf")}, "above 0 and finite"),
        ({"rate": -(10**400)}, "above 0 and finite"),
        ({"rate": 10**400}, "above 0 and finite"),
        ({"rate": Fraction(10**400)}, "above 0 and finite"),
        ({"kind": "blue"}, "one of red, green"),
        ({"limit": 0}, "at least 1"),
    ],
    ids=lambda each: each if isinstance(each, str) else next(iter(each)),
)
def test_a_value_out_of_range_is_told_with_the_range(value: dict[str, Any], allowed: str) -> None:
    found = problem(**value)
    assert found is not None
    assert found.endswith(f", not {allowed}")
    assert len(found) < 130


def test_a_choice_that_is_nearly_right_is_suggested() -> None:
    assert problem(kind="gren") == "`kind` is 'gren' (did you mean 'green'?), not one of red, green"
    assert problem(kind="r") == "`kind` is 'r' (did you mean 'red'?), not one of red, green"


anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(10**300, 10**310),
    st.floats(),
    st.fractions(),
    st.decimals(),
    st.complex_numbers(),
    st.text(max_size=5),
    st.binary(max_size=3),
    st.lists(st.one_of(st.text(max_size=3), st.none()), max_size=2),
    st.dictionaries(st.text(max_size=2), st.none(), max_size=1),
    st.sampled_from([np.int8(1), np.float16(0.5), np.bool_(1), np.str_("red"), Path("x"), int]),
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(Sample.entries())), anything)
def test_any_value_is_either_plain_or_told_in_a_line(name: str, value: Any) -> None:
    entry = Sample.entries()[name]
    plain = entry.normalised(value)
    found = entry.problem(plain)
    if found is None:
        assert plain is None or isinstance(plain, entry.kind if entry.kind is not float else object)
        assert not isinstance(plain, np.generic) or isinstance(plain, str)
    else:
        assert found.startswith(f"`{name}` is ")
        assert "\n" not in found
    with_all = Sample(**{name: plain}).problems()
    assert with_all == ([] if found is None else [found])


def test_numbers_of_numpy_are_made_plain() -> None:
    given = {"top_k": np.int64(3), "temperature": np.float32(0.5), "length": np.uint16(7)}
    (values,) = distribute(given, SamplingConfig)
    assert values == {"top_k": 3, "temperature": 0.5, "length": 7}
    assert {type(value) for value in values.values()} == {int, float}
    assert type(TrainConfig.from_dict({"max_steps": np.int32(9)}).max_steps) is int


def test_lists_and_single_texts_are_made_tuples() -> None:
    for stop in ("END", ["END"], ("END",)):
        assert distribute({"stop": stop}, SamplingConfig) == ({"stop": ("END",)},)
    assert SamplingConfig(stop="END").problems() == [  # type: ignore[arg-type]
        "`stop` is 'END', not a list of strings"
    ]


def test_a_name_that_is_unknown_names_the_nearest() -> None:
    with pytest.raises(ConfigError) as caught:
        distribute({"temp": 1}, SamplingConfig)
    assert caught.value.message == "Unknown option: `temp` (did you mean `temperature`?)."
    with pytest.raises(ConfigError) as caught:
        distribute({"xyzzy": 1, "topp": 0.5, "length": 3}, SamplingConfig)
    assert caught.value.message == "Unknown options: `xyzzy`, `topp` (did you mean `top_p`?)."
    assert caught.value.remedy.startswith("The options are beam_size, end, label, length, ")


def test_an_option_that_follows_from_the_corpus_is_nobodys_choice() -> None:
    from chargen.options import ModelConfig

    with pytest.raises(ConfigError, match="Unknown option: `vocab_size`"):
        distribute({"vocab_size": 9}, ModelConfig, SamplingConfig)


def test_one_problem_is_counted_as_one() -> None:
    wrong = "`count` is 0, not at least 1"
    with pytest.raises(ConfigError) as caught:
        check(Sample(count=0))
    assert caught.value.message == f"One option is not usable: {wrong}."
    with pytest.raises(ConfigError) as caught:
        check(Sample(count=0), also=["that"])
    assert caught.value.message == f"2 options are not usable: {wrong}; that."


def test_the_functions_of_python_say_so_too(trained: Path) -> None:
    model = chargen.load(trained)
    with pytest.raises(ConfigError, match="did you mean `temperature`"):
        model.generate(temp=1)
    with pytest.raises(ConfigError, match="3 options are not usable") as caught:
        model.generate(num_samples=None, seed=-1, length=2.5)  # type: ignore[arg-type]
    for part in ("`num_samples` is None", "`seed` is -1", "`length` is 2.5, not an integer"):
        assert part in caught.value.message
    with pytest.raises(ConfigError, match=r"`val_frac` is '0\.1', not a number"):
        chargen.prepare("nowhere.txt", val_frac="0.1")
    with pytest.raises(ConfigError, match="`encoding` is None, not a string"):
        chargen.read_text("nowhere.txt", encoding=None)
    with pytest.raises(ConfigError, match="`resume` is 1, not True or False"):
        chargen.batch("nowhere.txt", "out.jsonl", trained, resume=1)


def test_training_says_so_before_it_looks_for_the_text() -> None:
    with pytest.raises(ConfigError, match="`batch_size` is True, not an integer"):
        chargen.find_lr("nowhere.txt", batch_size=True)
    with pytest.raises(ConfigError, match="`hidden_size` is None, not an integer"):
        chargen.train("nowhere.txt", hidden_size=None)


def test_a_single_text_to_stop_at_is_taken_whole(trained: Path) -> None:
    model = chargen.load(trained)
    (free,) = model.generate("春", length=60, seed=2)
    end = free[10:13]
    (stopped,) = model.generate("春", length=60, seed=2, stop=end)
    assert stopped == free[: free.index(end)]


@pytest.mark.parametrize(("given", "level"), [(True, "on"), (False, "off"), ("max", "max")])
def test_true_and_false_stand_for_choices_of_a_switch(given: bool | str, level: str) -> None:
    assert problem(level=given) is None
    assert Sample.from_dict({"level": given}).level == level
    assert problem(level=1) == "`level` is 1, not a string"
    assert problem(kind=True) == "`kind` is True, not a string"

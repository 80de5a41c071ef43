"""What a body asks for."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chargen.generation.poems.forms import Form
from chargen.generation.seeds import text_seeds
from chargen.options import SamplingConfig, ServeConfig
from chargen.serving.admission import Admission
from chargen.serving.asked import Asked, read_body
from chargen.serving.refusals import RefusedError


def asked(**body: Any) -> Asked:
    return read_body(json.dumps(body).encode(), ServeConfig())


def test_without_options_a_text_is_as_sample_draws_it() -> None:
    (request,) = asked(prompt="春", seed=3).requests
    assert request.config == SamplingConfig()
    assert (request.prompt, request.seed, request.form, request.alternatives) == (
        "春",
        3,
        None,
        None,
    )


def test_null_is_the_same_as_nothing() -> None:
    names = ("model", "prompt", "max_tokens", "n", "stop", "stream", "logprobs", "suffix", "top_p")
    found = asked(**dict.fromkeys(names), seed=1)
    assert found == asked(seed=1)


def test_texts_of_a_prompt_have_the_seeds_of_sample() -> None:
    found = asked(prompt=["a", "b"], n=3, seed=7).requests
    assert [request.prompt for request in found] == list("aaabbb")
    assert [request.seed for request in found] == [*text_seeds(7, 3)] * 2


@pytest.mark.parametrize(
    ("given", "want"),
    [
        ({"author": "李白"}, ("author=李白",)),
        ({"author": {"李白": 0.7, "杜甫": 0.3}}, ("author=李白:0.7,杜甫:0.3",)),
        ("author=李白", ("author=李白",)),
        (["a=b", "c=d"], ("a=b", "c=d")),
    ],
    ids=str,
)
def test_labels_are_given_as_an_object_or_as_lines(given: Any, want: tuple[str, ...]) -> None:
    assert asked(label=given).requests[0].config.label == want


def test_a_form_is_a_name_or_an_object() -> None:
    details = {"name": "qijue", "acrostic": "春江花月"}
    assert asked(form="wujue").requests[0].form == Form("wujue")
    assert asked(form=details).requests[0].form == Form("qijue", acrostic="春江花月")


def test_the_limits_are_those_of_the_server() -> None:
    limits = ServeConfig(max_length=10, max_prompt=3, max_choices=2)
    (request,) = read_body(b"{}", limits).requests
    assert request.config.length == 10
    for body, param in (
        (b'{"max_tokens": 11}', "max_tokens"),
        (b'{"prompt": "abcd"}', "prompt"),
        (b'{"n": 3}', "n"),
        (b'{"n": 2, "prompt": ["a", "b"]}', "n"),
        (b'{"form": "wujue"}', "form"),
        (b'{"form": {"name": "lines", "lines": 2, "characters": 5}}', "form"),
        (b'{"max_tokens": 6, "end": "sentence"}', "max_tokens"),
        (b'{"max_tokens": 6, "end": "paragraph"}', "max_tokens"),
    ):
        with pytest.raises(RefusedError) as error:
            read_body(body, limits)
        assert (error.value.status, error.value.param) == (400, param)


def test_a_text_that_waits_for_its_end_is_within_the_limits() -> None:
    limits = ServeConfig(max_length=10, max_prompt=50)
    for body, length in ((b'{"end": "sentence"}', 5), (b'{"end": "sentence", "max_tokens": 5}', 5)):
        (request,) = read_body(body, limits).requests
        assert (request.config.length, request.most_characters()) == (length, 10)
    couplet = {"form": "couplet", "prompt": "a long line before it\n白日依山尽"}
    (request,) = read_body(json.dumps(couplet).encode(), limits).requests
    assert request.most_characters() == 6
    long = {"form": "couplet", "prompt": "白日依山尽，" * 3 + "春眠不觉晓，"}
    (request,) = read_body(json.dumps(long).encode(), limits).requests
    assert (request.most_characters(), request.most_characters(answers=True)) == (6, 25)
    with pytest.raises(RefusedError) as error:
        read_body(json.dumps(long).encode(), limits).check_lengths(limits, answers=True)
    assert error.value.param == "form"


LINES = {"name": "lines", "lines": 40, "characters": 100}


@pytest.mark.parametrize(
    "more",
    [
        {"max_tokens": 4096, "n": 4},
        {"form": LINES, "n": 4},
        {"form": LINES, "max_tokens": 1, "n": 64},
        {"max_tokens": 2048, "end": "sentence", "n": 4},
        {"prompt": "春" * 10000, "echo": True, "n": 32, "max_tokens": 1},
    ],
    ids=["length", "form", "length and form", "end", "echo"],
)
def test_probabilities_are_bounded(more: dict[str, Any]) -> None:
    assert asked(logprobs=20, **{**more, "n": 1}).logprobs == 20
    with pytest.raises(RefusedError) as error:
        asked(logprobs=20, **more)
    assert error.value.param == "logprobs"


def test_room_is_counted_in_texts() -> None:
    room = Admission(slots=2, queue=3)
    room.enter(4)
    with pytest.raises(RefusedError) as error:
        room.enter(2)
    assert error.value.status == 429
    assert 1 <= int(error.value.headers["retry-after"]) <= 60
    room.enter(1)
    room.leave(3, seconds=1000)
    room.enter(3)
    with pytest.raises(RefusedError) as error:
        room.enter(1)
    assert int(error.value.headers["retry-after"]) == 60
    for count, held in ((6, 0), (5, 1)):
        with pytest.raises(RefusedError) as error:
            room.enter(count, held=held)
        assert error.value.status == 400

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chargen.corpus.tokenizer import Tokenizer
from chargen.generation.text import (
    GrowingText,
    bytes_that_may_follow,
    may_begin,
    utf8_length,
)


def valid(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def test_exactly_the_bytes_of_utf8_may_follow() -> None:
    begun = [bytes([b]) for b in range(256) if may_begin(b)]
    assert [b for b in range(256) if may_begin(b)] == [
        b for b in range(256) if any(valid(bytes([b, *rest])) for rest in RESTS)
    ]
    for lead in begun:
        if utf8_length(lead[0]) == 1:
            continue
        rest = bytes([0x80]) * (utf8_length(lead[0]) - 2)
        can = [b for b in range(256) if any(valid(lead + bytes([b]) + r) for r in (rest,))]
        assert list(bytes_that_may_follow(lead)) == can
        assert list(bytes_that_may_follow(lead + bytes([can[0]]))) == list(range(0x80, 0xC0))


RESTS = [
    b"", b"\x80", b"\xa0\x80", b"\x80\x80", b"\x90\x80\x80", b"\x80\x80\x80"
]  # fmt: skip


def grow(tokenizer: Tokenizer, text: str, length: int, stop: list[str]) -> tuple[str, str, str]:
    """The text, what was taken bit by bit, and the reason."""
    grown, taken = GrowingText(tokenizer, length, stop), ""
    for id_ in tokenizer.encode(text).tolist():
        reason = grown.add(id_)
        taken += grown.take()
        if reason:
            return grown.text, taken, reason
    return grown.text, taken, "none"


@settings(max_examples=200, deadline=None)
@given(
    st.text("春江😀é\n", max_size=30),
    st.integers(1, 30),
    st.lists(st.text("春江😀\n", min_size=1, max_size=3), max_size=3),
)
def test_a_text_ends_before_the_first_stop_string_or_at_its_length(
    tokenizer: Tokenizer, text: str, length: int, stop: list[str]
) -> None:
    got, taken, reason = grow(tokenizer, text, length, stop)
    want, why = text[:length], "length" if len(text) >= length else "none"
    for end in range(1, min(length, len(text)) + 1):
        found = [s for s in stop if text[:end].endswith(s)]
        if found:
            want, why = text[: end - max(map(len, found))], "stop"
            break
    assert (got, reason) == (want, why)
    if reason != "none":
        assert taken == want
    assert want.startswith(taken)


def test_what_may_become_a_stop_string_is_held_back(tokenizer: Tokenizer) -> None:
    grown = GrowingText(tokenizer, 100, ["\n\n", "春江花"])
    shown = []
    for character in "月\n春江\n\n":
        for id_ in tokenizer.encode(character).tolist():
            grown.add(id_)
            shown.append(grown.take())
    assert shown == ["月", "", "\n", "", "春江", ""]
    assert grown.text == "月\n春江"


def test_length_counts_characters_not_bytes(tokenizer: Tokenizer) -> None:
    grown = GrowingText(tokenizer, 2, [])
    reasons = [grown.add(id_) for id_ in tokenizer.encode("😀é春").tolist()]
    assert reasons.index("length") == 5
    assert grown.text[:2] == "😀é"


def test_a_text_of_no_length_is_done_at_once(tokenizer: Tokenizer) -> None:
    assert GrowingText(tokenizer, 0, []).finish_reason == "length"


@pytest.mark.parametrize("lead", [0x41, 0xC3, 0xE4, 0xF0])
def test_a_lead_byte_tells_the_length(lead: int) -> None:
    assert utf8_length(lead) == {0x41: 1, 0xC3: 2, 0xE4: 3, 0xF0: 4}[lead]


@pytest.mark.parametrize(
    ("end", "length", "text", "want", "why"),
    [
        ("sentence", 4, "春江花月。夜\n春江", "春江花月。", "end"),
        ("sentence", 4, "春江花。”夜春", "春江花。”", "end"),
        ("sentence", 4, "春。江花月夜春江花月夜", "春。江花月夜春江", "length"),
        ("sentence", 4, "春江花月\n夜", "春江花月", "end"),
        ("sentence", 4, "花月……春。", "花月……", "end"),
        ("sentence", 8, "It is 3.5 m. So", "It is 3.5 m.", "end"),
        ("sentence", 6, 'Go. "Now." So', 'Go. "Now."', "end"),
        ("paragraph", 4, "春江花月。夜\n春", "春江花月。夜", "end"),
        ("none", 4, "春江花月。夜", "春江花月", "length"),
    ],
)
def test_a_text_may_go_on_to_the_end_of_its_sentence(
    tokenizer: Tokenizer, end: str, length: int, text: str, want: str, why: str
) -> None:
    grown, taken, reason = GrowingText(tokenizer, length, end=end), "", None
    for id_ in tokenizer.encode(text).tolist():
        reason = grown.add(id_)
        taken += grown.take()
        if reason:
            break
    assert (grown.text, taken, reason) == (want, want, why)

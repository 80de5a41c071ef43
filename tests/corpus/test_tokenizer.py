from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st

from chargen.corpus.tokenizer import Tokenizer, kept_characters
from chargen.errors import CorpusError
from tests.corpus.texts import CHINESE, ENGLISH, ODD, any_text

WITH_BYTES = Tokenizer.train(Counter(CHINESE + ODD), 40, "bytes")
WITH_UNK = Tokenizer.train(Counter(CHINESE + ENGLISH), 60, "unk")
# Everything kept, the space among it: there SentencePiece's encoder is well defined.
KEPT = Tokenizer.train(
    Counter(ENGLISH + CHINESE + "\t\x1f\u2585\x85\u2028\U00020000<unk>"), 999, "auto"
)


def theirs(tokenizer: Tokenizer) -> sentencepiece.SentencePieceProcessor:
    return sentencepiece.SentencePieceProcessor(model_proto=tokenizer.to_bytes())


@given(any_text)
def test_with_bytes_any_text_survives_the_round_trip(text: str) -> None:
    ids = WITH_BYTES.encode(text)
    assert ids.dtype == np.int32
    assert WITH_BYTES.decode(ids) == text
    assert WITH_BYTES.decode(ids.tolist()) == text
    assert WITH_BYTES.unk_id not in ids
    assert int(WITH_BYTES.character_starts(ids).sum()) == len(text)


@given(any_text)
def test_without_bytes_each_unknown_character_is_one_unk(text: str) -> None:
    ids = WITH_UNK.encode(text)
    unseen = set(WITH_UNK.unseen(text))
    assert len(ids) == len(text)
    assert [i == WITH_UNK.unk_id for i in ids] == [c in unseen for c in text]
    assert WITH_UNK.decode(ids) == "".join("\ufffd" if c in unseen else c for c in text)
    assert WITH_UNK.character_starts(ids).all()


@given(st.text(st.sampled_from(ENGLISH + CHINESE + "\t\x1f\u2585\x85\u2028\U00020000<unk>")))
def test_encoding_agrees_with_sentencepiece_on_kept_characters(text: str) -> None:
    assert KEPT.encode(text).tolist() == theirs(KEPT).encode(text)
    assert KEPT.decode(KEPT.encode(text)) == theirs(KEPT).decode(KEPT.encode(text).tolist())


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\u2581 ")))
def test_bytes_agree_with_sentencepiece(text: str) -> None:
    assert WITH_BYTES.encode(text).tolist() == theirs(WITH_BYTES).encode(text)


def test_a_single_unknown_character_is_sentencepieces_unk() -> None:
    text = "theΩ fogΩ的\n"
    assert WITH_UNK.encode(text).tolist() == theirs(WITH_UNK).encode(text)


@given(st.lists(st.integers(0, WITH_BYTES.size - 1), max_size=20))
def test_any_ids_decode_to_text(ids: list[int]) -> None:
    joined = b"".join(
        bytes([WITH_BYTES.byte_values[i]])
        if WITH_BYTES.byte_values[i] >= 0
        else ("\ufffd" if i == WITH_BYTES.unk_id else WITH_BYTES.piece(i)).encode()
        for i in ids
    )
    assert WITH_BYTES.decode(ids) == joined.decode("utf-8", "replace")


def test_each_piece_decodes_to_its_own_text() -> None:
    for id_ in range(KEPT.size):
        if not KEPT.never_sampled[id_]:
            assert KEPT.decode([id_]) == KEPT.piece(id_)
            assert KEPT.encode(KEPT.piece(id_)).tolist() == [id_]
    assert KEPT.piece(int(KEPT.encode(" ")[0])) == " "
    assert KEPT.piece(KEPT.unk_id) == "<unk>"


def test_attributes_describe_the_pieces() -> None:
    assert WITH_BYTES.has_bytes
    assert WITH_BYTES.characters_kept == 40
    assert WITH_BYTES.size == 40 + 256 + 1
    assert sorted(b for b in WITH_BYTES.byte_values if b >= 0) == list(range(256))
    assert np.flatnonzero(WITH_BYTES.never_sampled).tolist() == [WITH_BYTES.unk_id]
    assert WITH_BYTES.piece(int(np.flatnonzero(WITH_BYTES.byte_values == 0x41)[0])) == "<0x41>"
    assert (WITH_UNK.has_bytes, WITH_UNK.size) == (False, 61)
    assert WITH_UNK.unk_extra_bits == math.log2(0x110000 - 60)
    assert WITH_UNK.piece(WITH_UNK.newline_id) == "\n"


def test_the_space_and_its_marker_are_told_apart() -> None:
    without_space = Tokenizer.train({"a": 2, "b": 1}, 9, "bytes")
    for tokenizer in (without_space, WITH_BYTES):
        assert tokenizer.decode(tokenizer.encode(" \u2581 \u2581")) == " \u2581 \u2581"
    assert without_space.unseen("a ▁\0 a") == [" ", "▁", "\0"]


@pytest.mark.parametrize("block", range(0, 0x110000, 0x8000))
def test_every_character_but_nul_and_the_marker_can_be_kept(block: int) -> None:
    characters = [chr(c) for c in range(block, block + 0x8000, 7) if not 0xD800 <= c < 0xE000]
    if block == 0:
        characters = [chr(c) for c in range(0x3000)]
    if not characters:
        return
    tokenizer = Tokenizer.train(dict.fromkeys(characters, 3), len(characters) + 1, "unk")
    assert set(tokenizer.unseen("".join(characters))) == {"\0", "\u2581"} & set(characters)


def test_rare_characters_of_a_huge_text_are_kept() -> None:
    tokenizer = Tokenizer.train({"的": 10**15, "一": 10**14, "鱻": 1}, 99, "unk")
    assert tokenizer.unseen("的一鱻\n") == []


def test_the_most_frequent_are_kept_and_ties_go_by_code_point() -> None:
    counts = {"d": 5, "c": 5, "b": 5, "a": 1, " ": 9, "\0": 99, "\u2581": 99}
    assert kept_characters(counts, 4) == [" ", "b", "c", "\n"]
    assert kept_characters({**counts, "\n": 7}, 4) == [" ", "\n", "b", "c"]
    assert kept_characters({**counts, "\n": 1}, 99) == [" ", "b", "c", "d", "\n", "a"]
    assert kept_characters(counts, 1) == ["\n"]


@pytest.mark.parametrize(
    ("counts", "size", "has_bytes"),
    [
        ({"a": 1, "b": 1}, 3, False),
        ({"a": 1, "b": 1}, 2, True),
        ({"a": 1, "\0": 1}, 9, True),
        ({"a": 1, "\u2581": 1}, 9, True),
        ({"a": 1, "\0": 0}, 9, False),
    ],
)
def test_auto_has_bytes_only_where_something_is_left_out(
    counts: dict[str, int], size: int, has_bytes: bool
) -> None:
    assert Tokenizer.train(counts, size, "auto").has_bytes is has_bytes


def test_the_same_counts_give_the_same_model_in_any_order() -> None:
    counts = Counter(CHINESE)
    shuffled = dict(sorted(counts.items()))
    first, second = (Tokenizer.train(c, 50, "auto") for c in (counts, shuffled))
    assert first.to_bytes() == second.to_bytes()
    assert first.sha256 == second.sha256


def test_training_is_silent(capfd: pytest.CaptureFixture[str]) -> None:
    Tokenizer.train(Counter(CHINESE + ODD), 50, "bytes")
    assert capfd.readouterr() == ("", "")


def test_nothing_but_line_ends_kept_is_an_error() -> None:
    with pytest.raises(CorpusError, match="line end"):
        Tokenizer.train({"\n": 5, "\t": 3, "a": 1}, 2, "bytes")


def test_a_saved_model_loads_as_the_same(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.model"
    WITH_BYTES.save(path)
    for loaded in (Tokenizer.load(path), Tokenizer.load(str(path))):
        assert loaded.sha256 == WITH_BYTES.sha256
        assert loaded.encode(ODD).tolist() == WITH_BYTES.encode(ODD).tolist()


def test_a_lone_surrogate_is_an_error_with_a_remedy() -> None:
    for call in (WITH_BYTES.encode, WITH_BYTES.unseen):
        with pytest.raises(CorpusError, match=r"Character 1 .* U\+DC80") as error:
            call("a\udc80")
        assert error.value.remedy


@pytest.mark.parametrize("size", [0, 1, 100, -20, -1])
def test_a_truncated_model_is_an_error_in_one_line(tmp_path: Path, size: int) -> None:
    path = tmp_path / "tokenizer.model"
    path.write_bytes(WITH_BYTES.to_bytes()[:size])
    with pytest.raises(CorpusError) as error:
        Tokenizer.load(path)
    assert str(path) in error.value.message
    assert "\n" not in error.value.message


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"<0x41>", b"<\x97x41>"[:6]),
        (b"<0x41>", b"<0x4G>"),
        (b"<0x41>", b"\xff\xff\xff\xff\xff\xff"),
    ],
)
def test_pieces_that_are_no_bytes_or_no_text_are_an_error(old: bytes, new: bytes) -> None:
    model = WITH_BYTES.to_bytes()
    assert old in model
    with pytest.raises(CorpusError, match="damaged"):
        Tokenizer(model.replace(old, new))


def test_a_model_without_end_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chargen.corpus.tokenizer._MOST_BYTES", 1000)
    (tmp_path / "tokenizer.model").write_bytes(WITH_BYTES.to_bytes())
    with pytest.raises(CorpusError, match="longer than 1,000 bytes"):
        Tokenizer.load(tmp_path / "tokenizer.model")


def test_a_missing_model_or_one_of_words_is_an_error(tmp_path: Path) -> None:
    import io

    with pytest.raises(CorpusError):
        Tokenizer.load(tmp_path / "missing.model")
    words = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(ENGLISH.split("\n")),
        model_writer=words,
        model_type="bpe",
        vocab_size=60,
        minloglevel=4,
        hard_vocab_limit=False,
    )
    with pytest.raises(CorpusError, match="not one character"):
        Tokenizer(words.getvalue())


def test_an_empty_text_has_no_pieces() -> None:
    assert WITH_BYTES.encode("").shape == (0,)
    assert WITH_BYTES.decode([]) == ""
    assert WITH_BYTES.character_starts([]).shape == (0,)

"""The protocol of evaluation, against a loop written from its description alone."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
import torch
from torch import Tensor

from chargen.corpus.tokenizer import Tokenizer
from chargen.errors import CorpusError
from chargen.evaluation.scores import Score, head_of_text, score, score_characters
from chargen.network.model import CharModel
from chargen.ngrams import KneserNey, count, without_singletons
from chargen.ngrams.counting import Ids
from tests.support import small_model

TEXT = "".join("青山不改，绿水长流。\nab"[n * n % 13 :][: 1 + n % 5] for n in range(2000))[:4300]
RARE = "龘☃"


def tokenizer(oov: str, text: str = TEXT) -> Tokenizer:
    return Tokenizer.train(Counter(text), 3000, oov)


def naive(
    model: CharModel, words: Tokenizer, text: str, ngram: KneserNey | None = None
) -> tuple[float, int, int]:
    """Nats, right characters and unseen ones: segments of 2048, each after 512 to warm up."""
    before = np.array([words.newline_id, *words.encode(text)])
    nats, right, unseen = 0.0, 0, 0
    for first in range(0, len(text), 2048):
        warm = max(0, first - 512)
        # What is read before the segment's first character; the newline before a text is free.
        read = [words.newline_id] if first == 0 else list(words.encode(text[warm:first]))
        todo = [(c, list(words.encode(c))) for c in text[first : first + 2048]]
        pieces = [*read, *(piece for _, each in todo for piece in each)]
        with torch.no_grad():
            s, _ = model(torch.tensor(pieces)[:, None], model.initial_state(1))
            log_p = torch.log_softmax(model.logits(s[:, 0]), dim=1)
            if ngram is not None:
                log_p = mixed(model, s[:, 0], log_p, ngram, before, len(words.encode(text[:warm])))
        at = len(read)
        for _, each in todo:
            all_right = True
            for piece in each:
                nats -= float(log_p[at - 1, piece])
                all_right &= int(log_p[at - 1].argmax()) == piece
                if piece == words.unk_id:
                    nats += math.log(0x110000 - words.characters_kept)
                at += 1
            right += all_right
            unseen += len(each) > 1 or each[0] == words.unk_id or words.byte_values[each[0]] >= 0
    return nats, right, unseen


def mixed(
    model: CharModel, s: Tensor, log_p: Tensor, ngram: KneserNey, before: Ids, first: int
) -> Tensor:
    """The logarithms of the mixture after pieces of ``before``, from number ``first`` on.

    After a newline a text of its own begins, so the first piece read counts as number 0.
    """
    state, rows = ngram.initial_state(1), []
    for piece in before[: first + 1 + len(s)]:
        state = ngram.advance(state, np.array([piece]))
        rows.append(ngram.row(state)[0])
    p = torch.from_numpy(np.array(rows[first + (first > 0) :][: len(s)])).double()
    g = model.gate(s)
    return torch.log(g * log_p.exp() + (1 - g) * p)


def with_rare(text: str) -> str:
    """Characters that the vocabulary lacks: at the start, in a row, across a segment's edge."""
    return RARE + text[:700] + RARE * 3 + text[700:2035] + RARE * 9 + text[2035:] + RARE


@pytest.mark.parametrize("oov", ["unk", "bytes"])
@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_is_what_the_description_says(oov: str, cell: str) -> None:
    words = tokenizer(oov)
    model = small_model(words.size, cell=cell)
    text = with_rare(TEXT)
    found = score(model, words, words.encode(text))
    nats, right, unseen = naive(model, words, text)
    assert found.characters == len(text)
    assert found.pieces == len(words.encode(text))
    assert found.nats == pytest.approx(nats, rel=1e-9)
    assert (found.correct, found.unseen) == (right, unseen)


@pytest.mark.parametrize("oov", ["unk", "bytes"])
def test_with_counts_it_is_the_mixture(oov: str) -> None:
    words = tokenizer(oov)
    model = small_model(words.size, ngram="4")
    text = with_rare(TEXT)
    ngram = counts(words)
    found = score_characters(model, words, words.encode(text), 3, ngram).total()
    nats, right, unseen = naive(model, words, text, ngram)
    assert found.nats == pytest.approx(nats, rel=1e-6)
    assert (found.correct, found.unseen) == (right, unseen)
    assert found.nats < naive(model, words, text)[0] - 1000


def counts(words: Tokenizer) -> KneserNey:
    whole = count(words.encode(TEXT[:3000]), words.size, 4, words.newline_id)
    return without_singletons(whole, 4)


@pytest.mark.parametrize("length", [1, 2, 2047, 2048, 2049, 4096, 4097])
def test_lengths_at_the_edges(length: int) -> None:
    words = tokenizer("unk")
    model = small_model(words.size)
    found = score(model, words, words.encode(TEXT[:length]))
    assert found.characters == length
    assert found.nats == pytest.approx(naive(model, words, TEXT[:length])[0], rel=1e-9)


def test_batch_size_changes_nothing() -> None:
    words = tokenizer("bytes")
    model = small_model(words.size).float()
    ids = words.encode(with_rare(TEXT * 3))
    figures = [score(model, words, ids, batch_size=n).bits_per_char for n in (1, 2, 5, 32)]
    assert max(figures) - min(figures) < 1e-6


def test_batch_size_changes_nothing_of_the_mixture() -> None:
    words = tokenizer("bytes")
    model = small_model(words.size, ngram="4").float()
    ids, ngram = words.encode(with_rare(TEXT * 3)), counts(words)
    totals = [score_characters(model, words, ids, n, ngram).total() for n in (1, 2, 5, 32)]
    figures = [total.bits_per_char for total in totals]
    assert max(figures) - min(figures) < 1e-6
    assert len({total.correct for total in totals}) == 1


def test_a_sure_model_needs_no_bits_and_an_unsure_one_all_of_them() -> None:
    words = tokenizer("unk", "ab")
    model = small_model(words.size)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    ids = words.encode("abab" * 100)
    assert score(model, words, ids).bits_per_char == pytest.approx(math.log2(words.size))
    assert model.c is not None
    with torch.no_grad():
        model.c[int(ids[0])] = 100.0
    found = score(model, words, words.encode("a" * 50))
    assert found.bits_per_char == pytest.approx(0, abs=1e-9)
    assert found.accuracy == 1


def test_an_unknown_character_is_never_cheap() -> None:
    words = tokenizer("unk", "ab")
    model = small_model(words.size)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        assert model.c is not None
        model.c[words.unk_id] = 100.0  # it is sure of <unk>
    found = score(model, words, words.encode("☃" * 10))
    assert found.bits_per_char == pytest.approx(math.log2(0x110000 - words.characters_kept))
    assert found.oov_rate == 1


def test_nothing_of_torch_is_disturbed() -> None:
    words = tokenizer("unk")
    model = small_model(words.size)
    torch.manual_seed(4)
    before = torch.get_rng_state()
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    score(model, words, words.encode(TEXT))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.is_grad_enabled()
    assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in weights.items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_characters_are_told_one_by_one() -> None:
    words = tokenizer("bytes")
    model = small_model(words.size)
    text = with_rare(TEXT[:300])
    each = score_characters(model, words, words.encode(text))
    assert len(each.nats) == len(each.correct) == len(each.unseen) == len(text)
    assert [c for c, new in zip(text, each.unseen, strict=True) if new] == [
        c for c in text if c in RARE
    ]
    total = each.total()
    assert total.nats == pytest.approx(float(each.nats.sum()))


def test_the_head_of_a_text_ends_at_a_whole_character() -> None:
    words = tokenizer("bytes")
    text = RARE[1] * 5
    ids = words.encode(text)
    each = len(ids) // 5
    assert each > 1
    for most in range(each, len(ids) + 3):
        head = head_of_text(words, ids, most)
        assert words.decode(head) == text[: most // each]
        assert len(head) <= most


def test_no_text_is_an_error() -> None:
    words = tokenizer("unk")
    with pytest.raises(CorpusError, match="The text is empty"):
        score(small_model(words.size), words, words.encode(""))


def test_figures_of_a_score() -> None:
    found = Score(characters=4, pieces=6, nats=4 * math.log(8), correct=1, unseen=2)
    assert found.bits_per_char == pytest.approx(3)
    assert found.nats_per_char == pytest.approx(math.log(8))
    assert found.perplexity == pytest.approx(8)
    assert (found.accuracy, found.oov_rate) == (0.25, 0.5)
    assert list(found.to_dict())[:2] == ["bits_per_char", "nats_per_char"]
    assert Score(1, 1, 1e9, 0, 0).perplexity == math.inf

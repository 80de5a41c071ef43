"""The classifier against plain torch.nn, and its counts against counting by hand."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from chargen.network.classifier import Classifier
from chargen.network.naive_bayes import NaiveBayes
from chargen.network.ngram_weights import NgramWeights
from chargen.options import ModelConfig
from chargen.training.accumulation import accumulate_gradient
from chargen.training.lessons import Labelled

SIZE, E, H, L = 11, 5, 4, 3
LENGTHS = torch.tensor([6, 2, 5])
VALUES = torch.tensor([2, 0, 1])


def texts(seed: int = 0) -> torch.Tensor:
    return torch.randint(SIZE, (6, 3), generator=torch.Generator().manual_seed(seed))


def classifier(**options: Any) -> Classifier:
    shape = {"hidden_size": H, "embedding_size": E, "records": True, "labels": L, **options}
    model = Classifier(ModelConfig(SIZE, task="classify", ngram_rows=50, **shape)).double()
    model.reset_parameters(0)
    return model


def grads(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: p.grad for name, p in module.named_parameters() if p.grad is not None}


def test_loss_and_gradient_are_those_of_plain_torch() -> None:
    model = classifier(bidirectional=True)
    table = nn.Embedding(SIZE, E).double()
    lstm = nn.LSTM(E, H, bidirectional=True).double()
    out = nn.Linear(4 * H, L).double()
    with torch.no_grad():
        table.weight.copy_(model.table)
        out.weight.copy_(model.Y)
        out.bias.copy_(model.c)
        for cell, end in zip(model.encoder.cells[0], ("", "_reverse"), strict=True):
            getattr(lstm, f"weight_ih_l0{end}").copy_(cell.U)
            getattr(lstm, f"weight_hh_l0{end}").copy_(cell.W)
            getattr(lstm, f"bias_ih_l0{end}").copy_(cell.b)
            getattr(lstm, f"bias_hh_l0{end}").zero_()
    logits = []
    for n, length in enumerate(LENGTHS.tolist()):
        y, _ = lstm(table(texts()[:length, n]) * math.sqrt(E))
        logits.append(out(torch.cat([y.mean(0), y.amax(0)])))
    theirs = F.cross_entropy(torch.stack(logits), VALUES)
    theirs.backward()
    ours = model.loss(texts(), LENGTHS, VALUES)
    ours.backward()
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(model.table.grad, table.weight.grad)
    torch.testing.assert_close(model.Y.grad, out.weight.grad)
    forward, backward = model.encoder.cells[0]
    torch.testing.assert_close(forward.W.grad, lstm.weight_hh_l0.grad)
    torch.testing.assert_close(backward.U.grad, lstm.weight_ih_l0_reverse.grad)


@pytest.mark.parametrize("options", [{}, {"embedding_size": 0, "bidirectional": True}])
def test_what_stands_beyond_a_text_changes_nothing(options: dict[str, Any]) -> None:
    model = classifier(ngram="2", ngram_layout=True, ngram_verses=True, **options)
    ids = texts()
    separates = torch.arange(SIZE) % 2 == 0
    model.learn_counts(ids[:, 0], torch.arange(6), torch.full((6,), 1), separates)
    alone = [model(ids[:n, [b]], torch.tensor([n])) for b, n in enumerate(LENGTHS.tolist())]
    torch.testing.assert_close(model(ids, LENGTHS), torch.cat(alone))


def test_a_text_without_a_label_is_not_learnt() -> None:
    model = classifier()
    some = model.loss(texts(), LENGTHS, torch.tensor([2, -1, 1]))
    both = model.loss(texts()[:, [0, 2]], LENGTHS[[0, 2]], torch.tensor([2, 1]))
    torch.testing.assert_close(some, both)
    assert model.loss(texts(), LENGTHS, torch.tensor([-1, -1, -1])) == 0


def test_a_batch_in_parts_has_the_same_gradient() -> None:
    model, found = classifier(ngram="2"), []
    for parts in (1, 3):
        model.zero_grad(set_to_none=True)
        lesson = Labelled(texts(), LENGTHS, torch.tensor([2, -1, 1]))
        loss, _ = accumulate_gradient(model, lesson, None, parts)
        found.append((loss, {n: g.clone() for n, g in grads(model).items()}))
    torch.testing.assert_close(found[1], found[0])


def kinds_of(bayes: NaiveBayes, text: list[int]) -> list[list[tuple[int, ...]]]:
    """What is counted of a text, by kinds."""
    T = len(text)
    kinds = [[tuple(text[i : i + n]) for i in range(T - n + 1)] for n in range(1, bayes.order + 1)]
    if bayes.layout:
        size = math.floor(2 * math.log2(T + 1))
        kinds.append([(size, i, piece) for i, piece in enumerate(text)])
        kinds.append([(size, T - len(set(text)))])
    if bayes.verses:
        begins = (i for i in range(1, T - 1) if text[i - 1] == COMMA != text[i])
        kinds.append([(text[i], text[i + 1]) for i in begins])
    return kinds


def by_hand(bayes: NaiveBayes, known: list[tuple[list[int], int]], text: list[int]) -> torch.Tensor:
    """r of a text by the equations, from texts and the numbers of their labels."""
    r = torch.zeros(L, dtype=torch.float64)
    for n, grams in enumerate(kinds_of(bayes, text)):
        counts = [Counter[tuple[int, ...]]() for _ in range(L)]
        for each, value in known:
            counts[value].update(kinds_of(bayes, each)[n])
        N_y = [sum(each.values()) for each in counts]
        a = math.exp(bayes.log_a[n].item())
        for g in grams:
            N_g = sum(each[g] for each in counts)
            if not N_g:
                continue
            P = N_g / sum(N_y)
            for y in range(L):
                ratio = (counts[y][g] + a * P) / (N_y[y] + a) / P
                r[y] += bayes.kappa[n].item() * math.log(ratio)
    return r


def counted(
    known: list[tuple[list[int], int]], order: int, rows: int = 50, **kinds: bool
) -> NaiveBayes:
    bayes = NaiveBayes(order, 4, L, rows, **kinds).double()
    bayes.reset_parameters()
    ids = torch.tensor([each for text, _ in known for each in text])
    places = torch.tensor([n for text, _ in known for n in range(len(text))])
    values = torch.tensor([value for text, value in known for _ in text])
    bayes.learn(ids, places, values, torch.arange(4) == COMMA)
    return bayes


COMMA = 0
BOTH = {"layout": True, "verses": True}
KNOWN = [([0, 1, 2, 1, 2], 0), ([3, 1, 2], 1), ([0, 0, 3, 3], 2), ([1, 2, 3, 0, 1], 1)]


@pytest.mark.parametrize(("order", "kinds"), [(1, {"verses": True}), (2, {}), (3, BOTH)])
def test_ratios_are_those_counted_by_hand(order: int, kinds: dict[str, bool]) -> None:
    bayes = counted(KNOWN, order, **kinds)
    for text in ([1, 2, 3], [0], [3, 3, 0, 1, 2], [0, 0, 3, 3, 0]):
        found = bayes(bayes.find(torch.tensor(text)[:, None], torch.tensor([len(text)])))[0]
        torch.testing.assert_close(
            found.double(), by_hand(bayes, KNOWN, text), rtol=1e-5, atol=1e-5
        )


@pytest.mark.parametrize("kinds", [{}, BOTH])
def test_a_text_that_was_counted_is_judged_without_itself(kinds: dict[str, bool]) -> None:
    bayes = counted(KNOWN, 2, **kinds)
    ids = torch.zeros(5, len(KNOWN), dtype=torch.int64)
    for n, (text, _) in enumerate(KNOWN):
        ids[: len(text), n] = torch.tensor(text)
    lengths = torch.tensor([len(text) for text, _ in KNOWN])
    own = torch.tensor([value for _, value in KNOWN])
    found = bayes(bayes.find(ids, lengths), own)
    for n, (text, _) in enumerate(KNOWN):
        others = [each for m, each in enumerate(KNOWN) if m != n]
        wanted = by_hand(bayes, others, text)
        torch.testing.assert_close(found[n].double(), wanted, rtol=1e-5, atol=1e-5)


def test_the_most_frequent_ngrams_have_the_rows() -> None:
    bayes = counted([([1, 2, 1, 2, 1, 2, 3], 0), ([0, 3], 1)], 2, rows=2)
    kept = bayes.keys[2:].tolist()
    assert kept == [1 * 4 + 2, 2 * 4 + 1]
    assert bayes.counts[2:].tolist() == [[3, 0, 0], [2, 0, 0]]
    assert bayes.totals.tolist() == [[7, 2, 0], [6, 1, 0]]


def test_smoothing_begins_at_a_quarter_of_what_a_value_has() -> None:
    bayes = counted(KNOWN, 2)
    assert bayes.log_a.exp().tolist() == pytest.approx([17 / 3 / 4, 13 / 3 / 4])


def test_labels_are_expected_as_often_as_they_are() -> None:
    model = classifier()
    model.learn_counts(
        torch.tensor([1, 2, 3, 4]), torch.tensor([0, 1, 0, 0]), torch.tensor([0, 0, 0, 2])
    )
    torch.testing.assert_close(model.c.exp(), torch.tensor([3 / 6, 1 / 6, 2 / 6]).double())


def test_tied_weights_have_no_meaning() -> None:
    config = ModelConfig(SIZE, task="classify", tie_weights=True)
    assert config.problems() == [
        "`tie_weights` has no meaning for classify, whose output are labels"
    ]


@pytest.mark.parametrize("weights", [0, 9])
def test_each_part_has_its_share_of_the_loss(weights: int) -> None:
    model = classifier(ngram="2", ngram_weights=weights)
    model.learn_counts(
        torch.tensor([0, 1, 2, 0, 3]), torch.tensor([0, 1, 2, 0, 1]), torch.tensor([0, 0, 0, 2, 2])
    )
    own = torch.tensor([2, 0, 1])
    assert model.counted is not None
    alone = classifier(ngram="0")
    alone.load_state_dict(
        {n: t for n, t in model.state_dict().items() if not n.startswith(("counted.", "weighed."))}
    )
    found = model.counted.find(texts(), LENGTHS)
    o = alone(texts(), LENGTHS)
    both = model.counted.share * o + model.counted(found, own)
    together = model.counted.share * o + model.counted(found)
    costs = [F.cross_entropy(o, own), F.cross_entropy(both, own)]
    if model.weighed is not None:
        with torch.no_grad():
            model.weighed.W.normal_(generator=torch.Generator().manual_seed(3))
        r = model.counted(found, own).detach()
        costs.append(F.cross_entropy(r / 2 + model.weighed(found), own))
        together = 0.7 * (together + model.weighed(found))
    wanted = sum(costs[1:], costs[0]) / len(costs)
    loss, kappa = model.loss(texts(), LENGTHS, own), model.counted.kappa
    torch.testing.assert_close(loss, wanted)
    torch.testing.assert_close(torch.autograd.grad(loss, kappa), torch.autograd.grad(wanted, kappa))
    torch.testing.assert_close(model(texts(), LENGTHS), together)


@pytest.mark.parametrize("options", [{"ngram": "0"}, {"ngram": "2", "ngram_weights": 9}])
def test_logits_are_scaled_for_a_block(options: dict[str, Any]) -> None:
    model = classifier(**options)
    model.learn_counts(
        torch.tensor([0, 1, 2, 0, 3]), torch.tensor([0, 1, 2, 0, 1]), torch.tensor([0, 0, 0, 2, 2])
    )
    if model.weighed is not None:
        with torch.no_grad():
            model.weighed.W.normal_(generator=torch.Generator().manual_seed(3))
    before = {name: each.clone() for name, each in model.state_dict().items()}
    o = model(texts(), LENGTHS)
    with model.calibrated(0.4, 0.0):
        torch.testing.assert_close(model(texts(), LENGTHS), 0.4 * o)
    assert all(torch.equal(before[name], each) for name, each in model.state_dict().items())


def test_weights_of_ngrams_are_added_up_by_hand() -> None:
    bayes = counted(KNOWN, 2)
    weighed = NgramWeights(len(bayes.keys), 6, L).double()
    weighed.learn(bayes.counts.sum(-1), len(KNOWN))
    with torch.no_grad():
        weighed.W.normal_(generator=torch.Generator().manual_seed(0))
    often = Counter[tuple[int, ...]]()
    for text, _ in KNOWN:
        often.update((*((a,) for a in text), *pairwise(text)))
    kept = {g for g, _ in often.most_common(6)}  # the pieces, (1, 2), and
    assert sorted(often.values(), reverse=True)[:7] == [5, 4, 4, 4, 4, 2, 1]
    ids, lengths = torch.tensor([[1, 2], [2, 0], [0, 0], [2, 0]]), torch.tensor([4, 1])
    for n, text in enumerate([[1, 2, 0, 2], [2]]):
        grams = [*((a,) for a in text), *pairwise(text)]
        rows = [row_of(bayes, g) for g in grams if g in kept]
        x = [1 + math.log(max(1, len(KNOWN) / often[g])) for g in grams if g in kept]
        size = math.sqrt(sum(each * each for each in x))
        wanted = sum(
            10 * each / size * weighed.W[weighed.slots[row].item()]
            for each, row in zip(x, rows, strict=True)
        )
        torch.testing.assert_close(weighed(bayes.find(ids, lengths))[n], wanted)


def row_of(bayes: NaiveBayes, gram: tuple[int, ...]) -> int:
    """The row of an n-gram of one or two of four pieces."""
    first, key = (0, gram[0]) if len(gram) == 1 else (4, gram[0] * 4 + gram[1])
    return first + bayes.keys[first:].tolist().index(key)

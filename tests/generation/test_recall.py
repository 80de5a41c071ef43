from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from chargen.corpus.tokenizer import Tokenizer
from chargen.generation.engine import Engine
from chargen.generation.recall import Memory, Recall
from chargen.generation.recalled import recalled_costs
from chargen.generation.requests import Request
from chargen.network.model import CharModel
from chargen.options import SamplingConfig
from tests.generation.conftest import make_counts, make_mixed_model, make_model


def recalled(
    p: float, x: int, text: Sequence[int], prompt: Sequence[int], strength: float
) -> float:
    """The probability of x after ``text``, by the formula and by counting anew."""
    for k in range(1, 9):
        context = list(text[-k:])
        after = [prompt[n] for n in range(k, len(prompt)) if list(prompt[n - k : n]) == context]
        if len(context) < k or not after:
            return p
        prior = (50 * len(set(after)) / k + 10 * len(after) / k**2) / strength
        p = (after.count(x) + prior * p) / (len(after) + prior)
    return p


@pytest.mark.parametrize("logits", [False, True])
def test_the_mixture_is_that_of_the_formula(logits: bool) -> None:
    rng = random.Random(3)
    size = 32  # letters are few, so that contexts of all lengths come again
    prompts = [[rng.randrange(3) for _ in range(200)] for _ in range(3)]
    texts = [prompt + [rng.randrange(3) for _ in range(20)] for prompt in prompts]
    recall = Recall(4)
    strengths = [0.5, 1.0, 20.0]
    for row, (prompt, text, strength) in enumerate(zip(prompts, texts, strengths, strict=True)):
        recall.set_row(row + 1, Memory(prompt), strength, text[:150])
    for n in range(150, 220):
        recall.note(np.array([0, *(text[n] for text in texts)]))
    recall.swap_rows(1, 2)
    p = torch.softmax(torch.randn(4, size, generator=torch.Generator().manual_seed(1)), 1)
    found = p.log() + 3 if logits else p.clone()
    assert recall.among(4) == [1, 2, 3]
    recall.mix(found, [1, 2, 3], logits=logits)
    wanted = p.double().clone()
    for row, n in enumerate((1, 0, 2), 1):
        for x in range(size):
            share = recalled(float(p[row, x]), x, texts[n], prompts[n], strengths[n])
            wanted[row, x] = share
    torch.testing.assert_close(
        torch.softmax(found, 1)[1:] if logits else found[1:], wanted[1:].float()
    )
    assert wanted.sum(1).tolist() == pytest.approx([1] * 4)
    assert torch.equal(found[0], p[0].log() + 3 if logits else p[0])


def test_a_text_that_recalls_itself_costs_what_the_formula_says() -> None:
    rng = random.Random(5)
    text = [rng.randrange(3) for _ in range(120)]
    p = [rng.uniform(0.01, 0.9) for _ in text]
    found = recalled_costs(np.array(text, np.int32), 2.0, -np.log(p))
    wanted = [recalled(p[n], text[n], text[:n], text[:n], 2.0) for n in range(len(text))]
    assert found.tolist() == pytest.approx((-np.log(wanted)).tolist())
    assert recalled_costs(np.array([1]), 1.0, np.array([0.5])) == pytest.approx([0.5])
    unlikely = recalled_costs(np.array([1, 1, 1, 2]), 1.0, np.array([1.0, 2, 900, 900]))
    assert unlikely[[0, 1, 3]].tolist() == pytest.approx([1, 2, 900], abs=1)
    assert unlikely[2] < 5  # exp(−900) is 0, and the cost still finite


def test_a_strong_recall_repeats_the_prompt_and_none_changes_nothing(
    model: CharModel, tokenizer: Tokenizer
) -> None:
    engine = Engine(model, tokenizer)

    def text(prompt: str, recall: float) -> str:
        config = SamplingConfig(length=6, temperature=0, loop_penalty=0, recall=recall)
        return next(engine.generate([Request(prompt, config, 0)])).text

    assert text("春江花月夜。春江花月夜。春江", 100) == "花月夜。春江"
    assert text("春", 100) == text("春", 0)


@pytest.mark.parametrize("mixed", [False, True])
def test_a_text_that_recalls_is_the_same_in_any_company(tokenizer: Tokenizer, mixed: bool) -> None:
    model = (make_mixed_model if mixed else make_model)(tokenizer)
    counts = make_counts(tokenizer) if mixed else None
    requests = [
        Request(
            "春江花月夜，江月" * (n % 3),
            SamplingConfig(length=12, recall=n % 4, temperature=(0.5, 1, 1.3, 0)[n % 4]),
            n,
        )
        for n in range(12)
    ]
    found = [
        {
            result.index: result.text
            for result in Engine(model, tokenizer, counts, slots=slots).generate(requests)
        }
        for slots in (1, 5, 12)
    ]
    assert found[0] == found[1] == found[2]
    without = [Request(r.prompt, SamplingConfig(length=12, recall=0), r.seed) for r in requests]
    with_ = [Request(r.prompt, SamplingConfig(length=12, recall=20), r.seed) for r in requests]
    engine = Engine(model, tokenizer, counts)
    texts = [[result.text for result in engine.generate(each)] for each in (without, with_)]
    assert texts[0] != texts[1]

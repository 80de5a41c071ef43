from __future__ import annotations

from itertools import count

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from chargen.corpus.tokenizer import Tokenizer
from chargen.generation.drawing import BLOCK
from chargen.generation.engine import Engine
from chargen.generation.loops import BYTE, FREE, IN_WORD, MARK, Loops, kinds_of
from chargen.generation.ranking import repeated_share
from chargen.generation.requests import Request
from chargen.generation.sampler import Sampler, Uniforms
from chargen.network.model import CharModel
from chargen.options import SamplingConfig

# Ids 0 to 5: two free ones, two letters, a mark, a byte inside a character.
KINDS = np.array([FREE, FREE, IN_WORD, IN_WORD, MARK, BYTE], np.int8)
TEXTS = st.lists(st.integers(0, 5), max_size=60) | st.lists(st.integers(0, 1), max_size=600)
CONFIGS = st.builds(
    SamplingConfig,
    temperature=st.sampled_from([0.0, 0.5, 1.0, 1.5]),
    loop_penalty=st.sampled_from([0.0, 0.5, 3.0]),
    loop_length=st.sampled_from([1, 2, 5, 40]),
    loop_window=st.sampled_from([1, 2, 7, 300]),
)


def naive_penalties(
    text: list[int], config: SamplingConfig, kinds: np.ndarray | None = None
) -> dict[int, float]:
    """The penalty of each id by the book: every earlier place is compared with the end."""
    found: dict[int, float] = {}
    last = len(text) - 1
    for place in range(max(0, len(text) - config.loop_window), last):
        run = next(n for n in count() if place < n or text[place - n] != text[last - n])
        next_ = text[place + 1]
        pair = (FREE, FREE) if kinds is None else (kinds[text[last]], kinds[next_])
        spared = pair[1] == MARK or pair == (IN_WORD, IN_WORD)
        free = max(config.loop_length, 32 if spared else 0)
        beyond = 0 if pair[1] == BYTE else max(0, min(run, 255) - free + 1)
        nats = min(30.0, beyond * config.loop_penalty * max(0.0, 1 - config.temperature))
        found[next_] = max(found.get(next_, 0.0), nats)
    return {id_: nats for id_, nats in found.items() if nats}


def penalties_in(loops: Loops, rows: int) -> list[dict[int, float]]:
    found: list[dict[int, float]] = [{} for _ in range(rows)]
    if (penalties := loops.penalties(rows)) is not None:
        assert len(set(zip(penalties.rows, penalties.ids, strict=True))) == len(penalties.ids)
        for row, id_, nats in zip(penalties.rows, penalties.ids, penalties.nats, strict=True):
            found[row][int(id_)] = float(nats)
    return found


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(TEXTS, CONFIGS), min_size=1, max_size=4), st.integers(0, 600))
def test_penalties_agree_with_the_book_in_any_company(
    rows: list[tuple[list[int], SamplingConfig]], read: int
) -> None:
    """Rows begin with a part of their text read, at any time, and are swapped between steps."""
    loops = Loops(len(rows), KINDS)
    steps = [max(0, len(text) - min(read, len(text))) for text, _ in rows]
    order = sorted(range(len(rows)), key=lambda n: -steps[n])
    begun: list[int] = []
    for left in range(max(steps), -1, -1):
        for n in order:
            if steps[n] == left:
                text, config = rows[n]
                loops.set_row(len(begun), config, text[: len(text) - left])
                begun.append(n)
        if left:
            loops.note(np.array([rows[n][0][len(rows[n][0]) - left] for n in begun]))
            loops.swap_rows(0, len(begun) - 1)
            begun[0], begun[-1] = begun[-1], begun[0]
    for n, found in zip(begun, penalties_in(loops, len(rows)), strict=True):
        text, config = rows[n]
        assert found == pytest.approx(naive_penalties(text, config, KINDS))


def test_a_row_that_is_begun_anew_forgets_its_text() -> None:
    loops = Loops(1, KINDS)
    config = SamplingConfig(temperature=0.5, loop_length=1)
    loops.set_row(0, config, [0, 1, 0])
    assert penalties_in(loops, 1) == [{1: 1.5}]
    loops.set_row(0, config, [1, 1])
    assert penalties_in(loops, 1) == [{1: 1.5}]
    loops.set_row(0, SamplingConfig(loop_penalty=0), [1, 1])
    assert penalties_in(loops, 1) == [{}]


def test_logits_and_probabilities_are_lowered_alike() -> None:
    loops = Loops(2, KINDS)
    config = SamplingConfig(temperature=0, loop_length=1, loop_penalty=2)
    for row, text in enumerate(([0, 1, 0], [2, 0, 2, 0, 1, 0])):
        loops.set_row(row, config, text)
    penalties = loops.penalties(2)
    assert penalties is not None
    logits = torch.randn(2, len(KINDS), generator=torch.Generator().manual_seed(0))
    p = torch.softmax(logits, 1)
    penalties.lower_logits(logits)
    penalties.lower_probabilities(p)
    assert torch.allclose(torch.softmax(logits, 1), p / p.sum(1, keepdim=True))


def test_kinds_of_pieces() -> None:
    tokenizer = Tokenizer.train(dict.fromkeys("aé1，。 \n字かハ가ж\u0301", 5), 100, "bytes")
    kinds = kinds_of(tokenizer)
    for text, kind in (("aé1ж\u0301", IN_WORD), ("，。 \n", MARK), ("字かハ가", FREE)):
        assert set(kinds[tokenizer.encode(text)]) == {kind}
    assert kinds[tokenizer.encode("𠀀")].tolist() == [FREE, BYTE, BYTE, BYTE]


@pytest.mark.parametrize("temperature", [0.0, 0.3])
@pytest.mark.parametrize("mixed", [False, True])
def test_a_loop_ends_at_a_low_temperature(temperature: float, mixed: bool) -> None:
    """Logits that send each piece to the next of a circle of seven, three nats above all others."""
    table = np.random.default_rng(0).normal(size=(BLOCK, BLOCK)).astype(np.float32)
    table[:, 0] = -np.inf
    for n in range(1, 8):
        table[n, n % 7 + 1] = 6

    def share(penalty: float) -> float:
        loops = Loops(1, np.zeros(BLOCK, np.int8))
        sampler, u = Sampler(1, 0, torch.device("cpu"), loops), Uniforms(1)
        sampler.set_row(0, SamplingConfig(temperature=temperature, loop_penalty=penalty), [])
        draw, text = sampler.draw_from_mixture if mixed else sampler.draw, [1]
        for _ in range(300):
            sampler.note(np.array(text[-1:]))
            o = torch.from_numpy(table[text[-1:]])
            scores = torch.softmax(o, 1) if mixed else o
            text += draw(scores, torch.from_numpy(u.next(1))[:, None]).tolist()
        return repeated_share("".join(map(chr, text)))

    assert share(3.0) < 0.1
    assert share(0.0) > 0.5


def test_temperature_1_knows_no_loop_penalty(model: CharModel, tokenizer: Tokenizer) -> None:
    requests = [
        Request("", SamplingConfig(length=100, temperature=1, loop_penalty=p, loop_length=1), 1)
        for p in (0, 100)
    ]
    first, second = Engine(model, tokenizer).generate(requests)
    assert first.text == second.text

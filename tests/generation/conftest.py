from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from chargen.corpus.tokenizer import Tokenizer
from chargen.network.model import CharModel
from chargen.ngrams import KneserNey, count, without_singletons
from chargen.options import ModelConfig

CORPORA = Path(__file__).parents[2] / "corpora"
TEXT = (CORPORA / "jueju.txt").read_text("utf-8") + (CORPORA / "shipan.txt").read_text("utf-8")


def make_tokenizer(oov: str = "bytes", vocab_size: int = 3000) -> Tokenizer:
    return Tokenizer.train(Counter(TEXT), vocab_size, oov)


def make_model(tokenizer: Tokenizer, *, sharpness: float = 4.0, **shape: object) -> CharModel:
    """Random weights whose distributions are far from uniform."""
    config = ModelConfig(tokenizer.size, **{"hidden_size": 32, **shape})  # type: ignore[arg-type]
    model = CharModel(config)
    model.reset_parameters(0)
    with torch.no_grad():
        (model.output_matrix() if model.P is None else model.P).mul_(sharpness)
    return model


def make_counts(tokenizer: Tokenizer, order: int = 4) -> KneserNey:
    whole = count(tokenizer.encode(TEXT), tokenizer.size, order, tokenizer.newline_id)
    return without_singletons(whole, order)


def make_mixed_model(tokenizer: Tokenizer, **shape: object) -> CharModel:
    """A model whose gate moves about the middle."""
    model = make_model(tokenizer, **{"ngram": "4", **shape})
    assert model.w is not None
    with torch.no_grad():
        model.w.normal_(0, 4, generator=torch.Generator().manual_seed(1))
    return model


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return make_tokenizer()


@pytest.fixture(scope="session")
def unk_tokenizer() -> Tokenizer:
    return make_tokenizer("unk")


@pytest.fixture(scope="session")
def model(tokenizer: Tokenizer) -> CharModel:
    return make_model(tokenizer)


@pytest.fixture(scope="session")
def unk_model(unk_tokenizer: Tokenizer) -> CharModel:
    return make_model(unk_tokenizer)


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)

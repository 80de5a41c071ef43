from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import chargen
from chargen.corpus.prepared import PreparedCorpus
from chargen.errors import CheckpointError, ConfigError
from chargen.options import Recipe
from chargen.runs.config import Origin
from chargen.runs.folder import RunFolder
from chargen.training.beginning import adopt_weights, neighbour_vectors
from chargen.training.events import Event
from tests.support import small_model, train_tiny

OTHER = "夜半钟声到客船。\n花落知多少？ab\n" * 60


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """A prepared corpus that shares some characters with ``corpus``, at other ids."""
    (tmp_path / "other.txt").write_text(OTHER, encoding="utf-8")
    return chargen.prepare(tmp_path / "other.txt", tmp_path / "other").path


@pytest.mark.parametrize(
    "options", [{}, {"embedding_size": 0}, {"tie_weights": True}, {"bias": False}], ids=str
)
def test_characters_keep_their_weights_by_name(options: dict[str, Any], trained: Path) -> None:
    from chargen.corpus.tokenizer import Tokenizer

    loaded = RunFolder(trained).load_model()
    tokenizer = Tokenizer.train(Counter(OTHER), 3000, "bytes")
    given = small_model(loaded.tokenizer.size, seed=1, **options)
    source = replace(loaded, network=given)
    model = small_model(tokenizer.size, seed=2, **options)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    shared = adopt_weights(model, tokenizer, source)
    theirs = {loaded.tokenizer.piece(n): n for n in range(loaded.tokenizer.size)}
    rows = [name for name in ("table", "V", "c") if name in before]
    found = 0
    for n in range(tokenizer.size):
        piece = tokenizer.piece(n)
        found += piece in theirs
        for name in rows:
            wanted = given.state_dict()[name][theirs[piece]] if piece in theirs else before[name][n]
            assert torch.equal(model.state_dict()[name][n], wanted)
    assert found == shared
    assert "花" in theirs
    for name, tensor in model.state_dict().items():
        if name not in rows:
            assert torch.equal(tensor, given.state_dict()[name])


def test_the_biases_begin_at_the_frequencies(corpus: Path, tmp_path: Path) -> None:
    run = train_tiny(corpus, tmp_path, max_steps=1, lr=1e-30)
    prepared = PreparedCorpus.open(corpus)
    counts = Counter(prepared.train.tolist())
    assert len(counts) > 20
    wanted = [counts[n] + 1 for n in range(prepared.tokenizer.size)]
    c = RunFolder(run.path).load_model().model.c
    assert c is not None
    found = torch.softmax(c.detach().double(), 0)
    torch.testing.assert_close(found, torch.tensor(wanted, dtype=torch.float64) / sum(wanted))


def test_without_biases_there_are_no_frequencies(corpus: Path, tmp_path: Path) -> None:
    run = train_tiny(corpus, tmp_path, max_steps=1, bias=False)
    assert RunFolder(run.path).load_model().model.c is None


def test_vectors_of_neighbours_are_those_of_the_whole_decomposition() -> None:
    recipe = Recipe(neighbour_rounds=60, neighbour_spare=2)
    ids, size, width = np.random.default_rng(0).integers(0, 9, 200) ** 2 % 17, 18, 4
    n, pairs = np.zeros(size), np.zeros((size, size))
    for x in ids:
        n[x] += 1
    for x, y in pairwise(ids):
        pairs[x, y] += 1
    M = np.maximum(0, np.log((pairs + 0.5) / (np.outer(n, n) / len(ids) + 0.5)))
    U, S, _ = np.linalg.svd(np.hstack([M, M.T]))
    wanted = U[:, :width] * np.sqrt(S[:width])
    present = n > 0
    wanted[present] /= np.linalg.norm(wanted[present], axis=1, keepdims=True)
    found = neighbour_vectors(ids, size, width, recipe)
    assert found.shape == (size, width)
    np.testing.assert_allclose(found @ found.T, wanted @ wanted.T, atol=1e-4)
    assert not found[~present].any()


def test_vectors_wider_than_the_vocabulary_end_in_zeros() -> None:
    ids = np.array([0, 1, 2, 0, 1, 2, 2, 1])
    vectors = neighbour_vectors(ids, 3, 5, Recipe())
    assert vectors.shape == (3, 5)
    assert not vectors[:, 3:].any()
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(3))


def test_a_text_without_information_gives_no_vectors() -> None:
    assert not neighbour_vectors(np.zeros(50, np.uint16), 1, 4, Recipe()).any()
    assert not neighbour_vectors(np.zeros(0, np.uint16), 3, 4, Recipe()).any()


def test_a_table_for_input_and_output_begins_at_its_neighbours(
    corpus: Path, tmp_path: Path
) -> None:
    prepared = PreparedCorpus.open(corpus)
    options = {"tie_weights": True, "embedding_size": 6, "max_steps": 1, "lr": 1e-30}
    run = train_tiny(corpus, tmp_path, **options)
    table = RunFolder(run.path).load_model().model.table.detach()
    vectors = neighbour_vectors(prepared.train, prepared.tokenizer.size, 6, Recipe())
    seen = vectors.any(1)
    assert 20 < int(seen.sum()) < len(seen)
    cosines = F.cosine_similarity(table, vectors)
    torch.testing.assert_close(cosines[seen], torch.ones(int(seen.sum())))
    assert table[~seen].norm(dim=1).min() > 0.1


def test_training_begins_from_the_other_run(trained: Path, other: Path, tmp_path: Path) -> None:
    run = train_tiny(other, tmp_path, init_from=trained, max_steps=1, lr=1e-30, weight_decay=0.0)
    source, loaded = RunFolder(trained).load_model(), RunFolder(run.path).load_model()
    torch.testing.assert_close(loaded.model.cells[0].U, source.model.cells[0].U)
    assert loaded.config.init_from == Origin("run", source.weights_sha256)
    assert RunFolder(run.path).read_places().init_from == trained.resolve()


def test_a_run_that_was_killed_at_once_still_begins_there(
    trained: Path, other: Path, tmp_path: Path
) -> None:
    class Killed(BaseException):
        pass

    def kill(event: Event) -> None:
        raise Killed  # before the first checkpoint

    with pytest.raises(Killed):
        train_tiny(other, tmp_path / "killed", init_from=trained, on_event=kill)
    again = train_tiny(None, tmp_path / "killed", resume=True)
    whole = train_tiny(other, tmp_path / "whole", init_from=trained)
    one, two = RunFolder(again.path).load_model(), RunFolder(whole.path).load_model()
    assert one.weights_sha256 == two.weights_sha256


def test_the_shape_comes_from_the_other_run(trained: Path, other: Path, tmp_path: Path) -> None:
    run = chargen.train(other, init_from=trained, runs_dir=tmp_path, max_steps=1)
    assert RunFolder(run.path).read_config().model.hidden_size == 32


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"hidden_size": 64, "num_layers": 2}, "num_layers"),
        ({"preset": "lecture"}, "`cell` is rnn"),
    ],
)
def test_another_shape_is_an_error(
    options: dict[str, Any], part: str, trained: Path, other: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="the run of `init_from` has") as caught:
        train_tiny(other, tmp_path / "out", init_from=trained, **options)
    assert part in caught.value.message
    assert not (tmp_path / "out").exists()


def test_beginning_from_nothing_is_an_error(other: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no run 'nope'"):
        train_tiny(other, tmp_path / "out", init_from="nope")

"""Training a classifier: exact resume, weights of other runs, what suits it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
import torch

import chargen
from chargen.errors import ConfigError, CorpusError
from chargen.evaluation.labels import log_probabilities, score_labels
from chargen.network.classifier import Classifier
from chargen.runs.folder import RunFolder
from tests.evaluation.test_labels import file
from tests.support import last_state, metrics, train_tiny
from tests.training.test_resume import Killed, killer

__all__ = ["file"]
LEARN: dict[str, Any] = {"task": "classify", "label_key": ("kind",)}


@pytest.mark.parametrize(
    "options",
    [
        {"dropout": 0.4, "bidirectional": True},
        {"ngram": 2, "gradient_accumulation_steps": 2},
        {"cell": "gru", "num_layers": 2, "embedding_size": 0},
    ],
    ids=lambda options: "-".join(map(str, options)),
)
def test_resume_matches_an_uninterrupted_run(
    options: dict[str, Any], file: Path, tmp_path: Path
) -> None:
    settings = {"max_steps": 24, "save_every": 7, "eval_every": 5, **LEARN, **options}
    whole = train_tiny(file, tmp_path / "whole", **settings)
    with pytest.raises(Killed):
        train_tiny(file, tmp_path / "killed", on_event=killer(10), **settings)
    again = chargen.train(name="run", runs_dir=tmp_path / "killed", resume=True)
    assert last_state(again.path) == last_state(whole.path)
    assert again.unit == "bits per label"


@pytest.mark.parametrize("both_ways", [False, True])
def test_it_begins_with_the_table_and_cells_of_a_language_model(
    both_ways: bool, file: Path, tmp_path: Path
) -> None:
    source = train_tiny(file, tmp_path, name="writer", label_key=("kind",), tie_weights=True)
    begun = train_tiny(
        file,
        tmp_path,
        name="begun",
        init_from="writer",
        preset=None,
        lr=1e-12,
        max_steps=1,
        bidirectional=both_ways,
        **LEARN,
    )
    old, new = (RunFolder(each.path).load_model() for each in (source, begun))
    ids = torch.tensor([[3, 5, 4, 7]]).T
    with torch.no_grad():
        theirs, _ = old.model(ids, old.model.initial_state(1))
        ours = new.network.outputs(ids, torch.tensor([4]))
    torch.testing.assert_close(ours[..., :32], theirs, rtol=1e-4, atol=1e-5)
    assert ours.shape[-1] == (64 if both_ways else 32)


def test_a_classifier_begins_with_another(file: Path, tmp_path: Path) -> None:
    train_tiny(file, tmp_path, name="one", **LEARN)
    options = {"init_from": "one", "preset": None, "lr": 1e-12, "max_steps": 1}
    train_tiny(file, tmp_path, name="two", **options, **LEARN)
    saved = RunFolder(tmp_path / "two").load_last()
    assert saved is not None
    for name, each in chargen.load(tmp_path / "one").loaded.network.state_dict().items():
        torch.testing.assert_close(saved[0][f"model.{name}"], each, rtol=1e-4, atol=1e-6)


def test_a_larger_vocabulary_and_more_dropout_suit_it(file: Path, tmp_path: Path) -> None:
    run = train_tiny(file, tmp_path, preset="small", max_steps=1, hidden_size=8, **LEARN)
    config = RunFolder(run.path).read_config()
    assert config.corpus.settings.vocab_size == 8000
    assert config.training.dropout == config.recipe.dropout_of_labels
    assert config.model.ngram == "3"
    assert not config.model.tie_weights


def test_a_run_without_counts_of_its_labels_reads_as_it_is(file: Path, tmp_path: Path) -> None:
    train_tiny(file, tmp_path, ngram=2, **LEARN)
    alone = chargen.load(tmp_path / "run", ngram=False)
    assert alone.loaded.network.state_dict().keys() == {
        name
        for name in chargen.load(tmp_path / "run").loaded.network.state_dict()
        if not name.startswith(("counted.", "weighed."))
    }


def test_evaluations_are_of_labels(file: Path, tmp_path: Path) -> None:
    run = train_tiny(file, tmp_path, **LEARN)
    lines = metrics(run.path)
    scored = [line for line in lines if line["event"] == "evaluation"]
    assert {line["characters"] for line in scored} == {15}
    assert next(line["unit"] for line in lines if line["event"] == "started") == "bits per label"
    samples = [line["text"] for line in lines if line["event"] == "sample"]
    assert all(": told as " in text for text in samples)
    assert repr(run).endswith("bits per label>")


def test_what_is_kept_is_as_sure_as_was_reported(file: Path, tmp_path: Path) -> None:
    corpus = chargen.prepare(file, tmp_path / "corpus", label_key=("kind",))
    options: dict[str, Any] = {"task": "classify", "ngram": 2, "max_steps": 40, "eval_every": 10}
    run = train_tiny(corpus, tmp_path, **options)
    assert last_state(run.path)["gate_scale"] != 1
    network = cast("Classifier", run.load().loaded.network)
    told = log_probabilities(network, corpus.val_records, corpus.tokenizer.newline_id)
    kept = score_labels(told, corpus.val_records.labels[:, 0])
    evaluations = [line for line in metrics(run.path) if line["event"] == "evaluation"]
    best = min(evaluations, key=lambda line: float(line["bits_per_char"]))
    assert kept.bits_per_char == pytest.approx(best["bits_per_char"], rel=1e-6)
    assert (kept.accuracy, kept.macro_f1) == (best["accuracy"], best["macro_f1"])


def test_what_a_classifier_cannot_learn_from(file: Path, corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="2 label keys"):
        train_tiny(file, tmp_path, task="classify", label_key=("kind", "half"))
    with pytest.raises(CorpusError, match="one stream of text"):
        train_tiny(corpus, tmp_path, task="classify")
    with pytest.raises(ConfigError, match="jordan is fed the output"):
        train_tiny(file, tmp_path, cell="jordan", **LEARN)
    assert not list(tmp_path.glob("*/config.json"))

"""A language model of records: labels beside the input, texts that end."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import chargen
from chargen.corpus.labels import Labels
from chargen.corpus.prepared import PreparedCorpus
from chargen.corpus.records import Record
from chargen.errors import ConfigError, CorpusError
from chargen.evaluation.texts import piece_costs, split_of
from chargen.generation.requests import Request
from chargen.network.dropout import Dropout
from chargen.options import CELLS, SamplingConfig
from chargen.runs.folder import RunFolder
from chargen.training.accumulation import accumulate_gradient
from chargen.training.events import Evaluation, Event, Sample
from chargen.training.lessons import Texts
from tests.support import call, last_state, of_type, small_model, the_error, train_tiny
from tests.training.test_resume import Killed, killer

WORDS = {"calm": "风雨山水", "upset": "火刀雷电"}


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Texts whose characters and length follow from their label."""
    path = tmp_path_factory.mktemp("records") / "moods.jsonl"
    draw = np.random.default_rng(3)
    lines = [
        {"text": "".join(draw.choice(list(words), 3 + 2 * (mood == "calm"))), "mood": mood}
        for _ in range(60)
        for mood, words in WORDS.items()
    ]
    path.write_text("\n".join(json.dumps(line, ensure_ascii=False) for line in lines), "utf-8")
    return path


@pytest.fixture(scope="module")
def prepared(records: Path, tmp_path_factory: pytest.TempPathFactory) -> PreparedCorpus:
    out = tmp_path_factory.mktemp("prepared") / "moods"
    return chargen.prepare(records, out, label_key=["mood"])


@pytest.fixture(scope="module")
def run(prepared: PreparedCorpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    return train_tiny(prepared, folder, max_steps=250, lr=2e-2, label_dropout=0.2, ngram=3).path


def test_a_text_is_read_with_its_labels(run: Path) -> None:
    model = chargen.load(run, device="cpu")
    calm, upset = (
        model.score_characters("风雨山水", label=[f"mood={mood}"]).nats.sum() for mood in WORDS
    )
    assert calm < upset
    assert model.gate_characters("风雨", ["mood=calm"]) != model.gate_characters("风雨")
    for read in (model.score_characters, model.gate_characters):
        with pytest.raises(ConfigError, match="sad"):
            read("风雨", label=["mood=sad"])


@pytest.mark.parametrize("cell", CELLS)
def test_labels_stand_beside_the_input_of_every_step(cell: str) -> None:
    model = small_model(cell=cell, labels=3)
    v = torch.rand(2, 3, dtype=torch.float64)
    ids = torch.randint(11, (4, 2))
    assert model.R is not None
    with torch.no_grad():
        model.R.normal_()
        read, _ = model(ids, model.initial_state(2), None, v)
        state, beside = model.initial_state(2), torch.stack([model.input_of_labels(x) for x in v])
        for t in range(4):
            s, state = model.step(model.input_table()[ids[t]] + beside, state)
            torch.testing.assert_close(s, read[t])


@pytest.mark.parametrize(
    "options", [{}, {"embedding_size": 0}, {"tie_weights": True}, {"ngram": "3"}], ids=str
)
def test_the_loss_of_texts_is_the_mean_over_what_is_no_padding(options: dict[str, Any]) -> None:
    model = small_model(labels=2, **options)
    targets = torch.randint(11, (5, 3), generator=torch.Generator().manual_seed(1))
    ids = torch.cat([torch.full((1, 3), 4), targets[:-1]])
    lengths, v = torch.tensor([5, 2, 3]), torch.eye(3, dtype=torch.float64)[:, :2]
    P = torch.rand(5, 3, dtype=torch.float64) if "ngram" in options else None
    loss, after = Texts(ids, targets, lengths, v, P).loss(model, None)
    costs = []
    for row, length in enumerate(lengths.tolist()):
        part = ids[:length, row : row + 1]
        s, _ = model(part, model.initial_state(1), None, v[row : row + 1])
        alone = F.cross_entropy(model.logits(s[:, 0]), targets[:length, row], reduction="none")
        if P is not None:
            g = model.gate(s[:, 0])[:, 0]
            mixture = g * torch.exp(-alone) + (1 - g) * P[:length, row]
            alone = (alone - mixture.log()) / 2
        costs.append(alone)
    torch.testing.assert_close(loss, torch.cat(costs).mean())
    assert after == ()


def test_gradients_of_parts_are_those_of_all_texts() -> None:
    model = small_model(labels=2, ngram="3")
    targets = torch.randint(11, (6, 7), generator=torch.Generator().manual_seed(2))
    ids = torch.cat([torch.full((1, 7), 4), targets[:-1]])
    v, P = torch.rand(7, 2).double(), torch.rand(6, 7).double()
    lesson = Texts(ids, targets, torch.tensor([6, 1, 2, 6, 4, 3, 5]), v, P)
    found = []
    for parts in (1, 3):
        model.zero_grad(set_to_none=True)
        dropout = Dropout(0.3, torch.Generator().manual_seed(5))
        loss, _ = accumulate_gradient(model, lesson, dropout, parts)
        found.append((loss, [p.grad.clone() for p in model.parameters() if p.grad is not None]))
    torch.testing.assert_close(found[0], found[1], rtol=1e-12, atol=1e-13)


def test_a_text_costs_the_same_whatever_stands_beside_it(prepared: PreparedCorpus) -> None:
    split, labels = prepared.train_records, 2
    model = small_model(prepared.tokenizer.size, labels=labels, records=True)
    v = np.random.default_rng(1).random((len(split), labels))
    newline = prepared.tokenizer.newline_id
    nats, _ = piece_costs(model, split, newline, v)
    ends = split.ends.tolist()
    for n in (0, 7, len(split) - 1):
        text = torch.from_numpy(split.side(n).astype(np.int64))[:, None]
        ids = torch.cat([torch.tensor([[newline]]), text[:-1]])
        with torch.no_grad():
            s, _ = model(ids, model.initial_state(1), None, torch.from_numpy(v[n : n + 1]))
            alone, _ = model.score(s[:, 0], text[:, 0])
        first = ends[n - 1] + 1 if n else 0
        np.testing.assert_allclose(nats[first : ends[n] + 1], alone.numpy(), rtol=1e-10)


def test_resume_matches_an_uninterrupted_run(prepared: PreparedCorpus, tmp_path: Path) -> None:
    settings = {"max_steps": 24, "save_every": 7, "dropout": 0.3, "label_dropout": 0.4, "ngram": 3}
    whole = train_tiny(prepared, tmp_path / "whole", **settings)
    with pytest.raises(Killed):
        train_tiny(prepared, tmp_path / "killed", on_event=killer(10), **settings)
    resumed = train_tiny(None, tmp_path / "killed", resume=True, **settings)
    assert last_state(resumed.path) == last_state(whole.path)


def test_labels_decide_what_is_written_and_texts_end(run: Path) -> None:
    model = chargen.load(run)
    for mood, words in WORDS.items():
        results = model.results(num_samples=40, seed=1, label=[f"mood={mood}"], length=40)
        right = [set(each.text) <= set(words) and each.finish_reason == "end" for each in results]
        assert sum(right) >= 36
    free = model.generate(num_samples=40, seed=1, length=40)
    assert {bool(set(text) & set("火刀雷电")) for text in free} == {True, False}


def test_a_text_is_the_same_in_any_company(run: Path) -> None:
    model = chargen.load(run)
    labels = [(), ("mood=calm",), ("mood=upset",), ("mood=calm:0.4,upset:0.6",)]
    asked = [
        Request(prompt, SamplingConfig(length=9, label=label), seed)
        for seed, (prompt, label) in enumerate([(p, x) for p in ("", "风") for x in labels] * 3)
    ]
    texts = []
    for slots in (1, 5, 24):
        engine = model._engine.using(slots=slots)
        texts.append({each.index: each.text for each in engine.generate(asked)})
    assert texts[0] == texts[1] == texts[2]


def test_a_text_costs_what_it_cost_when_it_was_written(run: Path) -> None:
    """With counts, whose contexts begin alike in both."""
    loaded = chargen.load(run).loaded
    engine = chargen.load(run)._engine.using(logprobs=True)
    config = SamplingConfig(length=4, label=("mood=calm",))
    v = loaded.config.corpus.label_space.wanted(config.label)[None]
    for result in engine.generate(Request("", config, seed) for seed in range(3)):
        record = Record(result.text, {}, None, "", None)
        split = split_of([record], loaded.tokenizer, Labels({}))
        newline = loaded.tokenizer.newline_id
        nats, _ = piece_costs(loaded.model, split, newline, v, loaded.ngram)
        bits = nats[: len(result.text)].mean() / math.log(2)
        assert result.bits_per_char == pytest.approx(bits, rel=1e-4)
        assert nats != pytest.approx(piece_costs(loaded.model, split, newline, v)[0])


def test_true_labels_make_texts_cheaper(run: Path, records: Path) -> None:
    model = chargen.load(run)
    with_labels, without = (model.score_records(records, labels=each) for each in (True, False))
    assert with_labels.bits_per_char < without.bits_per_char - 0.05
    assert with_labels.characters == sum(
        len(json.loads(line)["text"]) + 1 for line in records.read_text("utf-8").splitlines()
    )


def test_the_validation_of_a_run_is_what_eval_says(
    prepared: PreparedCorpus, tmp_path: Path
) -> None:
    events: list[Event] = []
    run = train_tiny(prepared, tmp_path, on_event=events.append, ngram=2)
    reported = of_type(events, Evaluation)[-1]
    kept = [prepared.val_records.side(n)[:-1] for n in range(len(prepared.val_records))]
    numbers = prepared.val_records.labels[:, 0]
    names = [value for value, _ in RunFolder(run.path).read_config().corpus.labels["mood"]]
    lines = [
        json.dumps({"text": prepared.tokenizer.decode(ids), "mood": names[number - 1]})
        for ids, number in zip(kept, numbers.tolist(), strict=True)
    ]
    (tmp_path / "val.jsonl").write_text("\n".join(lines), "utf-8")
    result = call("eval", run.path, tmp_path / "val.jsonl", "--json")
    report = json.loads(result.stdout)
    assert math.isclose(report["bits_per_char"], reported.bits_per_char, rel_tol=1e-6)
    assert report["characters"] == reported.characters
    assert of_type(events, Sample)[-1].text.startswith("mood=")


def test_jobs_name_labels_as_objects(run: Path, tmp_path: Path) -> None:
    jobs = [
        {"prompt": "", "seed": 4, "label": {"mood": "calm"}},
        {"prompt": "", "seed": 4, "label": ["mood=calm"]},
        {"prompt": "", "seed": 4, "label": {"mood": {"calm": 0.5, "upset": 0.5}}},
    ]
    (tmp_path / "jobs.jsonl").write_text("\n".join(map(json.dumps, jobs)), "utf-8")
    chargen.batch(tmp_path / "jobs.jsonl", tmp_path / "out.jsonl", run)
    written = (tmp_path / "out.jsonl").read_text("utf-8").splitlines()
    texts = [json.loads(line)["text"] for line in written]
    (alone,) = chargen.load(run).generate(seed=4, label=["mood=calm"])
    assert texts[0] == texts[1] == alone
    (mixed,) = chargen.load(run).generate(seed=4, label=["mood=calm,upset"])
    assert texts[2] == mixed


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--label", "mood=clam"], "did you mean 'calm'?"),
        (["--label", "mod=calm"], "did you mean 'mood'?"),
        (["--label", "calm"], "not KEY=VALUE"),
    ],
)
def test_an_unknown_label_names_the_nearest(run: Path, options: list[str], told: str) -> None:
    assert told in the_error("sample", run, *options, status=2)


def test_a_task_that_the_records_are_not_for_says_so(records: Path, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="pairs"):
        train_tiny(records, tmp_path, label_key=["mood"], task="seq2seq")


def test_a_language_model_cannot_read_what_comes(corpus: Path, tmp_path: Path) -> None:
    told = the_error("train", corpus, "--bidirectional", "--runs", tmp_path, status=2)
    assert "what comes later can't be read before it is written" in told


def test_the_matrix_of_labels_is_a_part_of_its_own() -> None:
    assert small_model(labels=4).parts()["labels"]["R"].shape == (5, 4)

"""Vectors of texts, and labels that are told of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import chargen
from chargen.corpus.labels import Labels
from chargen.corpus.records import Record
from chargen.errors import CheckpointError, ConfigError, CorpusError
from chargen.evaluation.label_report import report_labels
from chargen.evaluation.labels import fitting_scale, normalised, score_labels
from chargen.evaluation.texts import split_of, text_costs
from tests.support import train_tiny

KINDS = {"山": "山石林峰云", "水": "水江舟波鱼", "月": "月夜星灯影"}
TEXTS = ["山石", "水江舟波鱼春秋", "月", "夜星灯影来去花鸟人", "峰云"]


def labelled(count: int, seed: int = 0) -> Iterator[dict[str, str | int]]:
    draw = np.random.default_rng(seed)
    for n in range(count):
        kind = "山水月"[int(draw.integers(3))]
        letters = KINDS[kind] + "春秋花鸟人来去"
        text = "".join(
            letters[int(k)] for k in draw.integers(len(letters), size=draw.integers(3, 9))
        )
        yield {"id": f"no {n}", "text": text, "kind": kind, "half": "ab"[n % 2]}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("labelled") / "labelled.jsonl"
    lines = (json.dumps(each, ensure_ascii=False) + "\n" for each in labelled(150))
    path.write_text("".join(lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def classifier(file: Path) -> chargen.Generator:
    options = {"task": "classify", "label_key": ("kind",), "bidirectional": True, "ngram": 2}
    return train_tiny(file, file.parent, name="classifier", max_steps=60, **options).load()


@pytest.fixture(scope="module")
def writer(file: Path) -> chargen.Generator:
    return train_tiny(file, file.parent, name="writer", label_key=("kind", "half")).load()


def test_the_scale_is_the_best_of_a_fine_grid() -> None:
    draw = np.random.default_rng(1)
    true = draw.normal(size=(4000, 5))
    numbers = 1 + np.array([draw.choice(5, p=p) for p in np.exp(normalised(true))])
    numbers[::7] = 0
    sure = normalised(2.5 * true)  # more than it should be

    def nats(scale: float) -> float:
        return score_labels(normalised(scale * sure), numbers).nats

    found = fitting_scale(sure, numbers)
    assert nats(found) < min(map(nats, np.linspace(0.1, 3, 291))) + 0.05
    assert nats(found) < nats(1) - 500
    assert fitting_scale(sure[:2], numbers[:2]) == pytest.approx(1, abs=0.3)


@pytest.mark.parametrize("pooling", ["auto", "last", "mean"])
@pytest.mark.parametrize("name", ["classifier", "writer", "plain"])
def test_a_vector_does_not_depend_on_its_neighbours(
    name: str, pooling: str, trained: Path, request: pytest.FixtureRequest
) -> None:
    model = chargen.load(trained) if name == "plain" else request.getfixturevalue(name)
    together = model.embed(TEXTS, pooling=pooling)
    alone = np.concatenate([model.embed([text], pooling=pooling) for text in TEXTS])
    np.testing.assert_allclose(together, alone, rtol=1e-5, atol=1e-6)
    assert together.shape == (
        len(TEXTS),
        {"classifier": 64}.get(name, 32) * (2 if (name, pooling) == ("classifier", "auto") else 1),
    )


def test_a_language_models_vectors_are_its_states(trained: Path) -> None:
    model = chargen.load(trained)
    network, tokenizer = model.loaded.model, model.loaded.tokenizer
    ids = torch.tensor([tokenizer.newline_id, *tokenizer.encode("春眠不觉")])[:, None]
    with torch.no_grad():
        states, _ = network(ids, network.initial_state(1))
    np.testing.assert_allclose(model.embed(["春眠不觉"])[0], states[-1, 0], rtol=1e-5, atol=1e-6)
    mean = model.embed(["春眠不觉"], pooling="mean")[0]
    np.testing.assert_allclose(mean, states[:, 0].mean(0), rtol=1e-5, atol=1e-6)


def test_normalised_vectors_have_length_1(classifier: chargen.Generator) -> None:
    plain, scaled = classifier.embed(TEXTS), classifier.embed(TEXTS, normalize=True)
    lengths = np.linalg.norm(plain, axis=1, keepdims=True)
    np.testing.assert_allclose(scaled, plain / lengths, rtol=1e-5)


def test_scores_of_all_labels_sum_to_1(
    classifier: chargen.Generator, writer: chargen.Generator
) -> None:
    for model, given in ((classifier, {}), (writer, {"key": "kind"})):
        for told in model.classify(TEXTS, best=9, **given):
            assert sum(score for _, score in told.best) == pytest.approx(1)
            scores = [score for _, score in told.best]
            assert scores == sorted(scores, reverse=True)
            assert (told.label, told.score) == told.best[0]


def test_the_classifier_has_learnt(classifier: chargen.Generator) -> None:
    others = list(labelled(60, seed=9))
    told = classifier.classify([str(each["text"]) for each in others])
    right = sum(a.label == b["kind"] for a, b in zip(told, others, strict=True))
    assert right > 45


def test_a_label_below_the_threshold_is_none(classifier: chargen.Generator) -> None:
    plain = classifier.classify(TEXTS)
    middle = sorted(each.score for each in plain)[2]
    strict = classifier.classify(TEXTS, threshold=middle)
    assert [each.label for each in strict] == [
        each.label if each.score >= middle else None for each in plain
    ]
    assert classifier.classify([" "])[0].label is None


def test_a_language_model_tells_labels_by_bayes_rule(writer: chargen.Generator) -> None:
    loaded = writer.loaded
    labels = loaded.config.corpus.label_space
    counts = np.array([count for _, count in labels.values["kind"]]) + 1.0
    split = split_of([Record(t, {}, None, "", None) for t in TEXTS], loaded.tokenizer, Labels({}))
    joint = []
    for n, count in enumerate(counts):
        v = np.zeros((len(TEXTS), labels.size), np.float32)
        v[:, labels.places("kind").start + n] = 1
        nats = text_costs(loaded.model, split, loaded.tokenizer.newline_id, v)
        joint.append(count / counts.sum() * np.exp(-nats))
    posterior = np.array(joint) / np.sum(joint, axis=0)
    for told, wanted in zip(writer.classify(TEXTS, key="kind", best=3), posterior.T, strict=True):
        found = dict(told.best)
        names = labels.names("kind")
        assert [found[name] for name in names] == pytest.approx(wanted.tolist(), rel=1e-4)


def test_which_label_is_told_must_be_clear(writer: chargen.Generator, trained: Path) -> None:
    with pytest.raises(ConfigError, match="several labels: kind, half"):
        writer.classify(TEXTS)
    with pytest.raises(ConfigError, match=r"no label 'kin' .*'kind'"):
        writer.classify(TEXTS, key="kin")
    with pytest.raises(CheckpointError, match="no labels"):
        chargen.load(trained).classify(TEXTS)


def test_a_classifier_does_not_write(classifier: chargen.Generator) -> None:
    with pytest.raises(CheckpointError, match="task classify"):
        classifier.generate("山")


def test_a_report_is_that_counted_by_hand(classifier: chargen.Generator) -> None:
    true = ["a", "a", "a", "b", "b", "c", "x"]
    told = [0, 0, 1, 1, 0, 2, 0]
    labels = Labels({"kind": [("a", 3), ("b", 2), ("c", 1), ("d", 1)]})
    records = [Record("山", {"kind": each}, None, "", n) for n, each in enumerate(true)]

    def judge(split: object) -> np.ndarray:
        p = np.full((6, 4), 0.1)
        p[np.arange(6), told[:6]] = 0.7
        return np.log(p)

    report = report_labels(records, classifier.loaded.tokenizer, judge, labels, "kind")
    assert report.confusion.tolist() == [[2, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    assert (report.texts, report.unknown) == (6, 1)
    assert report.accuracy == pytest.approx(4 / 6)
    assert [each.f1 for each in report.figures] == pytest.approx([2 / 3, 1 / 2, 1])
    assert report.macro_f1 == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    score = score_labels(judge(None), np.array([1, 1, 1, 2, 2, 3]))
    assert (score.correct, score.macro_f1) == (4, report.macro_f1)
    assert [each.taken_for for each in report.figures] == ["b", "a", None]
    bits = -(4 * np.log2(0.7) + 2 * np.log2(0.1)) / 6
    assert report.bits_per_label == pytest.approx(bits)
    with pytest.raises(CorpusError, match="their labels are x"):
        report_labels(records[6:], classifier.loaded.tokenizer, judge, labels, "kind")


def test_the_validation_score_is_that_of_eval(classifier: chargen.Generator, file: Path) -> None:
    lines = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    val = [each for n, each in enumerate(lines) if int((n + 1) * 0.1) > int(n * 0.1)]
    records = (
        Record(each["text"], {"kind": each["kind"]}, None, "", n) for n, each in enumerate(val)
    )
    report = classifier.report_labels(records)
    assert report.bits_per_label == pytest.approx(classifier.loaded.bits_per_char, rel=1e-5)

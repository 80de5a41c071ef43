"""``chargen experiment classify``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chargen.experiments.labels import ALONE, BOTH, LabelsOutcome, compare_classifiers
from tests.evaluation.test_labels import file, labelled

__all__ = ["file"]


@pytest.fixture(scope="module")
def outcome(file: Path) -> LabelsOutcome:
    pytest.importorskip("sklearn")
    return compare_classifiers(file, "kind", steps=12, preset="tiny", device="cpu", threads=1)


def test_linear_models_are_scikit_learns_own(outcome: LabelsOutcome) -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.svm import LinearSVC

    texts = list(labelled(150))
    val = [each for n, each in enumerate(texts) if int((n + 1) * 0.1) > int(n * 0.1)]
    train = [each for each in texts if each not in val]
    features = TfidfVectorizer(
        analyzer="char", ngram_range=(1, 3), min_df=2, sublinear_tf=True, lowercase=False
    )
    X = features.fit_transform(each["text"] for each in train)
    model = LinearSVC(random_state=0).fit(X, [each["kind"] for each in train])
    told = model.predict(features.transform(each["text"] for each in val))
    right = sum(a == b["kind"] for a, b in zip(told, val, strict=True))
    (found,) = [each for each in outcome.models if each.name == "linear SVM"]
    assert found.report.accuracy == pytest.approx(right / len(val))


def test_the_outcome_is_tables_sentences_json_and_a_picture(
    outcome: LabelsOutcome, tmp_path: Path
) -> None:
    names = [each.name for each in outcome.models]
    assert names == [BOTH, ALONE, "linear SVM", "logistic regression"]
    (table,) = outcome.tables()
    assert [row[0] for row in table.rows] == names
    first, second = outcome.findings()
    own = outcome.models[0].report
    assert f"{own.accuracy:.1%} of 15 texts" in first
    assert "F1 of" in second
    values = json.loads(json.dumps(outcome.to_dict()))
    assert values["models"][0]["accuracy"] == own.accuracy
    outcome.draw(tmp_path / "labels.png")
    assert (tmp_path / "labels.png").stat().st_size > 1000

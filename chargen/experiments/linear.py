"""The references of the experiment ``classify``: linear models over TF-IDF of n-grams."""

from __future__ import annotations

from collections.abc import Sequence
from time import process_time

import numpy as np

from chargen.errors import MissingExtraError
from chargen.evaluation.label_report import LabelReport

LONGEST = 3
LEAST_TEXTS = 2
LINEAR = ("linear SVM", "logistic regression")


def linear_models(
    train: tuple[Sequence[str], Sequence[str]], val: tuple[Sequence[str], Sequence[str]], key: str
) -> dict[str, tuple[LabelReport, float]]:
    """Train linear models on texts and labels, and judge them by others.

    Their features are n-grams of 1 to 3 characters that stand in at least two texts, weighed by
    (1 + log count) · inverse document frequency, each text scaled to length 1. The other settings
    are scikit-learn's own, except for logistic regression, which is regularised a tenth as much.

    Args:
        train: texts and their labels.
        val: likewise.
        key: of the labels, for the reports.

    Returns:
        The report of each model by its name, and the seconds of processor time that it took.

    Raises:
        MissingExtraError: scikit-learn is not installed.
    """
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.svm import LinearSVC
    except ImportError as error:
        raise MissingExtraError("scikit-learn", "bench", "A comparison with TF-IDF") from error
    began = process_time()
    features = TfidfVectorizer(
        analyzer="char",
        ngram_range=(1, LONGEST),
        min_df=min(LEAST_TEXTS, len(train[0])),
        sublinear_tf=True,
        lowercase=False,
    )
    X, Z = features.fit_transform(train[0]), features.transform(val[0])
    counting, found = process_time() - began, {}
    models = (LinearSVC(random_state=0), LogisticRegression(C=10.0, max_iter=200))
    for name, model in zip(LINEAR, models, strict=True):
        began = process_time()
        told = model.fit(X, train[1]).predict(Z)
        seconds = counting + process_time() - began
        found[name] = report_of(told.tolist(), val[1], key), seconds
    return found


def report_of(told: Sequence[str], true: Sequence[str], key: str) -> LabelReport:
    """The report on labels that were told without probabilities."""
    names = sorted({*told, *true})
    numbers = {name: n for n, name in enumerate(names)}
    confusion = np.zeros((len(names), len(names)), np.int64)
    np.add.at(confusion, ([numbers[each] for each in true], [numbers[each] for each in told]), 1)
    return LabelReport(key, tuple(names), confusion, float("nan"), 0)

"""``chargen classify``, ``embed``, and ``eval`` of classifiers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.evaluation.test_labels import file, labelled
from tests.support import TRAIN, call, the_error

__all__ = ["file"]
LEARN = ("--task", "classify", "--label-key", "kind", *TRAIN)


@pytest.fixture(scope="module")
def classifier(file: Path) -> Path:
    result = call("train", file, *LEARN, "--runs", file.parent, "--name", "told")
    assert result.exit_code == 0, result.output
    return file.parent / "told"


def test_training_reports_bits_per_label(file: Path, here: Path) -> None:
    result = call("train", file, *LEARN, "--name", "run")
    assert "bits per label, accuracy" in result.stderr
    assert "bits per character" not in result.stderr
    assert "bits per label" in call("inspect", "run").stdout
    assert "bits per character" not in call("inspect", "run").stdout


def test_each_record_is_a_line(classifier: Path, file: Path) -> None:
    result = call("classify", classifier, file, "-k", 2)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line["id"] for line in lines] == [each["id"] for each in labelled(150)]
    assert all(line["best"][0] == {n: line[n] for n in ("label", "score")} for line in lines)
    right = sum(a["label"] == b["kind"] for a, b in zip(lines, labelled(150), strict=True))
    assert f"Of 150 texts with a label, {right / 150:.1%} are predicted correctly." in result.stderr


def test_lines_of_a_text_are_texts(classifier: Path, here: Path) -> None:
    text = "山石\n\n水江\n"
    piped = call("classify", classifier, "-", stdin=text)
    lines = [json.loads(line) for line in piped.stdout.splitlines()]
    assert [line["id"] for line in lines] == [1, 2, 3]
    assert lines[1] == {"id": 2, "label": None, "score": 0.0}
    (here / "lines.txt").write_text(text, encoding="utf-8")
    assert call("classify", classifier, "lines.txt").stdout == piped.stdout
    vectors = call("embed", classifier, "-", stdin=text).stdout.splitlines()
    assert [json.loads(line)["id"] for line in vectors] == [1, 2, 3]


def test_vectors_are_the_same_in_each_format(classifier: Path, file: Path, here: Path) -> None:
    lines = call("embed", classifier, file, "--pooling", "mean").stdout.splitlines()
    found = np.array([json.loads(line)["vector"] for line in lines])
    assert call("embed", classifier, file, "--pooling", "mean", "-o", "v.npy").exit_code == 0
    array = np.load("v.npy", allow_pickle=False)
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, found.astype(np.float32))
    call("embed", classifier, file, "--pooling", "mean", "-o", "v.jsonl")
    assert Path("v.jsonl").read_text("utf-8").splitlines() == lines
    assert call("embed", classifier, file, "--pooling", "mean", "-o", "-").stdout.split("\n") == [
        *lines,
        "",
    ]
    assert not Path("-").exists()
    text = next(labelled(1))["text"]
    alone = json.loads(call("embed", classifier, "-c", text, "--pooling", "mean").stdout)
    np.testing.assert_allclose(alone, found[0], rtol=1e-5, atol=1e-6)


def test_the_vector_of_a_text_is_written_to_a_file(classifier: Path, here: Path) -> None:
    vector = json.loads(call("embed", classifier, "-c", r"山\n石").stdout)
    for name in ("v.npy", "v.jsonl"):
        done = call("embed", classifier, "-c", r"山\n石", "-o", name)
        assert done.stdout == ""
        assert done.stderr == f"1 vector of {len(vector)} numbers: {name}\n"
    assert np.load("v.npy", allow_pickle=False).tolist() == [vector]
    assert json.loads(Path("v.jsonl").read_text("utf-8")) == {"id": 1, "vector": vector}


def test_eval_reports_figures_and_draws_them(classifier: Path, file: Path, here: Path) -> None:
    result = call("eval", classifier, file, "--json", "-o", "labels.svg")
    report = json.loads(result.stdout)
    told = [json.loads(line) for line in call("classify", classifier, file).stdout.splitlines()]
    right = sum(a["label"] == b["kind"] for a, b in zip(told, labelled(150), strict=True))
    assert report["accuracy"] == pytest.approx(right / 150)
    assert sum(map(sum, report["confusion"])) == report["texts"] == 150
    assert Path("labels.svg").stat().st_size > 1000
    shown = call("eval", classifier, file).stdout
    for words in ("macro-F1", "taken for", "told label (column)"):
        assert words in shown


def test_a_language_model_with_labels_tells_them(file: Path, here: Path) -> None:
    call("train", file, "--label-key", "kind", "--label-key", "half", *TRAIN, "--name", "run")
    assert "several labels" in the_error("classify", "run", file, status=2)
    lines = call("classify", "run", file, "--key", "half", "-k", 2).stdout.splitlines()
    assert len(lines) == 150
    for line in map(json.loads, lines):
        assert sum(each["score"] for each in line["best"]) == pytest.approx(1)


def test_what_does_not_fit_says_what_does(
    classifier: Path, run: Path, file: Path, here: Path
) -> None:
    assert "task classify" in the_error("sample", classifier)
    assert "no labels" in the_error("classify", run, file)
    assert "Give a file of texts" in the_error("embed", classifier, status=2)
    assert "contradict" in the_error("embed", classifier, file, "-c", "山", status=2)
    (here / "text.txt").write_text("春眠\n", encoding="utf-8")
    drawn = the_error("eval", run, "text.txt", "-o", "a.png", status=2)
    assert "continues a text; --out needs a run that tells the labels of texts" in drawn
    assert "none has a 'kind'" in the_error("eval", classifier, "text.txt")
    (here / "bad.jsonl").write_text('{"text": "山"}\n{"text": \n', encoding="utf-8")
    error = the_error("embed", classifier, "bad.jsonl", "-o", "v.npy")
    assert "bad.jsonl, line 2" in error
    assert not Path("v.npy").exists()
    assert [path.name for path in here.glob("*v.npy*")] == []
    (here / "empty.txt").write_text("", encoding="utf-8")
    assert "no texts" in the_error("embed", classifier, "empty.txt", "-o", "v.npy")

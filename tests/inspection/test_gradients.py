from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import chargen
from chargen.api import gradients
from chargen.cells.bptt import Weights, forwards
from chargen.corpus.prepared import PreparedCorpus
from chargen.errors import ChargenWarning, CorpusError
from chargen.inspection.gradient_plot import caption, plot_gradients
from chargen.inspection.gradients import WARM_UP, measure_gradients
from chargen.runs.folder import RunFolder
from tests.support import LEARNABLE, call, train_tiny


@pytest.fixture(scope="module")
def simple(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a simple network with one-hot input."""
    out = tmp_path_factory.mktemp("simple")
    return train_tiny(corpus, out, cell="rnn", embedding_size=0, grad_clip=1.0, max_steps=20).path


def test_norms_are_those_of_the_equations(simple: Path) -> None:
    lags = 5
    report = measure_gradients(simple, lags, positions=3)
    loaded = RunFolder(simple).load_model()
    model = loaded.model.double()
    (cell,) = model.cells
    assert isinstance(cell.b, torch.Tensor)
    assert model.V is not None
    assert model.c is not None
    tensors = (model.table.T, cell.recurrent_matrix(), cell.b, model.V, model.c)
    weights = Weights(*(each.detach().numpy() for each in tensors if each is not None))
    place = RunFolder(simple).read_places().corpus
    assert place is not None
    corpus = PreparedCorpus.open(place)
    length = WARM_UP + lags + 2
    text = corpus.val if len(corpus.val) >= length else corpus.train
    expected = []
    for start in np.linspace(0, len(text) - length, 3).astype(int):
        ids = text[start : start + length].astype(np.int64)
        read = forwards(weights, ids[:-1], ids[1:], np.zeros(len(weights.b)))
        error = read.o[-1].copy()
        error[ids[-1]] -= 1
        back, norms = weights.V.T @ error, []
        for k in range(lags + 1):
            norms.append(np.linalg.norm(back))
            back = weights.W.T @ (back * (1 - read.s[len(read.s) - 1 - k] ** 2))
        expected.append(norms)
    np.testing.assert_allclose(report.norms, np.mean(expected, axis=0), rtol=1e-3)
    quantiles = np.quantile(expected, [0.1, 0.5, 0.9], axis=0)
    np.testing.assert_allclose(report.quantiles, quantiles, rtol=1e-3)
    assert report.factor == pytest.approx((report.norms[-1] / report.norms[0]) ** (1 / lags))
    assert f"× {report.factor:.2f}" in caption([report])


def test_spectra_saturation_and_clipping_are_reported(simple: Path) -> None:
    report = measure_gradients(simple, 4)
    (spectrum,) = report.spectra
    (cell,) = RunFolder(simple).load_model().model.cells
    W = cell.recurrent_matrix()
    assert W is not None
    assert spectrum.singular_values[0] == pytest.approx(
        float(torch.linalg.matrix_norm(W.detach(), 2))
    )
    assert spectrum.spectral_radius <= spectrum.singular_values[0] * (1 + 1e-6)
    assert set(report.saturated) == {"tanh"}
    assert 0 <= report.saturated["tanh"] <= 1
    assert 0 < report.slopes["tanh"] < 1
    assert report.window == 16
    assert report.clipping.limit == 1.0
    assert len(report.clipping.steps) == len(report.clipping.clipped) > 0


@pytest.mark.parametrize(
    ("options", "reach"),
    [
        ({"cell": "feedforward"}, 0),
        ({"cell": "feedforward", "num_layers": 2}, 0),
        ({"cell": "jordan", "teacher_forcing": True}, 1),
    ],
    ids=["feedforward", "layers", "jordan"],
)
def test_a_network_without_memory_depends_on_no_earlier_state(
    corpus: Path, tmp_path: Path, options: dict[str, Any], reach: int
) -> None:
    run = train_tiny(corpus, tmp_path, max_steps=2, **options).path
    report = measure_gradients(run, 4, positions=3)
    assert [norm > 0 for norm in report.norms] == [lag == reach for lag in range(5)]
    assert report.factor == 0
    told = call("gradients", run, "--lags", 4)
    assert told.exit_code == 0
    assert "nothing reaches back so far" in told.stdout


def test_every_nonlinearity_of_a_gated_network_is_looked_at(trained: Path) -> None:
    report = measure_gradients(trained, 4)
    assert set(report.saturated) == {"sigmoid", "tanh"}
    assert len(report.spectra) == 4


def test_measuring_leaves_the_run_as_it_was(trained: Path) -> None:
    before = {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()}
    assert measure_gradients(trained, 4) == measure_gradients(trained, 4)
    assert before == {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()}


def test_several_runs_are_drawn_in_one_picture(simple: Path, trained: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    picture = tmp_path / "gradients.png"
    reports = gradients([simple, trained], lags=6, out=picture)
    assert [len(report.norms) for report in reports] == [7, 7]
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_name_that_no_font_can_draw_is_code_points(trained: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    picture = tmp_path / "gradients.png"
    report = replace(measure_gradients(trained, 4, positions=2), run="红楼梦\U000f0000")
    with pytest.warns(ChargenWarning, match="No installed font has"):
        plot_gradients([report], picture)
    assert [path.name for path in tmp_path.iterdir()] == ["gradients.png"]
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_corpus_that_was_made_anew_is_told(here: Path) -> None:
    Path("story.txt").write_text(LEARNABLE, "utf-8")
    run = train_tiny("story.txt", here / "checkpoints", max_steps=2).path
    (made,) = Path("corpora").iterdir()
    chargen.prepare("story.txt", made, vocab_size=10, force=True)
    with pytest.raises(CorpusError, match="not the corpus that run was trained on") as caught:
        measure_gradients(run, 4, positions=2)
    assert "story.txt" in caught.value.remedy


def test_the_command_prints_a_chart_or_json(simple: Path, trained: Path) -> None:
    told = call("gradients", simple, trained, "--lags", 8)
    assert told.exit_code == 0
    assert "spectral radius" in told.stdout
    assert "█" in told.stdout
    as_json = call("gradients", simple, "--lags", 8, "--json")
    (report,) = json.loads(as_json.stdout)
    assert len(report["norms"]) == 9

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from chargen.api import load
from chargen.errors import GenerationError
from chargen.generation.generator import engine_of
from chargen.generation.requests import Request
from chargen.inspection import neurons
from chargen.inspection.neurons import inspect_neurons, tracks
from chargen.inspection.page import neuron_page
from chargen.options import SamplingConfig
from tests.support import LEARNABLE, call, train_tiny

TEXT = LEARNABLE[:300]


def test_surprisal_is_what_evaluation_charges(trained: Path) -> None:
    generator = load(trained, device="cpu")
    report = inspect_neurons(generator.loaded, TEXT)
    charged = generator.score_characters(TEXT)
    np.testing.assert_allclose(report.bits, charged.nats / np.log(2), rtol=1e-4, atol=1e-5)


def test_surprisal_with_counts_is_what_evaluation_charges(corpus: Path, tmp_path: Path) -> None:
    generator = load(train_tiny(corpus, tmp_path, ngram=3).path, device="cpu")
    report = inspect_neurons(generator.loaded, TEXT)
    charged = generator.score_characters(TEXT)
    np.testing.assert_allclose(report.bits, charged.nats / np.log(2), rtol=1e-4, atol=1e-5)


def test_surprisal_of_a_record_is_what_its_writer_drew_from(tmp_path: Path) -> None:
    file = tmp_path / "lines.txt"
    file.write_text(LEARNABLE, encoding="utf-8")
    generator = train_tiny(file, tmp_path, ngram=5, records="lines").load()
    config = SamplingConfig(length=8)
    engine = engine_of(generator, slots=1, logprobs=True)
    (drawn,) = engine.generate([Request("", config, seed=3)])
    assert drawn.bits_per_char is not None
    bits = drawn.bits_per_char * drawn.characters
    text = drawn.text
    assert generator.score_characters(text).nats.sum() / np.log(2) == pytest.approx(bits, rel=1e-4)
    assert inspect_neurons(generator.loaded, text).bits.sum() == pytest.approx(bits, rel=1e-4)


def test_the_gate_tells_the_network_from_the_counts(corpus: Path, tmp_path: Path) -> None:
    generator = load(train_tiny(corpus, tmp_path, ngram=3).path, device="cpu")
    report = inspect_neurons(generator.loaded, TEXT, shown=40)
    alone = inspect_neurons(replace(generator.loaded, ngram=None), TEXT, shown=40)
    assert report.gates is not None
    assert report.gates.shape == (2, 40)
    assert alone.gates is None
    gate, own = report.gates
    assert ((gate > 0) & (gate < 1)).all()
    np.testing.assert_allclose(generator.gate_characters(TEXT)[:40], gate, rtol=1e-4)
    assert generator.gate_characters("") == []
    together, network = (np.exp2(-each.bits[:40]) for each in (report, alone))
    np.testing.assert_allclose(own, gate * network / together, rtol=1e-4)
    page = neuron_page(report)
    data = json.loads(page.split('type="application/json">')[1].split("</script>")[0])
    np.testing.assert_allclose(data["gates"], report.gates, atol=1e-3)
    with pytest.raises(GenerationError, match="without n-gram counts"):
        load(generator.path, device="cpu", ngram=False).gate_characters(TEXT)


def test_activations_are_the_outputs_after_each_character(trained: Path) -> None:
    loaded = load(trained, device="cpu").loaded
    whole = inspect_neurons(loaded, TEXT).activations
    assert whole.shape == (len(TEXT), loaded.model.config.hidden_size)
    beginning = inspect_neurons(loaded, TEXT[:40]).activations
    np.testing.assert_allclose(beginning, whole[:40], rtol=1e-4, atol=1e-5)


def test_alternatives_are_the_likeliest_first(trained: Path) -> None:
    report = inspect_neurons(load(trained, device="cpu").loaded, TEXT)
    for character, bits, alternatives in zip(TEXT, report.bits, report.alternatives, strict=True):
        shares = [share for _, share in alternatives]
        assert shares == sorted(shares, reverse=True)
        chosen = dict(alternatives).get("⏎" if character == "\n" else character)
        if chosen is not None:
            assert -np.log2(chosen) == pytest.approx(bits, abs=1e-3)


def test_what_may_be_followed_is_counted_from_the_text() -> None:
    found = {name: track.tolist() for name, track in tracks("a“b,”c.\nd").items()}
    assert found["position in the line"] == [1, 2, 3, 4, 5, 6, 7, 0, 1]
    assert found["distance to the last comma"] == [1, 2, 3, 0, 1, 2, 3, 4, 5]
    assert found["distance to the last end of a sentence"] == [1, 2, 3, 4, 5, 6, 0, 1, 2]
    assert found["inside quotation marks or brackets"] == [0, 1, 1, 1, 0, 0, 0, 0, 0]
    assert tracks('"x"')["inside quotation marks or brackets"].tolist() == [1, 1, 0]


def test_the_unit_that_follows_best_comes_first(trained: Path) -> None:
    report = inspect_neurons(load(trained, device="cpu").loaded, TEXT)
    for followed in report.followed:
        strengths = np.abs(followed.correlations)
        assert (strengths > followed.chance).all()
        assert (np.diff(strengths) <= 1e-12).all()
        track = tracks(TEXT)[followed.name]
        assert followed.occurs == (track.std() > 0)
        if followed.units:
            unit = report.activations[:, followed.units[0]]
            expected = np.corrcoef(unit, track)[0, 1]
            assert followed.correlations[0] == pytest.approx(expected)


@pytest.mark.parametrize("chunk", [1, 7, 10**6])
def test_what_is_shown_and_the_chunks_change_no_figure(
    chunk: int, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = load(trained, device="cpu").loaded
    text = TEXT[:70] + "犇é" + TEXT[:10]  # two characters of several pieces
    whole = inspect_neurons(loaded, text)
    monkeypatch.setattr(neurons, "_CHUNK", chunk)
    report = inspect_neurons(loaded, text, shown=72)
    assert len(report.alternatives) == len(report.activations) == 72
    np.testing.assert_allclose(report.activations, whole.activations[:72], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(report.bits, whole.bits, rtol=1e-4, atol=1e-5)
    for found, expected in zip(report.followed, whole.followed, strict=True):
        assert found.name == expected.name
        np.testing.assert_allclose(found.correlations, expected.correlations, rtol=1e-3)


def test_a_unit_that_does_not_move_follows_nothing(trained: Path) -> None:
    loaded = load(trained, device="cpu").loaded
    with torch.no_grad():
        for parameter in loaded.model.parameters():
            parameter.zero_()
    report = inspect_neurons(loaded, TEXT)
    assert {followed.units for followed in report.followed} == {()}


def test_a_page_shows_what_the_report_holds(trained: Path) -> None:
    page = neuron_page(inspect_neurons(load(trained, device="cpu").loaded, TEXT, shown=20))
    data = json.loads(page.split('type="application/json">')[1].split("</script>")[0])
    assert {len(data[name]) for name in ("characters", "bits", "alternatives")} == {20}


def test_the_page_needs_nothing_else_and_bears_any_text(trained: Path) -> None:
    text = TEXT + "</script><b>&amp;{{run}}"
    page = neuron_page(inspect_neurons(load(trained, device="cpu").loaded, text))
    assert page.count("</script>") == 2
    assert "http" not in page
    start = page.index('type="application/json">') + len('type="application/json">')
    data = json.loads(page[start : page.index("</script>", start)])
    assert "".join(data["characters"]) == text


def test_the_command_writes_the_page_and_tells_the_units(run: Path, here: Path) -> None:
    text = here / "text.txt"
    text.write_text(TEXT, "utf-8")
    told = call("neurons", run, text)
    assert told.exit_code == 0
    assert "position in the line" in told.stdout
    assert "does not occur in this text" in told.stdout  # no quotation marks
    assert (run / "neurons.html").read_text("utf-8").startswith("<!doctype html>")
    as_json = call("neurons", run, text, "--json", "--out", here / "page.html")
    assert json.loads(as_json.stdout)["characters"] == len(TEXT)
    assert (here / "page.html").is_file()


def chromium() -> str:
    """Where Chromium is; without one the test is skipped, or fails where it is required."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        give_up = pytest.fail if os.environ.get("CHROMIUM_REQUIRED") else pytest.skip
        give_up("there is no Chromium to open the page with")
    return found


def in_a_browser(page: str, folder: Path) -> str:
    """The document that a browser makes of a page."""
    path = folder / "neurons.html"
    path.write_text(page, "utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}"]
    opened = subprocess.run(
        [chromium(), *flags, "--dump-dom", path.as_uri()],
        capture_output=True,
        timeout=120,
        check=True,
    )
    return opened.stdout.decode("utf-8")


@pytest.mark.browser
def test_the_page_colours_by_the_gate_in_a_browser(corpus: Path, tmp_path: Path) -> None:
    report = inspect_neurons(
        load(train_tiny(corpus, tmp_path, ngram=3).path, device="cpu").loaded, TEXT
    )
    page = neuron_page(report).replace('value="unit" checked', 'value="unit"')
    document = in_a_browser(page.replace('value="gate"', 'value="gate" checked'), tmp_path)
    assert document.count("background: rgba(") > len(TEXT) / 2
    assert "orange where the network has the larger share" in document
    assert '<label id="mixed" hidden' not in document


@pytest.mark.browser
def test_the_page_comes_to_life_in_a_browser(trained: Path, tmp_path: Path) -> None:
    report = inspect_neurons(load(trained, device="cpu").loaded, LEARNABLE)
    document = in_a_browser(neuron_page(report), tmp_path)
    assert '<label id="mixed" hidden' in document
    assert document.count("<span data-n=") == len(LEARNABLE)
    assert document.count("background: rgba(") > len(LEARNABLE) / 2
    best = next(each.units[0] for each in report.followed if each.units)
    assert re.search(f'<button data-unit="{best}" title="[^"]+" aria-pressed="true">', document)
    assert document.count("<h2>") == len(report.followed)
    assert document.count("does not occur in this text</div>") == sum(
        not followed.occurs for followed in report.followed
    )

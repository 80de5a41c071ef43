from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import chargen
from chargen import api
from chargen.errors import CheckpointError, ConfigError
from chargen.inspection import plots
from tests.support import call, metrics, train_tiny


@pytest.fixture(scope="module")
def gru(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("gru")
    return train_tiny(corpus, out, cell="gru", lr=5e-3, max_steps=10).path


def other_text(folder: Path, **options: Any) -> Path:
    text = folder / "other.txt"
    text.write_text("天地玄黄，宇宙洪荒。\n" * 150, encoding="utf-8")
    made = chargen.prepare(text, folder / "other", **options)
    return train_tiny(made, folder / "runs", name="other", max_steps=3, eval_every=1).path


def test_figures_are_those_of_the_runs(trained: Path, gru: Path) -> None:
    one, two = api.compare([trained, gru]).to_dict()["runs"]
    assert (one["cell"], two["cell"]) == ("lstm", "gru")
    assert (one["steps"], two["steps"]) == (40, 10)
    for path, row in ((trained, one), (gru, two)):
        model = chargen.load(path).loaded.model
        assert row["parameters"] == sum(p.numel() for p in model.parameters())
        bits = [e["bits_per_char"] for e in metrics(path) if e["event"] == "evaluation"]
        assert (row["best_bits_per_char"], row["last_bits_per_char"]) == (min(bits), bits[-1])
        assert row["seconds"] == metrics(path)[-1]["seconds"]
        rates = [e["chars_per_second"] for e in metrics(path) if e["event"] == "step"]
        assert min(rates) <= row["chars_per_second"] <= max(rates)


def test_only_options_that_differ_are_told(trained: Path, gru: Path) -> None:
    found = api.compare([trained, gru])
    assert found.differing == {
        "cell": ("lstm", "gru"),
        "lr": (0.01, 0.005),
        "max_steps": (40, 10),
    }
    assert found.incomparable == found.notes == ()
    assert api.compare([trained]).differing == {}


def test_runs_on_different_texts_can_not_be_compared(trained: Path, here: Path) -> None:
    (line,) = api.compare([trained, other_text(here)]).incomparable
    assert "different texts" in line
    assert "other.txt" in line
    assert line.endswith("can't be compared.")


def test_runs_measured_on_different_parts_can_not_be_compared(
    trained: Path, corpus: Path, tmp_path: Path
) -> None:
    source = corpus.parent / "learnable.txt"
    made = chargen.prepare(source, tmp_path / "half", val_frac=0.5)
    run = train_tiny(made, tmp_path / "runs", max_steps=2).path
    found = api.compare([trained, run])
    (line,) = found.incomparable
    assert "different parts of the text" in line
    assert found.differing["val_frac"] == (0.1, 0.5)


def test_another_vocabulary_can_be_compared(trained: Path, corpus: Path, tmp_path: Path) -> None:
    """For bits per character charge what a small vocabulary leaves open."""
    source = corpus.parent / "learnable.txt"
    made = chargen.prepare(source, tmp_path / "few", vocab_size=8)
    found = api.compare([trained, train_tiny(made, tmp_path / "runs", max_steps=2).path])
    assert found.incomparable == ()
    assert found.differing["vocab_size"] == (3000, 8)


def test_a_run_without_validation_is_told(trained: Path, corpus: Path, tmp_path: Path) -> None:
    source = corpus.parent / "learnable.txt"
    made = chargen.prepare(source, tmp_path / "whole", val_frac=0)
    run = train_tiny(made, tmp_path / "runs", max_steps=2, name="whole").path
    found = api.compare([trained, run])
    assert found.incomparable == ()
    assert "whole has no evaluation" in found.notes[0]
    shown = call("compare", trained, run)
    assert "training, bits per piece, over steps" in shown.stdout


def test_losses_with_and_without_counts_are_no_figures_of_one_kind(
    trained: Path, corpus: Path, tmp_path: Path
) -> None:
    runs = [
        train_tiny(corpus, tmp_path, name=name, ngram=order, **options).path
        for name, order, options in (
            ("counted", 2, {"max_steps": 1}),
            ("alone", 0, {"max_steps": 1}),
            ("long", 2, {"eval_every": 5}),
        )
    ]
    (note,) = api.compare(runs[:2]).notes
    assert "with n-gram counts (counted) is the mean" in note
    assert api.compare([runs[0], runs[2]]).notes == ()
    assert api.compare([trained, runs[2]]).notes == ()  # those are compared by validation


def test_runs_of_one_name_are_told_apart(trained: Path, tmp_path: Path) -> None:
    other = shutil.copytree(trained, tmp_path / "run")
    assert [run.name for run in api.compare([trained, other]).runs] == [str(trained), str(other)]


def test_lists_are_told_as_names(trained: Path, tmp_path: Path) -> None:
    texts = tmp_path / "texts.jsonl"
    lines = [json.dumps({"text": "春眠不觉晓。", "author": n, "form": n}) + "\n" for n in "ab"]
    texts.write_text("".join(lines) * 60, encoding="utf-8")
    labelled = train_tiny(texts, tmp_path, label_key=("author", "form"), max_steps=1).path
    shown = call("compare", trained, labelled).stdout
    assert ["label_key", "–", "author,", "form"] in [row.split() for row in shown.splitlines()]


def test_from_the_command_line(trained: Path, gru: Path, here: Path) -> None:
    other = other_text(here)
    shown = call("compare", trained, other, trained, "--over", "minutes")
    assert shown.exit_code == 0, shown.output
    assert "validation, bits per character, over minutes" in shown.stdout
    assert all(mark in shown.stdout for mark in "123")
    assert "can't be compared" in call("compare", trained, other, "-q").stdout
    report = json.loads(call("compare", trained, gru, other, "--json").stdout)
    assert not report["comparable"]
    assert [run["name"] for run in report["runs"]] == [str(trained), str(gru), "other"]


def test_the_picture_is_that_of_plot_over_one_axis(
    trained: Path, gru: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    figures: list[Any] = []
    monkeypatch.setattr(plots, "save_figure", lambda figure, out: figures.append(figure))
    api.compare([trained, gru], over="minutes", out="curves.png")
    api.plot([trained, gru])
    (axes,), both = figures[0].axes, figures[1].axes
    assert axes.get_xlabel() == both[1].get_xlabel() == "minutes of training"
    for one, two in zip(axes.get_lines(), both[1].get_lines(), strict=True):
        assert one.get_xydata().tolist() == two.get_xydata().tolist()
    api.compare([trained, other_text(here)], out="curves.png")
    assert "can't be compared" in figures[2].get_suptitle()


def test_what_can_not_be_compared_at_all(trained: Path, here: Path) -> None:
    with pytest.raises(ConfigError, match="'hours', not one of steps, minutes"):
        api.compare([trained], over="hours")
    with pytest.raises(CheckpointError, match="nope"):
        api.compare([trained, "nope"])


def test_another_task_has_other_figures(here: Path) -> None:
    (here / "lines.txt").write_text("天地玄黄，宇宙洪荒。\n" * 50, encoding="utf-8")
    made = chargen.prepare(here / "lines.txt", here / "lines", records="lines")
    writes = train_tiny(made, here, name="writes", max_steps=2).path
    fills = train_tiny(made, here, name="fills", task="infill", max_steps=2).path
    found = api.compare([writes, fills]).incomparable
    assert any("different tasks (writes: lm; fills: infill)" in line for line in found)

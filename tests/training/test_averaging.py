"""Averages of runs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

import chargen
from chargen.errors import CheckpointError, ConfigError
from chargen.network.averaging import averaged
from chargen.runs.finding import runs_named
from chargen.runs.folder import RunFolder
from tests.support import TRAIN, call, the_error, train_tiny

MIXED = {"ngram": 2, "hidden_size": 32, "max_steps": 40}


@pytest.fixture(scope="module")
def runs(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of runs: two alike but for their seeds, with counts, and one of other units."""
    folder = tmp_path_factory.mktemp("runs")
    for name, options in {"a": {"seed": 1}, "b": {"seed": 2}, "wide": {"hidden_size": 48}}.items():
        train_tiny(corpus, folder, name=name, **{**MIXED, **options})
    return folder


def test_an_average_is_a_run_that_predicts_better(runs: Path, corpus: Path) -> None:
    made = chargen.average(["a", "b"], name="both", runs_dir=runs)
    assert made.path == runs / "both"
    assert made.bits_per_char is not None
    assert list(made.runs) == ["a", "b"]
    assert made.bits_per_char < sum(bits for bits in made.runs.values() if bits) / 2
    model = chargen.load("both", runs_dir=runs)
    loaded = [RunFolder(runs / name).load_model() for name in "ab"]
    whole = averaged([each.model for each in loaded])
    for name, tensor in model.loaded.model.state_dict().items():
        if name not in ("w", "b"):  # the gate is set right
            assert torch.equal(tensor, whole.get_parameter(name))
    val = loaded[0].tokenizer.decode(chargen.PreparedCorpus.open(corpus).val)
    assert model.score(val).bits_per_char == pytest.approx(made.bits_per_char, abs=1e-6)
    assert len(model.generate(length=20)[0]) == 20
    summary = chargen.inspect("both", runs_dir=runs)
    assert isinstance(summary, chargen.RunSummary)
    assert summary.problems == ()
    assert [run.name for run in summary.config.averaged] == ["a", "b"]
    assert summary.config.one_of_averaged == loaded[0].config
    assert summary.bits_per_char == made.bits_per_char


def test_the_runs_of_a_sweep_are_averaged(corpus: Path, here: Path) -> None:
    swept = call("sweep", corpus, *TRAIN, "--ngram", 2, "--seeds", 2)
    assert "chargen average checkpoints/sweep makes one run of them." in swept.output
    done = call("average", "sweep")
    assert done.exit_code == 0, done.output
    made = Path(done.stdout.strip())
    assert made == Path("checkpoints/learnable-average-1")
    assert "average of  seed=0, seed=1" in call("inspect", made).stdout
    names = [f"sweep/seed={n}" for n in (0, 1)]
    told = json.loads(call("average", *names, "--name", "x", "--json").stdout)
    assert list(told) == ["path", "bits_per_char", "runs", "notes"]
    assert told["path"] == str(Path("checkpoints/x"))
    compared = json.loads(call("compare", names[0], "x", "--json").stdout)
    assert compared["differing"]["average_of"] == [None, "seed=0, seed=1"]
    assert compared["runs"][1]["best_bits_per_char"] == told["bits_per_char"]
    assert compared["notes"] == ["x has no record of its training."]
    assert "exists already" in the_error("average", "sweep", "--name", "x")
    assert "is an average itself" in the_error("average", names[0], "x")
    call("export", "x", "--to", "hub", "--license", "cc0-1.0", "-o", "hub")
    assert "chargen average seed=0 seed=1" in (here / "hub" / "README.md").read_text("utf-8")


def test_without_its_corpus_an_average_is_not_measured(runs: Path, here: Path) -> None:
    copies = [copied(runs / name, here / name) for name in "ab"]
    made = chargen.average(copies, runs_dir=here)
    assert made.bits_per_char is None
    assert made.notes == ("The average wasn't measured: the runs don't say where their corpus is.",)
    assert chargen.load(made.path).generate(length=5)
    assert chargen.average([copies[0], runs / "b"], runs_dir=here).bits_per_char is not None


def copied(run: Path, to: Path) -> Path:
    """A copy of what sampling needs of a run."""
    to.mkdir()
    for name in ("config.json", "tokenizer.model", "model.safetensors", "ngram.safetensors"):
        (to / name).write_bytes((run / name).read_bytes())
    return to


def test_a_run_is_meant_before_a_folder_of_runs(runs: Path, here: Path) -> None:
    run = copied(runs / "a", here / "x")
    (here / "checkpoints" / "x").mkdir(parents=True)
    for name in ("b", "wide"):
        copied(runs / name, here / "checkpoints" / "x" / name)
    assert runs_named("x", here / "checkpoints") == [run.relative_to(here)]
    assert [found.name for found in runs_named("checkpoints/x", here)] == ["b", "wide"]
    for nothing in ("", "y", "a\0b", "x" * 400):
        with pytest.raises(CheckpointError):
            chargen.average([nothing])


def test_what_cannot_be_averaged_is_refused(runs: Path, corpus: Path, tmp_path: Path) -> None:
    text = corpus.parent / "learnable.txt"
    for seed in (1, 2):
        train_tiny(corpus, tmp_path, name=f"j{seed}", cell="jordan", seed=seed)
    train_tiny(text, tmp_path, name="whole", **MIXED, val_frac=0)
    shutil.copytree(runs / "a", tmp_path / "same")
    for given, error, problem in (
        ([], ConfigError, "two or more runs"),
        (["a"], ConfigError, "two or more runs"),
        (["a", "a"], CheckpointError, "a and .*a have the same weights"),
        (["a", tmp_path / "same"], CheckpointError, "same and .*a have the same weights"),
        (["a", "wide"], CheckpointError, "differ in hidden_size: 48 and 32"),
        (["a", tmp_path / "whole"], CheckpointError, "different texts, or have split them"),
        ([tmp_path / "j1", tmp_path / "j2"], CheckpointError, "of the cell jordan can't be"),
    ):
        with pytest.raises(error, match=problem):
            chargen.average(given, runs_dir=runs)
    assert not list(runs.glob("*average*"))


def test_what_should_be_known_of_an_average_is_said(
    runs: Path, corpus: Path, tmp_path: Path
) -> None:
    bad = train_tiny(corpus, tmp_path, name="bad", **{**MIXED, "max_steps": 2}).path
    (bad / "metrics.jsonl").write_text("", "utf-8")
    notes = chargen.average([runs / "a", bad], runs_dir=tmp_path).notes
    assert notes == (
        f"{bad} has not been trained to its end.",
        "a alone predicts better than the average.",
    )

"""Averages of runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import chargen
from chargen.errors import CheckpointError, ConfigError
from chargen.network.averaging import averaged
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
    assert list(told) == ["path", "bits_per_char", "runs", "note"]
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
    from chargen.runs.places import Places

    copy = here / "copy"
    copy.mkdir()
    for file in (runs / "a").iterdir():
        if file.is_file():
            (copy / file.name).write_bytes(file.read_bytes())
    Places().write(copy, copy)
    made = chargen.average([copy, runs / "b"], runs_dir=here)
    assert made.bits_per_char is None
    assert made.note == f"{copy} doesn't say where its corpus is"
    assert chargen.load(made.path).generate(length=5)


def test_what_cannot_be_averaged_is_refused(runs: Path, corpus: Path, tmp_path: Path) -> None:
    for given in (["a"], ["a", "a"]):
        with pytest.raises(ConfigError, match="two or more different runs"):
            chargen.average(given, runs_dir=runs)
    with pytest.raises(CheckpointError, match="differ in hidden_size: 48 and 32"):
        chargen.average(["a", "wide"], runs_dir=runs)
    for seed in (1, 2):
        train_tiny(corpus, tmp_path, name=f"j{seed}", cell="jordan", seed=seed)
    with pytest.raises(ConfigError, match="of the kind jordan"):
        chargen.average(["j1", "j2"], runs_dir=tmp_path)
    assert not list(tmp_path.glob("*average*"))

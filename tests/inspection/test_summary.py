from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import pytest

import chargen
from chargen.errors import CheckpointError, CorpusError
from chargen.inspection.corpora import CorpusSummary
from chargen.inspection.summary import RunSummary
from chargen.runs.folder import RunFolder
from tests.support import call, metrics, train_tiny


def run_summary(path: Path) -> RunSummary:
    found = chargen.inspect(path)
    assert isinstance(found, RunSummary)
    return found


def test_a_run_tells_what_it_is(trained: Path) -> None:
    found = run_summary(trained)
    loaded = RunFolder(trained).load_model()
    assert found.problems == found.notes == ()
    assert found.config == loaded.config
    assert sum(found.parameters.values()) == sum(p.numel() for p in loaded.model.parameters())
    assert found.weights_sha256 == loaded.weights_sha256
    assert found.history.steps == found.config.total_steps == 40
    assert found.history.reason == "done"
    evaluations = [line for line in metrics(trained) if line["event"] == "evaluation"]
    assert found.history.evaluations == tuple((e["step"], e["bits_per_char"]) for e in evaluations)
    assert found.history.best_bits_per_char == min(e["bits_per_char"] for e in evaluations)
    assert found.step_of_best in [e["step"] for e in evaluations]
    assert json.loads(json.dumps(found.to_dict()))["kind"] == "run"


def test_damage_is_listed(run: Path) -> None:
    (run / "model.safetensors").write_bytes(b"short")
    with (run / "metrics.jsonl").open("ab") as file:
        file.write(b"rubbish\n")
    found = run_summary(run)
    assert len(found.problems) == 2
    assert "model.safetensors" in found.problems[0]
    assert "metrics.jsonl" in found.problems[1]
    assert found.weights_sha256 is None


def test_a_run_without_its_corpus_is_whole(corpus: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(corpus, tmp_path / "copy")
    run = train_tiny(copy, tmp_path / "out", max_steps=2).path
    shutil.rmtree(copy)
    found = run_summary(run)
    assert found.problems == ()
    assert len(found.notes) == 1
    assert "Resuming needs the corpus" in found.notes[0]


def test_three_files_are_a_run(trained: Path, tmp_path: Path) -> None:
    for name in ("config.json", "tokenizer.model", "model.safetensors"):
        shutil.copy(trained / name, tmp_path)
    found = run_summary(tmp_path)
    assert found.problems == ()
    assert found.history.evaluations == ()


def test_a_corpus_tells_what_it_is(corpus: Path) -> None:
    found = chargen.inspect(corpus)
    assert isinstance(found, CorpusSummary)
    assert found.problems == ()
    assert json.loads(json.dumps(found.to_dict()))["kind"] == "corpus"


def test_a_damaged_corpus_lists_its_problems(corpus: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(corpus, tmp_path / "copy"))
    content = bytearray((copy / "val.bin").read_bytes())
    content[0] ^= 1
    (copy / "val.bin").write_bytes(content)
    (problem,) = chargen.inspect(copy).problems
    assert "val.bin" in problem
    (copy / "val.bin").unlink()
    assert chargen.inspect(copy).problems == ("val.bin is missing",)
    (copy / "manifest.json").write_bytes(b"torn")
    with pytest.raises(CorpusError, match=r"manifest\.json is damaged"):
        chargen.inspect(copy)


def test_something_else_is_told(here: Path) -> None:
    with pytest.raises(CheckpointError, match="not a chargen run"):
        chargen.inspect(here)
    with pytest.raises(CheckpointError, match="no run in"):
        chargen.inspect(runs_dir=here / "none")


def test_matrices_have_the_names_and_shapes_of_the_equations(corpus: Path, tmp_path: Path) -> None:
    simple = {"cell": "rnn", "embedding_size": 0, "hidden_size": 20, "max_steps": 1}
    one_hot = chargen.inspect(train_tiny(corpus, tmp_path / "a", **simple).path)
    assert isinstance(one_hot, chargen.RunSummary)
    size = one_hot.config.model.vocab_size
    assert one_hot.shapes == {
        "table": {"Uᵀ": (size, 20)},
        "layer 0": {"b": (20,), "W": (20, 20)},
        "output": {"V": (size, 20), "c": (size,)},
    }
    tied = {"cell": "lstm", "embedding_size": 8, "hidden_size": 12, "num_layers": 2}
    run = train_tiny(corpus, tmp_path / "b", tie_weights=True, max_steps=1, **tied)
    deep = chargen.inspect(run.path)
    assert isinstance(deep, chargen.RunSummary)
    assert deep.shapes["layer 0"] == {"U": (48, 8), "b": (48,), "W": (48, 12)}
    assert deep.shapes["layer 1"]["U"] == (48, 12)
    assert deep.shapes["output"] == {"P": (8, 12), "c": (size,)}
    for part, count in deep.parameters.items():
        assert sum(math.prod(shape) for shape in deep.shapes[part].values()) == count
    shown = call("inspect", run.path).stdout
    assert "U 48 × 8, b 48, W 48 × 12" in shown
    assert "V = embedding · P" in shown

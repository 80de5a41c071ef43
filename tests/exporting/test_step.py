"""A step in ONNX is the model's own, for every cell."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import chargen
from chargen.exporting.onnx_file import graph_of_step
from chargen.exporting.step import traced_step
from chargen.exporting.tracing import trace
from chargen.network.model import CharModel
from tests.cells.cases import CASES
from tests.exporting.blocks import README, blocks
from tests.support import call, files_in, small_model, the_error, train_tiny

onnxruntime = pytest.importorskip("onnxruntime", reason="the extra dev has onnxruntime")
STEPS = 200
WITH_ALL = [
    {"cell": "lstm", "num_layers": 3},
    {"cell": "rnn,clockwork,gru", "num_layers": 3},
    {"cell": "gru", "embedding_size": 0},
    {"cell": "lstm", "tie_weights": True},
    {"cell": "peephole", "ngram": "3"},
    {"cell": "gru", "records": True, "labels": 4},
    {"cell": "mingru", "records": True, "labels": 4, "embedding_size": 0},
]


def session_of(content: bytes) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def stepped(session: Any, ids: torch.Tensor, labels: Any) -> Iterator[dict[str, Any]]:
    """The outputs after each row of ids (T, B)."""
    zeros = {"tensor(int64)": np.int64, "tensor(float)": np.float32}
    feed = {
        each.name: np.zeros([ids.shape[1], *each.shape[1:]], zeros[each.type])
        for each in session.get_inputs()
    }
    if labels is not None:
        feed["labels"] = labels.numpy()
    names = [each.name for each in session.get_outputs()]
    for row in ids:
        found = dict(zip(names, session.run(None, {**feed, "ids": row.numpy()}), strict=True))
        yield found
        feed |= {f"state{n[4:]}": x for n, x in found.items() if n.startswith("next")}


@pytest.mark.parametrize("options", [*CASES, *WITH_ALL])
def test_a_step_is_the_model_s_own(options: dict[str, Any]) -> None:
    model = small_model(**options).float()
    session = session_of(graph_of_step(traced_step(model)).to_bytes("step", {}))
    for rows in (1, 5):
        ids = torch.randint(0, 11, (STEPS, rows), generator=torch.Generator().manual_seed(rows))
        labels = torch.rand(rows, 4) if model.R is not None else None
        with torch.no_grad():
            s, _ = model(ids, model.initial_state(rows), None, labels)
            expected = model.logits(s)
            gates = model.gate(s.flatten(0, 1)).view(STEPS, rows, 1) if model.w is not None else s
        for t, found in enumerate(stepped(session, ids, labels)):
            np.testing.assert_allclose(found["logits"], expected[t], atol=2e-5)
            if "gate" in found:
                np.testing.assert_allclose(found["gate"], gates[t], atol=1e-5)


def test_weights_are_shared_and_stand_once_in_the_file() -> None:
    model = small_model(vocab_size=400, tie_weights=True, hidden_size=16).float()
    content = graph_of_step(traced_step(model)).to_bytes("step", {})
    assert len(content) < 4 * sum(each.numel() for each in model.parameters()) + 5000
    assert content == graph_of_step(traced_step(model)).to_bytes("step", {})


def test_what_can_not_be_exported_is_named() -> None:
    with pytest.raises(NotImplementedError, match="cumsum"):
        trace(lambda given: {"y": given["x"].cumsum(1)}, {"x": torch.ones(2, 3)}, {})


def test_the_folder_describes_itself(trained: Path, tmp_path: Path) -> None:
    folder = chargen.export(trained, tmp_path / "onnx", to="onnx")
    assert sorted(path.name for path in folder.iterdir()) == ["model.onnx", "tokenizer.json"]
    table = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    session = session_of((folder / "model.onnx").read_bytes())
    told = session.get_modelmeta().custom_metadata_map
    assert told["chargen"] == chargen.__version__
    assert json.loads(told["tokenizer"]) == table
    assert table["pieces"][int(told["newline"])] == "\n"
    tokenizer = chargen.load(trained).loaded.tokenizer
    text = "春眠 不觉晓\n"
    kept = [c for c in text if c in table["pieces"]]
    ids = [table["pieces"].index(c) for c in kept]
    assert tokenizer.encode("".join(kept)).tolist() == ids
    assert set(table["never"]) == set(np.flatnonzero(tokenizer.never_sampled).tolist())
    assert [tokenizer.byte_values[n] for n in table["bytes"]] == list(range(len(table["bytes"])))


@pytest.fixture(scope="module")
def counted(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with counts; only to be read."""
    return train_tiny(corpus, tmp_path_factory.mktemp("runs"), ngram=3, max_steps=40).path


def test_the_readme_s_python_writes_the_engine_s_texts(
    counted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(chargen.export(counted, tmp_path / "onnx", to="onnx"))
    step, counts, *_ = blocks("python")
    said = re.search(r"`chargen sample --no-ngram (--temp 0[^`]*)`", README.read_text("utf-8"))
    assert said is not None
    for prompt in ("春", "不春不春不春不"):
        space: dict[str, Any] = {}
        exec(step, space)
        text = space["write"](prompt, 60)
        flags = ("--no-ngram", *said[1].split(), "--prompt", prompt, "-n", 60, "-q")
        assert call("sample", counted, *flags).stdout == f"{prompt}{text}\n"
    exec(counts, space)
    loaded = chargen.load(counted, device="cpu").loaded
    assert loaded.ngram is not None
    ids = loaded.tokenizer.encode("春眠不觉晓，处晓\n犇").tolist()
    state, own = [-1, -1], loaded.ngram.initial_state(1)
    for piece in [loaded.tokenizer.newline_id, *ids]:
        state = space["advance"](state, piece)
        own = loaded.ngram.advance(own, np.array([piece]))
        np.testing.assert_allclose(space["row"](state), loaded.ngram.row(own)[0], rtol=1e-5)
    assert space["mixed"](space["read"](ids[0]), state).sum() == pytest.approx(1, abs=1e-5)


def test_the_readme_s_javascript_writes_the_engine_s_text(counted: Path, tmp_path: Path) -> None:
    """Where Node is, and NODE_MODULES names a folder with onnxruntime-web."""
    modules = os.environ.get("NODE_MODULES")
    if shutil.which("node") is None or modules is None:
        pytest.skip("there is no Node with onnxruntime-web")
    folder = chargen.export(counted, tmp_path / "onnx", to="onnx")
    (folder / "node_modules").symlink_to(modules)
    (code,) = blocks("js")
    (folder / "write.mjs").write_text(code, "utf-8")
    done = subprocess.run(["node", "write.mjs"], cwd=folder, capture_output=True, check=True)
    model = chargen.load(counted, device="cpu", ngram=False)
    alone = model.generate(temperature=0, loop_penalty=0, length=40)[0]
    assert done.stdout.decode("utf-8") == alone + "\n"


def test_a_task_that_writes_nothing_is_refused(tmp_path: Path, here: Path) -> None:
    text = tmp_path / "x.csv"
    text.write_text("text,label\n" + "春眠不觉晓,a\n处处闻啼鸟,b\n" * 9, "utf-8")
    run = train_tiny(text, tmp_path, task="classify", label_key="label", max_steps=1)
    for form in ("onnx", "page"):
        wrong = the_error("export", run.path, "--to", form)
        assert "has learnt the task classify, which isn't exported" in wrong
        assert "lm, seq2seq, infill" in wrong
    assert not list(here.glob("*-onnx"))


def test_labels_are_an_input(corpus: Path) -> None:
    model = CharModel(small_model(records=True, labels=4).config)
    model.reset_parameters(0)
    step = traced_step(model)
    assert list(step.inputs) == ["ids", "state.0.0", "state.0.1", "labels"]


def test_the_command_makes_a_folder_once(trained: Path, here: Path) -> None:
    made = call("export", trained, "-o", "x")
    assert made.stdout == "x\n"
    assert "model.onnx" in made.stderr
    assert "exists already" in the_error("export", trained, "-o", "x", status=2)
    assert call("export", trained, "-o", "x", "--force").exit_code == 0
    assert call("export", trained).stdout == f"{trained.name}-onnx\n"


def test_only_an_export_is_replaced(run: Path, here: Path) -> None:
    (here / "mine").mkdir()
    (here / "mine" / "notes.txt").write_text("keep me", "utf-8")
    wrong = the_error("export", run, "-o", "mine", "--force", status=2)
    assert "is no export, and isn't replaced" in wrong
    hub = chargen.export(run, here / "hub", to="hub", license="mit")
    for folder in (run, hub):
        before = files_in(folder)
        assert "isn't replaced" in the_error("export", folder, "-o", folder, "--force", status=2)
        assert files_in(folder) == before
    (hub / ".git").mkdir()  # a clone of what was put on a hub, for one
    again = ("export", run, "--to", "hub", "--license", "mit", "-o", hub, "--force")
    assert "holds '.git', which no export makes" in the_error(*again, status=2)
    (hub / ".git").rmdir()
    assert call(*again).exit_code == 0
    (here / "empty").mkdir()
    assert call("export", run, "-o", "empty", "--force").exit_code == 0


def test_without_the_counts_there_is_no_gate(counted: Path, tmp_path: Path) -> None:
    folder = chargen.export(counted, tmp_path / "x", ngram=False)
    assert sorted(path.name for path in folder.iterdir()) == ["model.onnx", "tokenizer.json"]
    session = session_of((folder / "model.onnx").read_bytes())
    assert "gate" not in {each.name for each in session.get_outputs()}


def test_options_of_another_form_are_errors(trained: Path, here: Path) -> None:
    wrong = the_error("export", trained, "--license", "x", "--weights", "float16", status=2)
    assert "--license is for --to hub" in wrong
    assert "--weights is for --to page" in wrong
    assert "--to hub needs a --license" in the_error("export", trained, "--to", "hub", status=2)
    assert list(here.iterdir()) == []


def test_a_missing_package_is_named(
    trained: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert "needs the package onnx" in the_error("export", trained)
    assert list(here.iterdir()) == []

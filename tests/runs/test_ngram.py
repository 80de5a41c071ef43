"""Runs with n-gram counts: their file, what loads it, and what needs it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import chargen
from chargen.corpus.prepared import PreparedCorpus
from chargen.corpus.windows import Windows
from chargen.errors import ConfigError
from chargen.ngrams import count, leave_one_out, score
from chargen.options import ModelConfig
from chargen.runs.folder import RunFolder
from chargen.runs.ngram import read_ngram
from chargen.training.counts import Counts
from chargen.training.plan import TrainRequest, new_run
from tests.runs.damage import change_json, rewrite, the_error
from tests.support import LEARNABLE, call, train_tiny

SAMPLED = {"seed": 3, "length": 40}


@pytest.fixture(scope="module")
def counted(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run with counts; only to be read."""
    return train_tiny(corpus, tmp_path_factory.mktemp("counted"), ngram=3).path


@pytest.fixture
def copied(counted: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(counted, tmp_path / "run"))


def test_four_files_are_enough_to_sample(counted: Path, tmp_path: Path) -> None:
    for name in ("config.json", "tokenizer.model", "model.safetensors", "ngram.safetensors"):
        shutil.copy(counted / name, tmp_path)
    one, two = chargen.load(counted), chargen.load(tmp_path)
    assert one.generate(**SAMPLED) == two.generate(**SAMPLED)
    assert one.identity() == two.identity()
    assert one.identity()["ngram_sha256"] == one.loaded.ngram_sha256


def test_a_run_appears_with_its_counts(corpus: Path, tmp_path: Path) -> None:
    request = TrainRequest(corpus, tmp_path, "tiny", name="run", model={"ngram": "3"})
    made = new_run(request)
    assert (made.folder.path / "ngram.safetensors").exists()
    assert made.state is not None
    assert made.counts is not None
    assert made.state.seconds == made.counts.seconds > 0


def test_the_counts_are_those_of_the_training_split(counted: Path, corpus: Path) -> None:
    prepared = PreparedCorpus.open(corpus)
    found, _ = read_ngram(counted, RunFolder(counted).read_config().model)
    newline = prepared.tokenizer.newline_id
    whole = count(prepared.train, prepared.tokenizer.size, 3, newline)
    assert found is not None
    assert (found.order, found.newline) == (3, newline)
    if not found.dropped_from:
        np.testing.assert_array_equal(score(found, prepared.val), score(whole, prepared.val))


def test_without_counts_it_is_the_network_alone(counted: Path) -> None:
    both, alone = chargen.load(counted), chargen.load(counted, ngram=False)
    assert alone.loaded.ngram is None
    assert "ngram_sha256" not in alone.identity()
    assert both.score(LEARNABLE[:500]).nats < alone.score(LEARNABLE[:500]).nats
    assert both.generate(**SAMPLED) != alone.generate(**SAMPLED)


def test_the_score_of_network_and_counts_is_not_that_of_the_network(counted: Path) -> None:
    assert chargen.load(counted).loaded.bits_per_char is not None
    assert chargen.load(counted, ngram=False).loaded.bits_per_char is None
    assert chargen.inspect(counted).bits_per_char is not None
    assert chargen.inspect(counted, ngram=False).bits_per_char is None
    sampled = "sample", counted, "--length", 5, "--device", "cpu"
    assert "bits per character" in call(*sampled).stderr
    alone = call(*sampled, "--no-ngram", "--best-of", 2)
    assert alone.exit_code == 0
    assert "bits per character" not in alone.stderr


def test_the_command_line_asks_for_the_network_alone(counted: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text(LEARNABLE[:300], encoding="utf-8")
    (tmp_path / "jobs.txt").write_text("春\n", encoding="utf-8")
    for commanded in (
        ["inspect", counted],
        ["eval", counted, text, "--json"],
        ["neurons", counted, text, "--json", "-o"],
        ["sample", counted, "--seed", 1, "-n", 30],
        ["batch", tmp_path / "jobs.txt", "--checkpoint", counted, "-n", 30, "--force", "-o"],
    ):
        outputs = []
        for n, flags in enumerate(([], ["--no-ngram"])):
            out = [tmp_path / f"{n}.jsonl"] if commanded[-1] == "-o" else []
            result = call(*commanded, *out, *flags)
            assert result.exit_code == 0, result.stderr
            outputs.append(out[0].read_text("utf-8") if out else result.stdout)
        assert outputs[0] != outputs[1]


@pytest.mark.parametrize(
    "damage",
    [
        *("missing", "torn", "changed", "other order", "no facts"),
        *("other size", "huge", "link", "memory"),
    ],
)
def test_damage_is_reported(
    copied: Path, damage: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = copied / "ngram.safetensors"
    if damage == "missing":
        path.unlink()
    elif damage == "torn":
        path.write_bytes(path.read_bytes()[:-3])
    elif damage == "changed":
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
    elif damage == "other order":
        change_json(copied / "config.json", lambda c: c["model"].update(ngram="4"))
    elif damage == "other size":
        rewrite(path, lambda tensors: tensors["facts"].add_(torch.tensor([1, 0, 0])))
    elif damage == "huge":
        rewrite(path, lambda tensors: tensors["continuations.large"].fill_(-1))
        rewrite(path, lambda tensors: tensors["levels"].fill_(2**62))
    elif damage == "link":
        shutil.move(path, tmp_path / "elsewhere")
        path.symlink_to(tmp_path / "elsewhere")
    elif damage == "memory":
        monkeypatch.setattr("chargen.runs.expected_tensors.usable_bytes", lambda: 1000)
    else:
        rewrite(path, lambda tensors: tensors.pop("facts"))
    assert damage == "memory" or "ngram.safetensors" in the_error(copied).message
    assert RunFolder(copied).verify() != []
    if damage not in ("other order", "memory"):
        assert RunFolder(copied).verify(ngram=False) == []
        assert chargen.load(copied, ngram=False).loaded.ngram is None


def test_inspect_shows_the_counts(counted: Path) -> None:
    result = call("inspect", counted)
    assert "n-grams of up to 3 pieces" in result.stdout
    found = json.loads(call("inspect", counted, "--json").stdout)
    assert found["ngram"]["bytes"] == (counted / "ngram.safetensors").stat().st_size
    assert found["model"]["ngram"] == "3"
    assert found["parameters"]["gate"] == 33


def test_a_lost_file_of_counts_comes_back_on_resume(copied: Path, corpus: Path) -> None:
    path = copied / "ngram.safetensors"
    before = path.read_bytes()
    path.unlink()
    train_tiny(corpus, copied.parent, resume=True, max_steps=21)
    assert path.read_bytes() == before


def test_the_order_of_a_run_stands(copied: Path, corpus: Path) -> None:
    with pytest.raises(ConfigError, match="`ngram` is 4, but the run was begun with 3"):
        train_tiny(corpus, copied.parent, resume=True, ngram=4)
    train_tiny(corpus, copied.parent, resume=True, ngram="auto", max_steps=21)


@pytest.mark.parametrize("options", [{}, {"ngram": 0}, {"ngram": 2}, {"ngram": "auto"}])
def test_a_run_may_begin_with_weights_of_one_with_counts(
    counted: Path, corpus: Path, tmp_path: Path, options: dict[str, Any]
) -> None:
    run = train_tiny(corpus, tmp_path, init_from=counted, max_steps=1, **options)
    order = RunFolder(run.path).read_config().model.ngram_order
    assert order == {0: 0, 2: 2, "auto": 8}.get(options.get("ngram", ""), 3)
    assert run.load().loaded.ngram is None if order == 0 else run.load().loaded.ngram


def test_a_run_with_counts_may_begin_with_weights_of_one_without(
    trained: Path, corpus: Path, tmp_path: Path
) -> None:
    run = train_tiny(corpus, tmp_path, init_from=trained, max_steps=1, ngram=2)
    assert run.load().loaded.ngram is not None


def test_presets_decide_and_options_override(corpus: Path, tmp_path: Path) -> None:
    def order(name: str, **options: Any) -> str:
        run = train_tiny(corpus, tmp_path, name=name, max_steps=1, **options)
        return RunFolder(run.path).read_config().model.ngram

    small = {"hidden_size": 8, "batch_size": 2, "seq_length": 8}
    assert order("a") == "0"
    assert order("b", preset="small", **small) == "8"
    assert order("c", preset="small", cell="jordan", **small) == "0"
    assert order("d", ngram="auto") == "8"
    assert not (tmp_path / "a" / "ngram.safetensors").exists()


@pytest.mark.parametrize("value", [-1, 17, "many", "03", 2.5])
def test_an_impossible_order_is_reported(value: object, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"`ngram` is .*(auto, or 0 to 16|a string)"):
        train_tiny(None, tmp_path, ngram=value)


def test_counts_and_a_network_that_is_fed_its_output_are_a_conflict(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="fed the output"):
        train_tiny(None, tmp_path, ngram=3, cell="jordan")


@pytest.mark.parametrize("longest", [1 << 27, 100])
def test_positions_are_scored_without_themselves(
    longest: int, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chargen.training.counts._LONGEST", longest)
    prepared = PreparedCorpus.open(corpus)
    ids, tokenizer = prepared.train, prepared.tokenizer
    model = ModelConfig(vocab_size=tokenizer.size, ngram="3")
    counts = Counts.of(prepared, model)
    assert counts.ngram is not None
    assert counts.counted is not None
    whole = count(ids, tokenizer.size, 3, tokenizer.newline_id)
    wanted = leave_one_out(whole, ids, drop_from=counts.ngram.dropped_from).astype(np.float32)
    for seed in (None, 1):
        windows = Windows(ids, 4, 8, tokenizer.newline_id, seed)
        last = windows.steps_per_epoch - 1
        for step in (0, 1, last, last + 1, *range(2 * last, 3 * last), 1000, 0):
            found = counts.counted.of_window(windows, step)
            np.testing.assert_array_equal(found, windows.of_targets(wanted, step))
    assert Counts.of(prepared, ModelConfig(vocab_size=tokenizer.size)).ngram is None


def test_the_network_of_a_run_without_counts_is_what_it_was(trained: Path) -> None:
    assert not set(torch.nn.Module.state_dict(chargen.load(trained).loaded.model)) & {"w", "b"}

"""The folder for a hub is a run, and its card tells how it was made."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import torch
from numpy.testing import assert_array_equal

import chargen
from chargen.corpus.tokenizer import Tokenizer
from chargen.exporting.language import language_of
from chargen.ngrams import to_arrays, without_singletons
from tests.support import LEARNABLE, call, train_tiny

yaml = pytest.importorskip("yaml", reason="the extra bench has PyYAML")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("texts")
    (folder / "poem 1.txt").write_text(LEARNABLE, encoding="utf-8")
    return folder / "poem 1.txt"


@pytest.fixture(scope="module")
def run(source: Path) -> Path:
    """A run with counts and options of its own; only to be read."""
    corpus = chargen.prepare(source, source.parent / "poem", vocab_size=20, oov="bytes")
    options = {"ngram": 3, "cell": "gru", "bias": False, "seed": 7, "hidden_size": 24}
    return train_tiny(corpus, source.parent, threads=1, **options).path


@pytest.fixture(scope="module")
def hub(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("hub") / "poems"
    return chargen.export(run, out, to="hub", license="cc0-1.0")


def test_the_folder_is_the_run(run: Path, hub: Path) -> None:
    assert {path.name for path in hub.iterdir()} == {
        *("README.md", "config.json", "model.safetensors", "ngram.safetensors", "sample.txt"),
        *("tokenizer.json", "tokenizer.model"),
    }
    ours, theirs = chargen.load(run, device="cpu"), chargen.load(hub, device="cpu")
    assert theirs.identity() == ours.identity()
    assert theirs.generate("春", seed=3) == ours.generate("春", seed=3)
    for name in ("config.json", "model.safetensors", "ngram.safetensors"):
        assert (hub / name).read_bytes() == (run / name).read_bytes()


def test_the_head_of_the_card_is_yaml(run: Path, hub: Path) -> None:
    _, head, _ = re.split(r"^---$", (hub / "README.md").read_text("utf-8"), maxsplit=2, flags=re.M)
    facts = yaml.safe_load(head)
    assert facts["license"] == "cc0-1.0"
    assert facts["language"] == "zh"
    assert (facts["library_name"], facts["pipeline_tag"]) == ("chargen", "text-generation")
    (result,) = facts["model-index"][0]["results"]
    (metric,) = result["metrics"]
    assert metric["type"] in facts["metrics"]
    bits = chargen.load(run).loaded.bits_per_char
    assert metric["value"] == pytest.approx(bits, abs=1e-4)
    assert result["dataset"]["name"] == "poem 1"


def test_the_commands_of_the_card_do_what_they_say(
    run: Path, hub: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (hub / "README.md").read_text("utf-8")
    sample = re.search(r"^`chargen (sample .+)`$", text, re.M)
    training = re.search(r"^chargen (train .+)$", text, re.M)
    assert sample
    assert training
    monkeypatch.chdir(hub)
    assert call(*shlex.split(sample[1])).stdout == (hub / "sample.txt").read_text("utf-8")
    monkeypatch.chdir(source.parent)
    again = call(*shlex.split(training[1]), "--name", "again", "--runs", tmp_path, "--threads", 1)
    assert again.exit_code == 0, again.output
    weights = [
        chargen.load(each).identity()["weights_sha256"] for each in (run, tmp_path / "again")
    ]
    assert weights[0] == weights[1]


def test_a_smaller_folder_is_the_run_rounded_with_fewer_counts(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = {"license": "unknown", "weights": "float16", "drop_ngrams": 2}
    out = chargen.export(run, tmp_path / "small", to="hub", **wanted)
    ours, theirs = (chargen.load(each, device="cpu").loaded for each in (run, out))
    state = theirs.network.state_dict()
    for name, tensor in ours.network.state_dict().items():
        assert torch.equal(state[name], tensor.half().float())
    assert ours.ngram is not None
    assert theirs.ngram is not None
    expected = to_arrays(without_singletons(ours.ngram, 2))[0]
    assert theirs.ngram.dropped_from == 2
    for name, array in to_arrays(theirs.ngram)[0].items():
        assert_array_equal(array, expected[name])
    text = (out / "README.md").read_text("utf-8")
    assert "the weights are rounded to float16 and\n2-grams and longer ones" in text
    again = chargen.export(out, tmp_path / "again", to="hub", license="unknown")
    told = (again / "README.md").read_text("utf-8")
    assert "Since then, the weights are rounded to float16." in told
    longer = {"drop_ngrams": 9, "license": "unknown"}
    whole = chargen.export(run, tmp_path / "whole", to="hub", **longer)
    assert "Since then" not in (whole / "README.md").read_text("utf-8")
    sample = re.search(r"^`chargen (sample .+)`$", text, re.M)
    assert sample
    monkeypatch.chdir(out)
    written = (out / "sample.txt").read_bytes()  # a text may have a carriage return
    assert call(*shlex.split(sample[1])).stdout_bytes == written


def test_the_network_alone_becomes_a_run_of_its_own(run: Path, here: Path) -> None:
    made = call("export", run, "--to", "hub", "--license", "mit", "--no-ngram", "-o", "x")
    assert made.exit_code == 0, made.output
    assert not Path("x", "ngram.safetensors").exists()
    own = chargen.load(run, device="cpu", ngram=False)
    alone = chargen.load("x", device="cpu")
    assert alone.generate("春", seed=3) == own.generate("春", seed=3)
    assert chargen.inspect("x").problems == ()
    text = Path("x", "README.md").read_text("utf-8")
    assert "Since then, the n-gram counts of the run are left out." in text
    assert "they were not evaluated" in text
    assert "model-index" not in text
    assert "--ngram 3" in text


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("天地玄黄abc", "zh"),
        ("ひらがな漢字", "ja"),
        ("한국어", "ko"),
        ("plain text", None),
        ("12", None),
    ],
)
def test_a_script_tells_the_language_where_it_has_one(text: str, language: str | None) -> None:
    counts = dict.fromkeys(text, 1)
    assert language_of(Tokenizer.train(counts, 100, "bytes")) == language

"""The commands, called in this process: statuses, what goes to which stream, what errors say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chargen import __version__
from chargen.cli.choosing import picked
from chargen.errors import ConfigError
from tests.support import LEARNABLE, TRAIN, call, files_in, the_error


def test_from_text_to_text(text: Path) -> None:
    prepared = call("prepare", text, "-o", "prepared")
    assert prepared.exit_code == 0, prepared.output
    assert "round trip" in prepared.stdout
    trained = call("train", "prepared", "--name", "run", *TRAIN)
    assert trained.exit_code == 0, trained.output
    assert trained.stdout == ""
    assert "Done: step 20" in trained.stderr
    sampled = call("sample", "run", "-p", "春", "-n", 30, "--seed", 1)
    assert sampled.exit_code == 0, sampled.output
    assert sampled.stdout.startswith("春")
    assert len(sampled.stdout) == 1 + 30 + 1
    evaluated = call("eval", "run", text)
    assert evaluated.exit_code == 0, evaluated.output
    assert "bits per character" in evaluated.stdout
    assert call("inspect", "run").exit_code == 0
    assert call("inspect", "prepared").exit_code == 0
    assert call("sample").exit_code == 0  # the newest run


def test_version() -> None:
    assert call("--version").stdout == f"chargen {__version__}\n"


def test_without_a_command_there_is_help() -> None:
    assert "prepare" in call().output


@pytest.mark.parametrize(
    "arguments",
    [("nonsense",), ("train", "--nonsense"), ("sample", "--length", "many"), ("eval",)],
    ids=str,
)
def test_what_the_parser_rejects_is_status_2(arguments: tuple[str, ...]) -> None:
    the_error(*arguments, status=2)


def test_quiet_leaves_the_report_and_says_nothing_else(text: Path) -> None:
    for command, report in (
        (("prepare", text, "-o", "prepared"), "round trip"),
        (("train", "prepared", "--name", "run", *TRAIN), ""),
        (("find-lr", "prepared", *TRAIN[:2], "--device", "cpu"), "suggested"),
        (("inspect", "run"), "parameters"),
        (("compare", "run"), "bits per character"),
        (("gradients", "run", "--lags", 2), "singular values"),
        (("neurons", "run", text), "correlation"),
        (("eval", "run", text), "bits per character"),
        (("sample", "run", "-n", 5), "\n"),
    ):
        result = call(*command, "--quiet")
        assert (result.exit_code, result.stderr) == (0, "")
        assert report in result.stdout
        assert bool(result.stdout) == bool(report)


def test_reports_as_json(text: Path) -> None:
    prepared = json.loads(call("prepare", text, "-o", "corpora/text", "--json").stdout)
    assert prepared["characters"] == len(LEARNABLE)
    folder = prepared["path"]
    assert folder.startswith("corpora/text")
    trained = json.loads(call("train", folder, "--name", "run", "--json", *TRAIN).stdout)
    assert (trained["run"], trained["steps"], trained["reason"]) == ("checkpoints/run", 20, "done")
    evaluated = json.loads(call("eval", "run", text, "--json").stdout)
    assert {"bits_per_char", "nats_per_char", "characters"} <= evaluated.keys()
    assert evaluated["characters"] == len(LEARNABLE)
    assert json.loads(call("inspect", "run", "--json").stdout)["kind"] == "run"
    assert json.loads(call("inspect", folder, "--json").stdout)["kind"] == "corpus"
    (report,) = json.loads(call("gradients", "run", "--lags", 3, "--json").stdout)
    assert len(report["norms"]) == 4
    assert json.loads(call("neurons", "run", text, "--json").stdout)["page"].endswith(".html")
    assert json.loads(call("compare", "run", "--json").stdout)["runs"]
    tried = call("find-lr", folder, *TRAIN[:2], "--device", "cpu", "--json").stdout
    assert json.loads(tried)["suggested_lr"] > 0


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"", "is empty"),
        (b" \n\t\n", "only white space"),
        (b"aaaa\n", "one distinct character"),
        ("春眠不觉晓，处处闻啼鸟。".encode() * 40 + b"\xe6\x98", "byte offset 1440"),
        (b"\x00\x01\x02\xff" * 300, "not recognised"),
    ],
    ids=["empty", "white", "one", "torn", "binary"],
)
def test_a_text_that_is_none_leaves_nothing(content: bytes, part: str, here: Path) -> None:
    Path("text.txt").write_bytes(content)
    for command in (("prepare", "text.txt"), ("train", "text.txt", *TRAIN)):
        error = the_error(*command)
        assert part in error
        assert "text.txt" in error
    assert list(files_in(here)) == ["text.txt"]


@pytest.mark.parametrize("command", ["prepare", "train"])
def test_a_text_that_is_not_there_is_named(command: str, here: Path) -> None:
    Path("empty").mkdir()
    assert "missing.txt" in the_error(command, "missing.txt")
    assert "no text files" in the_error(command, "empty")
    assert files_in(here) == {}


def test_runs_that_are_none(run: Path, here: Path) -> None:
    Path("text.txt").write_text("春眠", encoding="utf-8")
    for command in (("sample", "nope"), ("eval", "nope", "text.txt"), ("inspect", "nope")):
        assert "'nope'" in the_error(*command)
    (run / "model.safetensors").write_bytes(b"x" * 40)
    assert "model.safetensors" in the_error("sample", run)
    assert "is not a chargen run" in the_error("sample", here)


def test_no_run_at_all(here: Path) -> None:
    for command in (("plot",), ("gradients",), ("sample", "--runs", "nowhere")):
        assert "no run in" in the_error(*command)


def test_cuda_that_is_not_there(run: Path, text: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    before = files_in(text.parent)
    for command in (
        ("train", text, *TRAIN, "--device", "cuda"),
        ("sample", run, "--device", "cuda"),
        ("eval", run, text, "--device", "cuda"),
    ):
        error = the_error(*command, status=2)
        assert "There is no CUDA device" in error
        assert "--device cpu" in error
    assert files_in(text.parent) == before


def test_force_replaces_a_prepared_corpus(text: Path) -> None:
    arguments = ("prepare", text, "-o", "folder", "--json")
    first = call(*arguments)
    assert call(*arguments).stdout == first.stdout
    error = the_error(*arguments, "--vocab-size", 9)
    assert "prepared with vocab_size 3000 instead of 9" in error
    replaced = json.loads(call(*arguments, "--vocab-size", 9, "--force").stdout)
    assert replaced["vocabulary"]["characters"] == 9


def test_shipped_texts_by_name(here: Path) -> None:
    assert json.loads(call("prepare", "riverside", "--json").stdout)["characters"] == 416714
    error = the_error("prepare", "rivrside")
    assert all(name in error for name in ("xiaohecun", "riverside", "jueju", "shipan"))


def test_debug_alone_shows_tracebacks(here: Path) -> None:
    result = call("prepare", "missing.txt", "--debug")
    assert result.exit_code == 1
    assert type(result.exception).__name__ == "CorpusError"


def test_an_unexpected_error_is_two_lines(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("first line\nsecond line")

    monkeypatch.setattr("chargen.api.load", fail)
    error = the_error("sample", run)
    assert "Unexpected RuntimeError: first line second line" in error
    assert "--debug" in error


def test_too_little_memory_is_told(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("chargen.api.load", fail)
    assert "not enough memory" in the_error("sample", run)


def test_runs_are_picked_by_number_or_name() -> None:
    offered = [("a", "/r/a"), ("2", "/r/2"), ("c", "/r/c")]
    assert picked(["1", "c"], offered) == ["/r/a", "/r/c"]
    assert picked(["2", "3"], offered) == ["/r/2", "/r/c"]
    with pytest.raises(ConfigError, match="no run 4, x in the list"):
        picked(["a", "4", "x"], offered)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (("gradients", "--lags", 0), "--lags is 0, not at least 1"),
        (("gradients", "--lags", "many"), "--lags is 'many', not an integer"),
        (("eval", "x", "y", "--batch-size", -1), "--batch-size is -1, not at least 1"),
        (("sample", "--keep", 0), "--keep is 0, not at least 1"),
        (("sample", "--color", "red"), "--color is 'red', not one of none, surprisal, gate"),
        (("experiment", "cells", "--minutes", "nan"), "--minutes is nan, not at least 0.0001"),
        (("bench", "generate", "--slots", 1, "--slots", 0), "--slots is 0, not at least 1"),
        (
            ("bench", "train", "--rounds", 0, "--threads", -1),
            "--rounds is 0, not at least 1; --",
        ),
    ],
)
def test_a_value_that_is_not_of_a_config_is_refused_alike(
    line: tuple[object, ...], problem: str
) -> None:
    result = call(*line)
    message, remedy = result.stderr.splitlines()
    assert result.exit_code == 2
    assert problem in message
    assert remedy == "       Correct the values."

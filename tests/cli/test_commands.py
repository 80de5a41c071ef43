"""The commands, called in this process: statuses, what goes to which stream, what errors say."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from chargen import __version__
from chargen.cells import CELLS
from chargen.cli.options import unescape
from chargen.training.presets import PRESETS
from tests.support import LEARNABLE, call, files_in

TRAIN = ("--preset", "tiny", "--max-steps", 20, "--threads", 1)


@pytest.fixture
def text(here: Path) -> Path:
    path = here / "text.txt"
    path.write_text(LEARNABLE, encoding="utf-8")
    return path


def the_error(*arguments: object, status: int = 1) -> str:
    """Standard error of a command that must fail: two lines, what and what to do."""
    result = call(*arguments)
    assert result.exit_code == status, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    if status == 1:
        lines = [line for line in result.stderr.splitlines() if line.startswith(("error:", "  "))]
        assert len(lines) == 2
        assert lines[0].startswith("error: ")
        assert lines[1].startswith("       ")
    return result.stderr


def test_from_text_to_text(text: Path) -> None:
    prepared = call("prepare", text)
    assert prepared.exit_code == 0, prepared.output
    assert "round trip" in prepared.stdout
    trained = call("train", "corpora/text", "--name", "run", *TRAIN)
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
    assert call("inspect", "corpora/text").exit_code == 0
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
        (("prepare", text), "round trip"),
        (("train", "corpora/text", "--name", "run", *TRAIN), ""),
        (("inspect", "run"), "parameters"),
        (("inspect", "run", "--gradients", "--lags", 2), "singular values"),
        (("inspect", "run", "--neurons", text), "correlate"),
        (("eval", "run", text), "bits per character"),
        (("sample", "run", "-n", 5), "\n"),
    ):
        result = call(*command, "--quiet")
        assert (result.exit_code, result.stderr) == (0, "")
        assert report in result.stdout
        assert bool(result.stdout) == bool(report)


def test_reports_as_json(text: Path) -> None:
    prepared = json.loads(call("prepare", text, "--json").stdout)
    assert prepared["characters"] == len(LEARNABLE)
    assert prepared["path"] == "corpora/text"
    trained = json.loads(call("train", "corpora/text", "--name", "run", "--json", *TRAIN).stdout)
    assert (trained["run"], trained["steps"], trained["reason"]) == ("checkpoints/run", 20, "done")
    evaluated = json.loads(call("eval", "run", text, "--json").stdout)
    assert {"bits_per_char", "nats_per_char", "characters"} <= evaluated.keys()
    assert evaluated["characters"] == len(LEARNABLE)
    assert json.loads(call("inspect", "run", "--json").stdout)["kind"] == "run"
    assert json.loads(call("inspect", "corpora/text", "--json").stdout)["kind"] == "corpus"


def test_each_character_with_its_bits(run: Path, here: Path) -> None:
    Path("text.txt").write_text("春眠[/]\n", encoding="utf-8")
    result = call("eval", run, "text.txt", "--per-char", "bits.jsonl", "--json")
    total = json.loads(result.stdout)["bits_per_char"]
    lines = [json.loads(line) for line in Path("bits.jsonl").read_text("utf-8").splitlines()]
    assert "".join(line["char"] for line in lines) == "春眠[/]\n"
    assert sum(line["bits"] for line in lines) / len(lines) == pytest.approx(total)
    piped = call("eval", run, "text.txt", "--per-char", "-")
    assert piped.stdout == Path("bits.jsonl").read_text("utf-8")


def test_batch_size_changes_no_figure(run: Path, text: Path) -> None:
    figures = {
        round(
            json.loads(call("eval", run, text, "--json", "--batch-size", n).stdout)[
                "bits_per_char"
            ],
            6,
        )
        for n in (1, 7)
    }
    assert len(figures) == 1


def test_samples_are_separated_by_a_line(run: Path) -> None:
    result = call("sample", run, "--num-samples", 3, "-n", 8, "--seed", 2, "-p", "春")
    texts = result.stdout.removesuffix("\n").split("\n---\n")
    assert [len(each) for each in texts] == [9, 9, 9]
    lines = call("sample", run, "--num-samples", 3, "-n", 8, "--seed", 2, "-p", "春", "--json")
    found = [json.loads(line) for line in lines.stdout.splitlines()]
    assert [line["prompt"] + line["text"] for line in found] == texts
    assert lines.stderr == ""


def test_a_seed_is_told_and_repeats_the_text(run: Path) -> None:
    first = call("sample", run, "-n", 40)
    seed = re.search(r"seed (\d+)", first.stderr)
    assert seed
    assert call("sample", run, "-n", 40, "--seed", seed[1]).stdout == first.stdout


def test_a_prompt_may_come_from_a_file_or_from_standard_input(run: Path, here: Path) -> None:
    from typer.testing import CliRunner

    from chargen.cli.app import app

    wanted = call("sample", run, "-p", "春眠\n夜", "-n", 9, "--seed", 1).stdout
    Path("prompt.txt").write_bytes("\ufeff春眠\r\n夜\n".encode())
    assert call("sample", run, "-f", "prompt.txt", "-n", 9, "--seed", 1).stdout == wanted
    piped = CliRunner().invoke(
        app, ["sample", str(run), "-f", "-", "-n", "9", "--seed", "1"], input="春眠\n夜\n"
    )
    assert piped.stdout == wanted


def test_stop_strings_understand_escapes(run: Path) -> None:
    text = call("sample", run, "-n", 200, "--seed", 1, "--stop", r"\n", "-t", 1).stdout
    assert text.count("\n") == 1
    text = call("sample", run, "-n", 200, "--seed", 1, "--stop", r"\u3002", "-t", 1).stdout
    assert "。" not in text


@pytest.mark.parametrize("prompt", ["[/]", "[bold]春[/bold]", "[link=x]"])
def test_markup_is_text(prompt: str, here: Path) -> None:
    Path("text.txt").write_text("[/] [bold]春[/bold] [link=x]y\n" * 40, encoding="utf-8")
    assert call("train", "text.txt", "--name", "run", *TRAIN).exit_code == 0
    assert call("sample", "run", "-p", prompt, "-n", 3).stdout.startswith(prompt)


def test_contradictions_are_told_all_at_once(text: Path) -> None:
    before = files_in(text.parent)
    error = the_error(
        "train", text, "--preset", "huge", "--cell", "nonsense", "--lr", -1, "--dropout", 1,
        "--epochs", 1, "--max-steps", 5, "--max-minutes", 1, "--val-frac", 3, "--oov", "drop",
    )  # fmt: skip
    for part in ("'huge'", "'nonsense'", "lr is", "dropout is", "val_frac is 3", "'drop'"):
        assert part in error
    assert "epochs and max_steps and max_minutes contradict each other" in error
    assert all(name in error for name in (*PRESETS, *CELLS))
    assert files_in(text.parent) == before


def test_options_of_sampling_are_told_all_at_once(run: Path) -> None:
    error = the_error(
        "sample", run, "-n", -1, "--top-p", 2, "-p", "a", "-f", "b", "--oov-prompt", "guess",
        "--device", "abacus", "--form", "qijeu",
    )  # fmt: skip
    for part in ("length is -1", "top_p is 2", "prompt and prompt_file", "'guess'", "'abacus'"):
        assert part in error
    assert "form: there is no form 'qijeu', did you mean 'qijue'?" in error
    error = the_error(
        "batch", "no-jobs", "-o", "out", "--resume", "--force", "--device", "abacus", "--tones",
        "--temp", -1,
    )  # fmt: skip
    for part in ("resume and force", "'abacus'", "tones need a form", "temperature is -1"):
        assert part in error


@pytest.mark.parametrize("written", [r"\ud800", r"\ude00\ud83d", "\udcff"], ids=ascii)
def test_a_lone_surrogate_is_no_stop_string(written: str, run: Path, here: Path) -> None:
    Path("jobs.txt").write_text("春\n", encoding="utf-8")
    for command in (("sample", run), ("batch", "jobs.txt", "-o", "out.jsonl", "--checkpoint", run)):
        error = the_error(*command, "--stop", written, "--top-p", 3)
        assert "2 options" in error
        assert "a stop string has the lone surrogate U+D" in error
        assert "top_p is 3" in error
    assert not list(here.glob("out.jsonl*"))


def test_a_pair_of_escaped_surrogates_is_one_character() -> None:
    assert unescape(r"\ud83d\ude00\n") == "😀\n"


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"", "is empty"),
        (b" \n\t\n", "white space alone"),
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
    for command in (("sample",), ("inspect",), ("plot",)):
        assert "no run in" in the_error(*command)


def test_inspect_lists_what_is_wrong(run: Path) -> None:
    (run / "model.safetensors").write_bytes(b"x" * 40)
    result = call("inspect", run)
    assert result.exit_code == 1
    assert "problem" in result.stdout
    assert "error:" in result.stderr
    report = call("inspect", run, "--json")
    assert report.exit_code == 1
    assert len(json.loads(report.stdout)["problems"]) == 1


def test_cuda_that_is_not_there(run: Path, text: Path) -> None:
    before = files_in(text.parent)
    for command in (
        ("train", text, "--device", "cuda", *TRAIN),
        ("sample", run, "--device", "cuda"),
        ("eval", run, text, "--device", "cuda"),
    ):
        assert "CUDA" in the_error(*command)
    assert files_in(text.parent) == before


def test_an_unseen_prompt_names_its_characters(run: Path) -> None:
    assert "'ж'" in the_error("sample", run, "-p", "жизнь", "-q")
    assert call("sample", run, "-p", "жизнь", "--oov-prompt", "skip", "-n", 3).exit_code == 0


def test_resume_from_the_command_line(run: Path, corpus: Path) -> None:
    arguments = ("train", corpus, "--preset", "tiny", "--name", "run", "--out-dir", run.parent)
    again = call(*arguments, "--max-steps", 40, "--resume")
    assert again.exit_code == 0, again.output
    more = call(*arguments, "--max-steps", 45, "--resume")
    assert "Going on at step 40" in more.stderr
    assert "Done: step 45" in more.stderr
    assert "exists already" in the_error(*arguments, "--max-steps", 40)


def test_without_a_text_the_shipped_prose_is_meant(here: Path) -> None:
    result = call("train", "--preset", "tiny", "--max-steps", 1, "--val-frac", 0)
    assert result.exit_code == 0, result.output
    assert "shipan.txt" in result.stderr
    assert Path("checkpoints/shipan-lstm-1").is_dir()


def test_curves_from_the_command_line(run: Path) -> None:
    pytest.importorskip("matplotlib")
    result = call("plot", run)
    assert result.stdout == f"{run / 'curves.png'}\n"


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


def test_a_lost_corpus_is_a_note_not_a_problem(run: Path, corpus: Path, here: Path) -> None:
    copy = shutil.copytree(corpus, here / "copy")
    assert call("train", copy, "--name", "other", *TRAIN).exit_code == 0
    shutil.rmtree(copy)
    result = call("inspect", "other")
    assert result.exit_code == 0
    assert "resume needs the corpus" in " ".join(result.stdout.split())

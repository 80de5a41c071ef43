from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chargen import api
from chargen.bench.generate import bench_generate
from chargen.cli.app import app
from chargen.errors import ConfigError
from tests.generation.conftest import CORPORA


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run that has hardly learnt anything."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        api.train(CORPORA / "jueju.txt", preset="tiny", name="toy", max_steps=3)
    return folder


@pytest.fixture(autouse=True)
def _there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def chargen(*arguments: str, stdin: str | None = None) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(arguments), input=stdin)
    return result.exit_code, result.stdout, result.stderr


def test_batch_writes_a_line_a_job_and_resumes(folder: Path) -> None:
    jobs = folder / "jobs.jsonl"
    jobs.write_text('{"id": "a", "prompt": "春"}\n{"prompt": "", "length": 3}\n', "utf-8")
    command = ("batch", "jobs.jsonl", "-o", "out.jsonl", "-n", "5", "--logprobs")
    assert chargen(*command)[0] == 0
    whole = (folder / "out.jsonl").read_bytes()
    first, second = map(json.loads, whole.splitlines())
    assert (first["id"], first["characters"]) == ("a", 5)
    assert (second["id"], second["characters"], second["finish_reason"]) == (2, 3, "length")
    assert set(second) == {"id", "text", "finish_reason", "characters", "seed", "bits_per_char"}
    status, _, talk = chargen(*command)
    assert status == 1
    assert "exists already" in talk
    (folder / "out.jsonl").write_bytes(whole[:-9])
    assert chargen(*command, "--resume")[0] == 0
    assert (folder / "out.jsonl").read_bytes() == whole
    status, _, talk = chargen(*command, "--resume", "--temp", "0.5")
    assert status == 1
    assert "temperature changed" in talk


def test_batch_stands_in_a_pipe(folder: Path) -> None:
    assert chargen("batch", "-", "-o", "piped.jsonl", "-n", "2", stdin="春\n江\n")[0] == 0
    lines = (folder / "piped.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["id"] for line in lines] == [1, 2]


def test_a_poem_is_sampled_on_lines_of_its_own() -> None:
    poem = ("--form", "wujue", "--acrostic", "春江花月", "--seed", "1", "-q")
    status, shown, _ = chargen("sample", "toy", "-p", "题", *poem)
    assert status == 0
    title, first, second = shown.splitlines()
    assert title == "题"
    assert [first[0], first[6], second[0], second[6]] == list("春江花月")
    status, shown, _ = chargen("sample", "toy", "-p", "题", *poem, "--json")
    assert json.loads(shown)["text"] == f"{first}\n{second}"
    assert json.loads(shown)["finish_reason"] == "form"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--rhyme",), "need a form"),
        (("--form", "qijeu"), "did you mean 'qijue'"),
        (("--form", '{"name": "lines"}'), "needs characters"),
        (("--form", "{"), "invalid JSON"),
        (("--form", "wujue", "--acrostic", "☃"), "can't write '☃'"),
    ],
)
def test_a_form_that_can_not_be_is_an_error_in_a_line(
    options: tuple[str, ...], problem: str
) -> None:
    status, shown, talk = chargen("sample", "toy", "-q", *options)
    assert (status, shown) == (1, "")
    assert problem in talk


def test_novelty_reports_a_copy(folder: Path) -> None:
    text = (CORPORA / "jueju.txt").read_text("utf-8")
    (folder / "copied.txt").write_text(text[100:160], "utf-8")
    status, shown, _ = chargen("novelty", "copied.txt", str(CORPORA / "jueju.txt"), "--json")
    assert status == 0
    assert json.loads(shown)["copied_ngrams"]["32"] == 1
    for quiet in ((), ("--quiet",)):
        status, shown, talk = chargen("novelty", "copied.txt", str(CORPORA / "jueju.txt"), *quiet)
        assert (status, talk) == (0, "")
        assert "longest copied run" in shown


def test_bench_generate_compares_with_plain_pytorch() -> None:
    shape = ("--hidden-size", "8", "--vocab-size", "20", "--rounds", "1", "--slots", "2")
    status, shown, _ = chargen("bench", "generate", "--json", *shape)
    assert status == 0
    (row,) = json.loads(shown)["rows"]
    assert row["slots"] == 2
    assert min(row[f"against_{name}"] for name in ("one_hot", "embedding", "products")) > 0


def test_bench_generate_needs_a_twin_in_pytorch() -> None:
    with pytest.raises(ConfigError, match="no clockwork"):
        bench_generate(cell="clockwork")

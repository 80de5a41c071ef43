"""The models that come with the package: small, whole, and used where there is no run."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import torch

import chargen
from chargen.corpus.shipped import shipped_text
from chargen.errors import ChargenWarning, CheckpointError
from chargen.runs.finding import find_run, runs_in
from chargen.runs.layout import MODEL
from chargen.runs.shipped import SHIPPED, STORIES, VERSE, shipped_run
from chargen.runs.tensors import read_tensors
from tests.shipped.__main__ import CHECKPOINTS, RECIPES
from tests.support import call, the_error

MOST_BYTES = 3_000_000
PYPROJECT = CHECKPOINTS.parent / "pyproject.toml"


@pytest.fixture
def nowhere(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, and no other folder of runs."""
    monkeypatch.delenv("CHARGEN_RUNS", raising=False)
    return here


def test_they_are_small_and_whole() -> None:
    folders = [CHECKPOINTS / name for name in SHIPPED]
    assert sum(p.stat().st_size for each in folders for p in each.iterdir()) <= MOST_BYTES
    for folder in folders:
        assert not chargen.inspect(folder).problems
        tensors, _ = read_tensors(folder, MODEL)
        assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}


@pytest.mark.parametrize("name", SHIPPED)
def test_the_card_and_the_config_name_a_shipped_text_alone(name: str) -> None:
    loaded = chargen.load(CHECKPOINTS / name).loaded
    text, options = RECIPES[name]
    assert [source.name for source in loaded.config.corpus.sources] == [f"{text}.txt"]
    assert loaded.config.training.threads == 1
    assert loaded.config.total_steps == options["max_steps"]
    card = (CHECKPOINTS / name / "README.md").read_text("utf-8")
    assert 'license: "cc0-1.0"' in card
    assert f"{text}.txt" in card
    known = {loaded.tokenizer.piece(n) for n in range(loaded.tokenizer.size)}
    assert set(shipped_text(text).read_text("utf-8")) - {"\n"} <= known


def test_an_installed_package_has_them_where_they_are_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tomllib.loads(PYPROJECT.read_text("utf-8"))["tool"]["hatch"]["build"]["targets"]
    for name in SHIPPED:
        place = tmp_path / tool["wheel"]["force-include"][f"checkpoints/{name}"]
        place.mkdir(parents=True)
        (place / "config.json").write_text("{}", "utf-8")
        assert f"/checkpoints/{name}" in tool["sdist"]["include"]
    monkeypatch.setattr("chargen.runs.shipped.__file__", str(tmp_path / "chargen/runs/shipped.py"))
    assert [shipped_run(name) for name in SHIPPED] == [
        tmp_path / "chargen" / "shipped" / name for name in SHIPPED
    ]


def test_where_there_is_no_run_the_stories_are_used_and_a_line_says_so(nowhere: Path) -> None:
    done = call("sample", "-n", 40, "--seed", 1)
    assert done.exit_code == 0, done.output
    note, about = done.stderr.splitlines()
    assert note.startswith("note: There is no run in checkpoints: stories is used")
    assert about.startswith("stories, ")
    quiet = call("sample", "stories", "-n", 40, "--seed", 1, "--quiet")
    assert (quiet.stdout, quiet.stderr) == (done.stdout, "")
    assert list(nowhere.iterdir()) == []


@pytest.mark.parametrize(
    "command", [["inspect"], ["infill", "小□和小狗"], ["export", "--to", "page"]]
)
def test_other_commands_use_it_too(command: list[str], nowhere: Path) -> None:
    done = call(*command)
    assert done.exit_code == 0, done.output
    assert "stories is used" in done.stderr


def test_a_poem_comes_from_the_verse_and_keeps_its_acrostic(nowhere: Path) -> None:
    done = call("sample", "--form", "qijue", "--acrostic", "春江花月", "--seed", 1)
    assert done.exit_code == 0, done.output
    assert "verse is used" in done.stderr
    verses = re.findall(r"\w{7}", done.stdout)
    assert "".join(verse[0] for verse in verses) == "春江花月"
    Path("jobs.txt").write_text("\n", "utf-8")
    assert "verse is used" in call("batch", "jobs.txt", "-o", "-", "--form", "wujue").stderr
    Path("jobs.jsonl").write_text('{"prompt": "", "form": "wujue"}\n', "utf-8")
    assert "verse is used" in call("batch", "jobs.jsonl", "-o", "-").stderr


def test_a_run_of_ones_own_goes_first(run: Path, nowhere: Path) -> None:
    assert call("sample", "-n", 3).stderr.startswith("checkpoints/run, ")
    run.rename(run.with_name(STORIES))
    assert find_run(STORIES, run.parent) == run.with_name(STORIES)
    assert call("sample", STORIES, "-n", 3).stderr.startswith("checkpoints/stories, ")


def test_python_finds_them_by_name_and_warns_where_it_chooses(nowhere: Path) -> None:
    assert chargen.load(VERSE).path == shipped_run(VERSE)
    with pytest.warns(ChargenWarning, match="no run in checkpoints: stories"):
        assert chargen.load().path == shipped_run(STORIES)


def test_a_folder_of_runs_that_is_named_is_meant(nowhere: Path) -> None:
    assert "no run in elsewhere" in the_error("sample", "--runs", "elsewhere")


def test_a_checkouts_own_are_not_counted_among_the_runs() -> None:
    assert not {path.name for path in runs_in(CHECKPOINTS)} & set(SHIPPED)
    with pytest.raises(CheckpointError, match="no run 'vers'"):
        find_run("vers", CHECKPOINTS)

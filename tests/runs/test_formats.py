"""Runs of every format version load, sample and resume: see tests/formats/README.md."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

import chargen
from chargen.errors import CorpusError
from chargen.generation.seeds import sample_seed
from chargen.runs.config import VERSION, Origin
from chargen.runs.folder import RunFolder
from chargen.runs.versions import RECIPE_OF_VERSION_1
from chargen.training.events import Event, Started

FORMATS = Path(__file__).parents[1] / "formats"
EXPECTED: dict[tuple[str, str], dict[str, Any]] = {
    (path.parent.name, name): each
    for path in sorted(FORMATS.glob("run-v*/expected.json"))
    for name, each in json.loads(path.read_text("utf-8")).items()
}
RUNS = [pytest.param(*key, id="-".join(key)) for key in EXPECTED]


@pytest.fixture
def copied(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of all that lies beside a run, to do anything to."""
    version = request.getfixturevalue("version")
    return Path(shutil.copytree(FORMATS / version, tmp_path / version))


def test_there_are_runs_of_every_version() -> None:
    assert {version for version, _ in EXPECTED} == {f"run-v{n}" for n in range(1, VERSION + 1)}


@pytest.mark.parametrize(("version", "name"), RUNS)
def test_a_run_of_any_version_is_whole(version: str, name: str) -> None:
    folder = RunFolder(FORMATS / version / name)
    assert folder.verify() == []
    config = folder.read_config()
    assert config.corpus.settings.unwrap == "no"  # older than the setting
    assert not config.recipe.shifted_passes  # older than these
    assert folder.load_model().weights_sha256 == EXPECTED[version, name]["weights_sha256"]


@pytest.mark.parametrize(("version", "name"), RUNS)
def test_a_run_of_any_version_samples_the_same_texts(version: str, name: str) -> None:
    generator = chargen.load(FORMATS / version / name, device="cpu")
    for each in EXPECTED[version, name]["samples"]:
        options = {"seed": sample_seed(each["seed"], 0), "length": each["length"], "recall": 0}
        assert generator.generate(each["prompt"], **options) == [each["text"]]


@pytest.mark.parametrize(("version", "name"), RUNS)
def test_a_run_of_any_version_is_resumed(version: str, name: str, copied: Path) -> None:
    wanted = EXPECTED[version, name]["resumed"]
    corpus = copied / "corpus" if version == "run-v1" else None  # whose places are gone
    done = chargen.train(
        corpus, name=name, runs_dir=copied, resume=True, max_steps=wanted["max_steps"]
    )
    assert done.steps == wanted["max_steps"]
    assert done.bits_per_char == pytest.approx(wanted["bits_per_char"], rel=1e-4)
    folder = RunFolder(copied / name)
    assert folder.verify() == []
    assert json.loads((folder.path / "config.json").read_bytes())["version"] == VERSION
    assert folder.read_places().corpus == (copied / "corpus").resolve()
    assert json.loads((folder.path / "places.json").read_bytes())["corpus"] == "../corpus"
    again = chargen.train(name=name, runs_dir=copied, resume=True, max_steps=wanted["max_steps"])
    assert again.bits_per_char == done.bits_per_char


@pytest.mark.parametrize("version", ["run-v1"])
def test_version_1_is_migrated(version: str, copied: Path) -> None:
    folder = RunFolder(copied / "lstm")
    config = folder.read_config()
    assert config.recipe == RECIPE_OF_VERSION_1
    assert config.corpus.name == "corpus"
    assert [text.name for text in config.corpus.sources] == ["story.txt"]
    assert config.machine is not None
    assert (config.machine.chargen, config.machine.threads) == ("0.1.0", 1)
    assert config.machine.torch is None
    assert folder.read_places().corpus == Path("/home/someone/stories/corpus")


@pytest.mark.parametrize("version", ["run-v1"])
def test_the_places_of_version_1_are_used_where_they_exist(version: str, copied: Path) -> None:
    path = copied / "lstm" / "config.json"
    values = json.loads(path.read_bytes())
    with pytest.raises(CorpusError, match="/home/someone"):
        chargen.train(name="lstm", runs_dir=copied, resume=True, max_steps=21)
    values["corpus"]["path"] = str(copied / "corpus")
    values["init_from"] = {"path": "/home/someone/other", "weights_sha256": "0" * 64}
    path.write_text(json.dumps(values), encoding="utf-8")
    assert chargen.train(name="lstm", runs_dir=copied, resume=True, max_steps=21).steps == 21
    folder = RunFolder(copied / "lstm")
    assert folder.read_config().init_from == Origin("other", "0" * 64)
    assert folder.read_places().init_from == Path("/home/someone/other")


@pytest.mark.parametrize("version", ["run-v2"])
def test_nothing_that_is_shared_names_a_place(version: str, copied: Path) -> None:
    shared = (path for path in copied.rglob("*") if path.name in ("config.json", "metrics.jsonl"))
    for path in shared:
        assert "/home" not in (text := path.read_text("utf-8"))
        assert str(copied) not in text
    config = json.loads((copied / "gru" / "config.json").read_bytes())
    assert {"activation", "dt", "modules"}.isdisjoint(config["model"])
    assert "dt" in json.loads((copied / "ctrnn" / "config.json").read_bytes())["model"]


@pytest.mark.parametrize("version", ["run-v2"])
def test_another_machine_is_noted(version: str, copied: Path) -> None:
    path = copied / "gru" / "config.json"
    values = json.loads(path.read_bytes())
    now = {"chargen": chargen.__version__, "torch": torch.__version__}
    now["cpu_capability"] = torch.backends.cpu.get_cpu_capability()

    def notes(steps: int, **machine: object) -> tuple[str, ...]:
        config = {**values, "machine": {**values["machine"], **now, **machine}}
        path.write_text(json.dumps(config), encoding="utf-8")
        events: list[Event] = []
        chargen.train(
            name="gru", runs_dir=copied, resume=True, max_steps=steps, on_event=events.append
        )
        assert isinstance(events[0], Started)
        return events[0].notes

    assert notes(21) == ()
    assert notes(22, spin="10000") == ()
    (note,) = notes(23, torch="1.0", threads=7)
    assert note == (
        f"This resume will not be bit for bit: torch was 1.0, is {torch.__version__}; "
        "the number of threads was 7, is 1."
    )
    assert RunFolder(copied / "gru").read_config().machine is not None
    assert json.loads(path.read_bytes())["machine"]["torch"] == torch.__version__

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from chargen.errors import CheckpointError
from chargen.options import CELLS, CorpusConfig, ModelConfig, TrainConfig
from chargen.runs import folder
from chargen.runs.config import CorpusRecord, RunConfig
from chargen.runs.folder import RunFolder
from chargen.runs.versions import RECIPE_OF_VERSION_1, config_of
from tests.runs.damage import change_json, the_error


@pytest.mark.parametrize("version", [0, 3, 99])
def test_another_version_names_the_release_that_reads_it(version: int, run: Path) -> None:
    change_json(run / "config.json", lambda c: c.update(version=version, chargen_version="9.8.7"))
    error = the_error(run)
    assert f"format version {version}, which chargen 9.8.7 reads" in error.message
    assert "chargen 9.8.7" in error.remedy


@pytest.mark.parametrize("version", [True, "2", 2.0, None, [2], "x" * 10_000])
def test_a_version_that_is_no_number_is_told(version: object, run: Path) -> None:
    change_json(run / "config.json", lambda c: c.update(version=version))
    assert len(the_error(run).message) < 500


@pytest.mark.parametrize("release", ["", "1\n2", "9" * 99, 3, None])
def test_a_release_that_can_not_be_is_not_repeated(release: object, run: Path) -> None:
    change_json(run / "config.json", lambda c: c.update(version=3, chargen_version=release))
    assert "damaged: its format version is 3" in the_error(run).message


def test_a_run_outlives_the_default_of_an_option_that_its_cell_has_not(run: Path) -> None:
    before = RunFolder(run).read_config()
    change_json(run / "config.json", lambda c: c["model"].update(modules=33, dt=0.25))
    assert RunFolder(run).read_config() == before


def test_a_constant_that_a_run_is_older_than_is_that_of_version_1(run: Path) -> None:
    values = json.loads((run / "config.json").read_bytes())
    del values["sha256"]
    found = []
    for name in values["recipe"]:
        others = {other: each for other, each in values["recipe"].items() if other != name}
        with suppress(CheckpointError):  # as old as version 1
            recipe = config_of({**values, "recipe": others}, run).recipe
            assert getattr(recipe, name) == getattr(RECIPE_OF_VERSION_1, name), name
            found.append(name)
    assert {"second_layer", "shifted_passes", "lr_of_labels"} <= set(found)


def test_more_gaps_than_there_can_be_are_as_many_as_there_were(run: Path) -> None:
    change_json(run / "config.json", lambda c: c["training"].update(gap_share=0.9))
    assert RunFolder(run).read_config().training.gap_share == 2 / 3


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"3", b'{"format": "other"}', b"\xff\xfe", b"null"],
    ids=["empty", "torn", "list", "number", "other", "bytes", "null"],
)
def test_a_config_of_something_else_is_told(run: Path, content: bytes) -> None:
    (run / "config.json").write_bytes(content)
    assert "config.json" in the_error(run).message


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("hidden_size", lambda c: c["model"].update(hidden_size="wide")),
        ("hidden_size", lambda c: c["model"].update(hidden_size=1.5)),
        ("hidden_size", lambda c: c["model"].update(hidden_size=-4)),
        ("hidden_sise", lambda c: c["model"].update(hidden_sise=4)),
        ("cell", lambda c: c["model"].update(cell="nonsense")),
        ("batch_size", lambda c: c["training"].update(batch_size=None)),
        ("model", lambda c: c.pop("model")),
        ("corpus", lambda c: c.update(corpus=3)),
        ("sources", lambda c: c["corpus"].pop("sources")),
        ("tokenizer_sha256", lambda c: c.pop("tokenizer_sha256")),
        ("recipe", lambda c: c.pop("recipe")),
        ("recipe.lr_hold", lambda c: c["recipe"].pop("lr_hold")),
        ("recipe.lr_hold", lambda c: c["recipe"].update(lr_hold="late")),
        ("recipe.patience", lambda c: c["recipe"].update(patience=3)),
        ("machine.name", lambda c: c["machine"].update(name="mine")),
        ("total_steps", lambda c: c.update(total_steps=0)),
        ("64 bits", lambda c: c["training"].update(seed=2**64)),
        ("val_frac", lambda c: c["corpus"]["settings"].update(val_frac="0.1")),
    ],
)
def test_a_damaged_config_names_the_part(
    run: Path, part: str, change: Callable[[dict[str, Any]], object]
) -> None:
    change_json(run / "config.json", change)
    message = the_error(run).message
    assert part in message
    assert "damaged" in message


@pytest.mark.parametrize(
    ("old", "new"), [(b'"lr": 0.', b'"lr": 1.'), (b'"seed": 0', b'"seed": 1'), (b"0", b"1")]
)
def test_a_config_that_changed_to_another_that_may_be_is_told(
    old: bytes, new: bytes, run: Path
) -> None:
    path = run / "config.json"
    path.write_bytes(path.read_bytes().replace(old, new, 1))
    assert "config.json is damaged" in the_error(run).message


@pytest.mark.parametrize("name", list(CELLS))
def test_only_options_of_the_cell_are_written(name: str) -> None:
    record = CorpusRecord("a", (), CorpusConfig(), {}, 9, 9, 0)
    model = ModelConfig(9, cell=name)
    config = RunConfig(model, TrainConfig(), record, "", "tiny", "1")
    written = config.sealed()
    others = {option for entry in CELLS.values() for option in entry.options}
    assert others & written["model"].keys() == set(CELLS[name].options)
    assert config_of(json.loads(json.dumps(written)), Path("config.json")) == config


def test_a_larger_model_than_its_file_takes_no_memory(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folder, "build_model", None)
    before = (run / "config.json").read_bytes()
    for field, value in {
        "num_layers": 2**62,
        "hidden_size": 60_000,
        "embedding_size": 10**12,
        "vocab_size": 5 * 10**7,
    }.items():
        (run / "config.json").write_bytes(before)
        change_json(run / "config.json", lambda c: c["model"].update({field: value}))  # noqa: B023
        the_error(run)
        assert len(RunFolder(run).verify()) <= 3

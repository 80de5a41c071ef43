from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from chargen.errors import CheckpointError
from chargen.runs.places import Places


def test_places_are_relative_and_move_with_the_project(tmp_path: Path) -> None:
    run = tmp_path / "project" / "checkpoints" / "run"
    run.mkdir(parents=True)
    Places(tmp_path / "project" / "corpora" / "text").write(run, run)
    assert json.loads((run / "places.json").read_bytes()) == {
        "corpus": "../../corpora/text",
        "init_from": None,
    }
    shutil.move(tmp_path / "project", tmp_path / "moved")
    found = Places.read(tmp_path / "moved" / "checkpoints" / "run")
    assert found == Places((tmp_path / "moved" / "corpora" / "text").resolve())


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
@pytest.mark.parametrize("name", [b"caf\xe9", b"100%", b"%41", "\u8bd7".encode()])
def test_every_name_comes_back(name: bytes, tmp_path: Path) -> None:
    place = Path(os.fsdecode(os.fsencode(tmp_path.resolve()) + b"/" + name))
    Places(place, place).write(tmp_path, tmp_path)
    (tmp_path / "places.json").read_text("utf-8")
    assert Places.read(tmp_path) == Places(place, place)


def test_a_run_may_have_no_places(tmp_path: Path) -> None:
    assert Places.read(tmp_path) is None
    Places().write(tmp_path, tmp_path)
    assert Places.read(tmp_path) == Places()


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"corpus": 3, "init_from": null}', b"{" * 10**4]
)
def test_damaged_places_are_told(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "places.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"places\.json is damaged"):
        Places.read(tmp_path)


@pytest.mark.parametrize("path", ["a\0b", "a%00b"])
def test_a_null_byte_is_told(path: str, tmp_path: Path) -> None:
    values = {"corpus": path, "init_from": None}
    (tmp_path / "places.json").write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(CheckpointError, match="null byte"):
        Places.read(tmp_path)

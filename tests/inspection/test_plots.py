from __future__ import annotations

import shutil
import struct
from pathlib import Path

import pytest

from chargen import api
from chargen.errors import CheckpointError
from tests.support import train_tiny

pytest.importorskip("matplotlib")


def size_of(picture: Path) -> tuple[int, int]:
    content = picture.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", content[16:24])
    return width, height


def test_curves_are_drawn_into_the_run(run: Path) -> None:
    picture = api.plot([run])
    assert picture == run / "curves.png"
    width, height = size_of(picture)
    assert width > height > 300


def test_several_runs_are_drawn_together(run: Path, here: Path) -> None:
    other = shutil.copytree(run, here / "another")
    assert api.plot([run, other]) == Path("curves.png")
    assert size_of(Path("curves.png"))
    assert api.plot([run, other], "elsewhere.png") == Path("elsewhere.png")


def test_a_run_without_validation_is_drawn(corpus: Path, tmp_path: Path) -> None:
    run = train_tiny(corpus, tmp_path, max_steps=15, eval_every=100).path
    assert size_of(api.plot([run]))


def test_without_a_step_there_is_nothing_to_draw(run: Path) -> None:
    (run / "metrics.jsonl").unlink()
    with pytest.raises(CheckpointError, match="no step"):
        api.plot([run])


def test_a_name_in_chinese_is_no_trouble(run: Path) -> None:
    other = shutil.copytree(run, run.parent / "红楼梦-lstm-1")
    assert size_of(api.plot([other]))

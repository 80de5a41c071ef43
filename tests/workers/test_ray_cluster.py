"""The folder of a cluster on this machine."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

import pytest
from filelock import FileLock

from chargen.workers.ray_cluster import _temporary_folder


def test_only_what_dead_drivers_left_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One folder is held by a driver, one is whole but unlocked, and one is somebody else's."""
    monkeypatch.setattr("chargen.workers.ray_cluster._FOLDERS", tmp_path)
    for name in ("chargen-ray-held", "chargen-ray-dead", "chargen-ray-other"):
        (tmp_path / name / "session").mkdir(parents=True)
        if "other" not in name:
            (tmp_path / name / "driver.lock").touch()
    with FileLock(tmp_path / "chargen-ray-held" / "driver.lock"), _temporary_folder() as own:
        left = {path.name for path in tmp_path.iterdir()}
    assert left == {"chargen-ray-held", "chargen-ray-other", Path(own).name}
    assert not Path(own).exists()


@pytest.mark.skipif(os.name != "posix", reason="sockets have no paths")
def test_a_long_temporary_folder_leaves_room_for_paths_of_sockets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("d" * 80)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    with _temporary_folder() as own, socket.socket(socket.AF_UNIX) as line:
        folder = Path(own, "session_2026-01-01_00-00-00_000000_1234567", "sockets")
        folder.mkdir(parents=True)
        line.bind(str(folder / "plasma_store"))

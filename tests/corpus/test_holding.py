from __future__ import annotations

from pathlib import Path

import pytest
from filelock import FileLock

from chargen.corpus.holding import held
from chargen.files import UNFINISHED
from tests.support import files_in


def never() -> None:
    raise AssertionError("nobody holds it")


def test_the_lock_file_lies_beside_and_goes(tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    with held(out, never):
        assert [path.name for path in out.parent.iterdir()] == [f"{UNFINISHED}out.lock"]
    assert list(out.parent.iterdir()) == []


def test_a_failed_block_leaves_no_folder_behind(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), held(tmp_path / "new/deep/out", never):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_whoever_waits_may_give_up(tmp_path: Path) -> None:
    def give_up() -> None:
        raise KeyboardInterrupt

    with FileLock(tmp_path / f"{UNFINISHED}out.lock"):
        with pytest.raises(KeyboardInterrupt), held(tmp_path / "out", give_up):
            pass
        with held(tmp_path / "other", never):
            pass


def test_the_folder_that_a_failed_holder_removed_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, acquire, calls = tmp_path / "corpora" / "out", FileLock.acquire, []

    def late(self: FileLock, *arguments: object, **options: object) -> object:
        calls.append(1)
        if len(calls) == 1:
            out.parent.rmdir()
            raise FileNotFoundError(2, "No such file or directory")
        return acquire(self, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(FileLock, "acquire", late)
    with held(out, never):
        assert out.parent.is_dir()


def test_only_the_leftovers_of_the_folder_itself_are_removed(tmp_path: Path) -> None:
    """Others may be in use by who holds no lock of this kind."""
    kept = [f"{UNFINISHED}{name}" for name in ("run-abcdefgh", "out-x-abcdefgh", "abcdefgh")]
    for name in [*kept, f"{UNFINISHED}out-abcdefgh", f"{UNFINISHED}out-12345678.old"]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(b"1")
    with held(tmp_path / "out", never):
        found = [name for name in files_in(tmp_path) if not name.endswith(".lock")]
    assert sorted(found) == sorted(f"{name}/file" for name in kept)


def test_names_that_are_patterns_or_very_long(tmp_path: Path) -> None:
    for name in ("[a]*?", "名" * 80, "x" * 255):
        with held(tmp_path / name, never):
            (lock,) = tmp_path.iterdir()
            assert len(lock.name.encode()) < 200
    assert list(tmp_path.iterdir()) == []

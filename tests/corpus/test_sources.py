from __future__ import annotations

import os
from pathlib import Path

import pytest

from chargen.corpus.shipped import SHIPPED, shipped_text
from chargen.corpus.sources import find_sources
from chargen.errors import CorpusError


def write(folder: Path, data: bytes, name: str = "text.txt") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_a_folder_means_its_text_files_recursively_and_sorted(tmp_path: Path) -> None:
    for name in ("b.txt", "a/z.txt", "a/c.md", "plain"):
        write(tmp_path, b"text\n", name)
    write(tmp_path, "\ufeff文".encode("utf-16-le"), "u16.dat")
    for name in (".hidden", ".git/x.txt"):
        write(tmp_path, b"text\n", name)
    for name in ("picture.png", "more/data.bin"):
        write(tmp_path, b"\x89PNG\0\0" * 20, name)
    write(tmp_path, b"", "empty.txt")
    for name in ("prepared/manifest.json", "prepared/tokenizer.model"):
        write(tmp_path, b"{}", name)
    found = find_sources([tmp_path])
    assert [file.name for file in found] == ["a/c.md", "a/z.txt", "b.txt", "plain", "u16.dat"]
    assert [file.path for file in found] == [tmp_path / file.name for file in found]


def test_files_keep_their_order(tmp_path: Path) -> None:
    paths = [write(tmp_path, b"x", name) for name in ("b", "a", "c")]
    assert [file.path for file in find_sources(paths)] == paths


def test_what_is_no_source_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, b"\0\1\2" * 99, "folder/binary")
    for path in (tmp_path / "missing", tmp_path / "folder", Path(os.devnull)):
        with pytest.raises(CorpusError) as error:
            find_sources([path])
        assert str(path) in error.value.message
        assert error.value.remedy
    with pytest.raises(CorpusError):
        find_sources([])


def test_a_file_is_recorded_by_its_name_alone(tmp_path: Path) -> None:
    (file,) = find_sources([write(tmp_path, b"text", "deep/down/text.txt")])
    assert (file.name, file.size) == ("text.txt", 4)


@pytest.mark.parametrize("path", ["loop", "a\0b", "x" * 300])
def test_a_path_that_cant_be_is_a_clear_error(path: str, here: Path) -> None:
    Path("loop").symlink_to("loop")
    with pytest.raises(CorpusError, match="Can't read a text") as error:
        find_sources([Path(path)])
    assert path in error.value.message


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_text_goes_by_its_name(name: str, here: Path) -> None:
    for path in (Path(name), Path(f"{name}.txt")):
        assert find_sources([path])[0].path == shipped_text(name)
    write(here, b"my own text", f"{name}.txt")
    assert find_sources([Path(f"{name}.txt")])[0].size == 11
    assert find_sources([Path(name)])[0].path == shipped_text(name)
    write(here, b"my own text", f"{name}/mine.txt")
    assert find_sources([Path(name)])[0].name == "mine.txt"


def test_an_unknown_name_lists_the_shipped_texts(here: Path) -> None:
    with pytest.raises(CorpusError, match="shipped text rivreside") as error:
        find_sources([Path("rivreside")])
    assert all(name in error.value.remedy for name in SHIPPED)
    with pytest.raises(CorpusError, match="No such file") as error:
        find_sources([Path("folder/rivreside")])
    assert "shipped" not in error.value.remedy


def test_shipped_texts_are_as_their_readme_says() -> None:
    """A title line, a few paragraphs or two lines of verse, a blank line."""
    readme = (shipped_text().parent / "README.md").read_text("utf-8")
    for name in SHIPPED:
        text = shipped_text(name).read_bytes().decode("utf-8")
        assert "\r" not in text
        assert f"| {len(text):,} | {len(set(text)):,} |" in readme
        pieces = [piece for piece in text.split("\n\n") if piece.strip()]
        assert f"{len(pieces):,}" in readme
        assert all(len(piece.strip().splitlines()) >= 2 for piece in pieces)

from __future__ import annotations

import os
from pathlib import Path

import pytest

from chargen.corpus.shipped import SHIPPED, shipped_text
from chargen.corpus.sources import find_sources, passed_over
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


def test_what_a_folder_holds_besides_texts_is_passed_over_and_told(tmp_path: Path) -> None:
    for name in ("b.txt", "src/a.c", "LICENSE"):
        write(tmp_path, b"text\n", name)
    for name in ("train.sh", "data.json", "checkpoints/notes.log"):
        write(tmp_path, b"text\n", name)
    write(tmp_path, b"#!/usr/bin/env python3\n", "tool")
    for name in ("checkpoints/run/config.json", "checkpoints/run/metrics.jsonl"):
        write(tmp_path, b"{}", name)
    write(tmp_path, b"text\n", "checkpoints/run/last/20/state.txt")
    for name in ("corpora/x/manifest.json", "corpora/x/tokenizer.model", "corpora/x/more.txt"):
        write(tmp_path, b"{}", name)
    for name in (".hidden", ".git/x.txt", ".git/y.txt"):
        write(tmp_path, b"text\n", name)
    write(tmp_path, b"\x89PNG\0\0" * 20, "picture.png")
    write(tmp_path, b"", "empty.txt")
    assert [file.name for file in find_sources([tmp_path])] == ["LICENSE", "b.txt", "src/a.c"]
    (line,) = passed_over([tmp_path, tmp_path / "b.txt"])
    for part in (
        "1 binary file,", "1 empty file,", "1 hidden file,", "1 hidden folder,", "1 run folder",
        "1 prepared corpus,", "4 files of settings, data, markup or a script,", str(tmp_path),
    ):  # fmt: skip
        assert part in line
    assert passed_over([tmp_path / "src"]) == []


@pytest.mark.skipif(os.mkdir not in os.supports_dir_fd, reason="makes folders by descriptors")
def test_a_folder_that_cant_be_read_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, b"text")
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(25):  # deeper than a path can name, which holds for root too
        os.mkdir("d" * 200, dir_fd=here)
        inner = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    with pytest.raises(CorpusError, match="Can't read a text") as error:
        find_sources([tmp_path])
    assert error.value.remedy


def test_scripts_and_data_are_taken_where_there_is_nothing_else(tmp_path: Path) -> None:
    for name in ("a.sh", "b.json"):
        write(tmp_path, b"text\n", name)
    assert [file.name for file in find_sources([tmp_path])] == ["a.sh", "b.json"]


@pytest.mark.parametrize(
    "address", ["https://example.org/a/novel.txt", "http://example.org", "ftp://x.org/a.txt"]
)
def test_an_address_is_refused_as_such(address: str, here: Path) -> None:
    with pytest.raises(CorpusError, match="is an address") as error:
        find_sources([Path(address)])
    assert address in error.value.message
    assert f"curl -LO {address}`" in error.value.remedy


def test_a_pattern_is_told_what_it_matches(here: Path) -> None:
    write(here, b"text", "poems/a.txt")
    for pattern in ("poems/*.md", "poems/[b-z].txt", "nowhere/?.txt"):
        with pytest.raises(CorpusError, match="No file matches") as error:
            find_sources([Path(pattern)])
        assert pattern in error.value.message
    with pytest.raises(CorpusError, match="matches 1 files") as error:
        find_sources([Path("poems/*.txt")])
    assert "quotes" in error.value.remedy
    named = write(here, b"text", "odd[1]*.txt")
    assert [file.path for file in find_sources([named])] == [named]


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

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from chargen.corpus import tokens
from chargen.corpus.prepared import PreparedCorpus
from chargen.corpus.preparing import prepare
from chargen.errors import CorpusError
from chargen.options import CorpusConfig
from tests.corpus.texts import CHINESE, ODD, write


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared corpus, only to be read."""
    folder = tmp_path_factory.mktemp("whole")
    return prepare([write(folder / "text.txt", CHINESE + ODD)], folder / "out", CorpusConfig()).path


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """A copy to do anything to."""
    return Path(shutil.copytree(whole, tmp_path / "corpus"))


def change_manifest(folder: Path, **values: object) -> None:
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    manifest.pop("sha256", None)
    (folder / "manifest.json").write_text(json.dumps({**manifest, **values}), "utf-8")


def test_tokens_are_read_only_and_an_empty_split_is_an_empty_array(tmp_path: Path) -> None:
    source = write(tmp_path / "text.txt", CHINESE)
    prepare([source], tmp_path / "out", CorpusConfig(val_frac=0))
    corpus = PreparedCorpus.open(str(tmp_path / "out"))
    assert corpus.val.shape == (0,)
    assert corpus.manifest.val.pieces == 0
    for array in (corpus.train, corpus.val):
        assert not array.flags.writeable


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[5] ^= 1
    path.write_bytes(data)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "flipped": flip,
    "zeroed": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "cut": lambda path: os.truncate(path, 4),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"more"),
    "gone": Path.unlink,
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "a link": lambda path: (path.rename(path.parent.parent / "f"), path.symlink_to("../f")),
    "a pipe": lambda path: (path.unlink(), os.mkfifo(path)),
}


@pytest.mark.skipif(os.name == "nt", reason="links and pipes of POSIX")
@pytest.mark.parametrize("name", ["train.bin", "val.bin", "tokenizer.model"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_found_on_opening_and_by_verify(
    damage: str, name: str, folder: Path
) -> None:
    corpus = PreparedCorpus.open(folder)
    assert corpus.verify() == []
    DAMAGES[damage](folder / name)
    if (damage, name) == ("a link", "tokenizer.model"):  # it is read at once, as a whole
        assert corpus.verify() == []
        return
    with pytest.raises(CorpusError, match=name) as error:
        PreparedCorpus.open(folder)
    assert error.value.remedy
    (problem,) = corpus.verify()
    assert problem.startswith(name)


def test_every_damaged_file_is_listed(folder: Path) -> None:
    corpus = PreparedCorpus.open(folder)
    for name in ("train.bin", "tokenizer.model"):
        flip(folder / name)
    (folder / "val.bin").unlink()
    assert [line.split()[0] for line in corpus.verify()] == [
        "tokenizer.model",
        "train.bin",
        "val.bin",
    ]


def test_no_number_reaches_beyond_the_vocabulary(folder: Path) -> None:
    """Not even where the manifest vouches for it."""
    data = np.fromfile(folder / "train.bin", "<u2")
    size = PreparedCorpus.open(folder).tokenizer.size
    data[7] = size
    data.tofile(folder / "train.bin")
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    files = {**manifest["files"], "train.bin": hashlib.sha256(data.tobytes()).hexdigest()}
    change_manifest(folder, files=files)
    with pytest.raises(CorpusError, match=f"piece {size}, but the vocabulary has only {size}"):
        PreparedCorpus.open(folder)
    change_manifest(folder, files=files, vocabulary={**manifest["vocabulary"], "size": size + 1})
    with pytest.raises(CorpusError, match=r"tokenizer\.model"):
        PreparedCorpus.open(folder)


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read in full, in order."""
    seen: list[str] = []
    real = tokens._content

    def noted(file: object, dtype: object) -> object:
        seen.append(Path(file.name).name)  # type: ignore[attr-defined]
        return real(file, dtype)  # type: ignore[arg-type]

    monkeypatch.setattr(tokens, "_content", noted)
    return seen


def age(folder: Path, seconds: float = 60) -> None:
    for path in folder.iterdir():
        os.utime(path, (time.time() - seconds,) * 2)


def test_a_file_is_verified_once_until_it_changes(folder: Path, hashed: list[str]) -> None:
    age(folder)
    for _ in range(3):
        PreparedCorpus.open(folder)
    assert hashed == ["train.bin", "val.bin"]
    status = (folder / "train.bin").stat()
    flip(folder / "train.bin")
    os.utime(folder / "train.bin", ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(CorpusError, match="SHA-256"):  # by the time of the change of the inode
        PreparedCorpus.open(folder)


def test_a_file_written_a_moment_ago_is_read_again(folder: Path, hashed: list[str]) -> None:
    age(folder, 0)
    for _ in range(2):
        PreparedCorpus.open(folder)
    assert hashed == ["train.bin", "val.bin"] * 2


def test_verify_reads_everything_every_time(folder: Path, hashed: list[str]) -> None:
    age(folder)
    corpus = PreparedCorpus.open(folder)
    hashed.clear()
    assert corpus.verify() + corpus.verify() == []
    assert hashed == ["train.bin", "val.bin"] * 2


@pytest.mark.skipif(os.name == "nt", reason="Windows replaces no mapped file")
def test_what_is_open_stays_what_it_is(folder: Path, tmp_path: Path) -> None:
    corpus = PreparedCorpus.open(folder)
    before = corpus.train.tolist()
    other = write(tmp_path / "other.txt", CHINESE[::-1])
    prepare([other], folder, CorpusConfig(), force=True)
    assert corpus.train.tolist() == before
    assert PreparedCorpus.open(folder).train.tolist() != before


def test_what_is_no_whole_prepared_corpus_does_not_open(folder: Path, tmp_path: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    vocabulary = {**manifest["vocabulary"], "size": 10**9}
    for text, reason in [
        (json.dumps({k: v for k, v in manifest.items() if k != "train"}), "train"),
        (json.dumps({**manifest, "characters": "many"}), "characters"),
        (json.dumps({**manifest, "dtype": "float64"}), "dtype is 'float64'"),
        (json.dumps({**manifest, "vocabulary": vocabulary}), "size is 1000000000"),
        (json.dumps({**manifest, "files": {"../../ff": "00"}}), "files are not"),
        (json.dumps({**manifest, "train": {"characters": 3, "pieces": -1}}), "contradict"),
        (json.dumps({**manifest, "coverage": float("nan")}), "NaN"),
        (json.dumps({**manifest, "warnings": ["\ud800"]}), "lone surrogate"),
        (json.dumps({**manifest, "oov_rate": 0.5}), "its digest differs"),
        (json.dumps([1]), "not the manifest"),
        ("[" * 100_000, "nested too deeply"),
        ('{"format": ', "damaged"),
        ("\x00", "damaged"),
    ]:
        (folder / "manifest.json").write_text(text)
        with pytest.raises(CorpusError, match=reason) as error:
            PreparedCorpus.open(folder)
        assert error.value.remedy
        assert "\n" not in error.value.message
    for missing in (tmp_path, tmp_path / "nowhere", folder / "train.bin"):
        with pytest.raises(CorpusError, match="not a prepared corpus"):
            PreparedCorpus.open(missing)


def test_a_manifest_without_end_is_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chargen.corpus.manifest.MOST_BYTES", 1000)
    with pytest.raises(CorpusError, match="longer than 1,000 bytes"):
        PreparedCorpus.open(folder)


def test_a_foreign_tokenizer_is_an_error(folder: Path, tmp_path: Path) -> None:
    source = write(tmp_path / "text.txt", CHINESE + ODD)
    other = prepare([source], tmp_path / "other", CorpusConfig(vocab_size=50))
    other.tokenizer.save(folder / "tokenizer.model")
    with pytest.raises(CorpusError, match=r"tokenizer\.model is not the tokenizer"):
        PreparedCorpus.open(folder)


def test_importing_the_package_loads_nothing_heavy() -> None:
    import subprocess
    import sys

    code = (
        "import sys, chargen.corpus.opening, chargen.corpus.windows\n"
        "heavy = {'torch', 'typer', 'rich', 'sentencepiece', 'charset_normalizer', 'opencc'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "[]\n"

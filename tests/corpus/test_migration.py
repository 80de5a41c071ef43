from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chargen import __version__
from chargen.corpus.identity import CorpusRequest
from chargen.corpus.manifest import read_manifest
from chargen.corpus.migration import READING, VERSION
from chargen.corpus.prepared import PreparedCorpus
from chargen.corpus.preparing import prepare
from chargen.errors import CorpusError
from chargen.options import CorpusConfig

FORMATS = Path(__file__).parents[1] / "formats"
TEXT = FORMATS / "harbour.txt"
SETTINGS = CorpusConfig(vocab_size=100)
NOTES = FORMATS / "notes.jsonl"
LABELS = CorpusConfig(vocab_size=40, val_frac=0.34, label_key=("mood", "day"))
VERSIONS = range(1, VERSION + 1)


def settings_of(version: int) -> CorpusConfig:
    """What the corpus of a version was prepared with: before version 3, all lines were kept."""
    return SETTINGS if version >= 3 else replace(SETTINGS, unwrap="no")


def changed(tmp_path: Path, **values: Any) -> Path:
    """A copy of the corpus of version 1 with other values in its manifest."""
    folder = Path(shutil.copytree(FORMATS / "corpus-v1", tmp_path / "copy"))
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    (folder / "manifest.json").write_text(json.dumps({**manifest, **values}), "utf-8")
    return folder


@pytest.mark.parametrize("version", VERSIONS)
def test_a_corpus_of_every_version_opens(version: int) -> None:
    folder = FORMATS / f"corpus-v{version}"
    assert json.loads((folder / "manifest.json").read_text("utf-8"))["version"] == version
    corpus = PreparedCorpus.open(folder)
    assert corpus.verify() == []
    text = corpus.tokenizer.decode(corpus.train) + corpus.tokenizer.decode(corpus.val)
    assert text == TEXT.read_bytes().decode("utf-8")
    assert corpus.manifest.config == settings_of(version)
    assert corpus.manifest.joined == 0
    assert [source.name for source in corpus.manifest.sources] == ["harbour.txt"]


def test_a_corpus_of_this_reading_is_reused(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(FORMATS / f"corpus-v{VERSION}", tmp_path / "copy"))
    before = (folder / "manifest.json").read_bytes()
    corpus = prepare([TEXT], folder, SETTINGS)
    assert (folder / "manifest.json").read_bytes() == before
    assert corpus.manifest.files == prepare([TEXT], tmp_path / "new", SETTINGS).manifest.files


@pytest.mark.parametrize("version", range(1, 5))
def test_a_corpus_of_an_earlier_reading_isnt_taken_for_a_new_one(
    version: int, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(FORMATS / f"corpus-v{version}", tmp_path / "copy"))
    settings = settings_of(version)
    with pytest.raises(CorpusError, match="by an earlier chargen, which reads some") as error:
        prepare([TEXT], folder, settings)
    assert "force" in error.value.remedy
    assert prepare([TEXT], folder, settings, force=True).manifest.reading == READING


def test_the_key_of_a_corpus_tells_readings_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    now = CorpusRequest.of([TEXT], SETTINGS).folder_name
    monkeypatch.setattr("chargen.corpus.identity.READING", READING + 1)
    assert CorpusRequest.of([TEXT], SETTINGS).folder_name != now


def test_records_of_version_4_are_those_of_their_file(tmp_path: Path) -> None:
    corpus = PreparedCorpus.open(FORMATS / "corpus-v4-labels")
    made = corpus.manifest.records
    assert made is not None
    lines = [json.loads(line) for line in NOTES.read_text("utf-8").splitlines()]
    splits = {False: corpus.train_records, True: corpus.val_records}
    taken = {False: 0, True: 0}
    for n, line in enumerate(lines):
        is_val = n in (2, 5)
        ids = splits[is_val].side(taken[is_val])
        numbers = splits[is_val].labels[taken[is_val]]
        taken[is_val] += 1
        assert corpus.tokenizer.decode(ids) == line["text"]
        assert ids[-1] == corpus.tokenizer.end_id
        for key, values, number in zip(made.keys, made.values, numbers, strict=True):
            label = None if line[key] is None else str(line[key])
            assert ([None] + [value for value, _ in values])[number] == label
    assert taken == {False: made.train, True: made.val}
    assert corpus.manifest.files == prepare([NOTES], tmp_path / "new", LABELS).manifest.files


def test_all_versions_say_the_same() -> None:
    manifests = [read_manifest(FORMATS / f"corpus-v{version}") for version in VERSIONS]
    assert [each.name for each in manifests] == ["corpus-v1", *["harbour"] * (VERSION - 1)]
    newest = manifests[-1]
    for version, old in zip(VERSIONS, manifests, strict=True):
        same = replace(old, name=newest.name, chargen_version=newest.chargen_version)
        assert replace(same, config=SETTINGS, reading=newest.reading) == newest
        assert old.reading == (1 if version < 5 else 2)
        assert old.config == settings_of(version)


def test_paths_of_version_1_become_names_in_warnings_too(tmp_path: Path) -> None:
    manifest = json.loads((FORMATS / "corpus-v1" / "manifest.json").read_text("utf-8"))
    source = {**manifest["sources"][0], "path": "C:\\users\\me\\old.txt"}
    other = {**manifest["sources"][0], "path": "/home/me/new.txt"}
    warnings = ["/home/me/new.txt is empty.", "C:\\users\\me\\old.txt: 2 bad byte sequences."]
    found = read_manifest(changed(tmp_path, sources=[source, other], warnings=warnings))
    assert [each.name for each in found.sources] == ["old.txt", "new.txt"]
    assert found.warnings == ("new.txt is empty.", "old.txt: 2 bad byte sequences.")


@pytest.mark.parametrize("version", [0, 99, "2", True, None, [1], 1.0])
def test_an_unknown_version_is_refused_in_one_line(version: Any, tmp_path: Path) -> None:
    folder = changed(tmp_path, version=version, chargen_version="7.1.0")
    with pytest.raises(CorpusError, match="format version") as error:
        PreparedCorpus.open(folder)
    assert "written by chargen 7.1.0" in error.value.message
    assert f"chargen {__version__} reads versions 1, 2, 3, 4 and 5" in error.value.message
    assert "\n" not in error.value.message
    assert error.value.remedy


@pytest.mark.parametrize(
    "values",
    [
        {"sources": 5},
        {"sources": [5]},
        {"sources": [{}]},
        {"sources": [{"path": 5}]},
        {"warnings": None},
        {"warnings": [5]},
    ],
    ids=str,
)
def test_a_damaged_manifest_of_version_1_is_an_error(
    values: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(CorpusError, match="is damaged"):
        PreparedCorpus.open(changed(tmp_path, **values))

from __future__ import annotations

import errno
import json
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chargen.config import CorpusConfig
from chargen.corpus.manifest import read_manifest
from chargen.corpus.prepared import PreparedCorpus, Progress, matches, prepare
from chargen.corpus.writing import _SplitWriter
from chargen.errors import ConfigError, CorpusError
from tests.corpus.texts import CHINESE, ENGLISH, ODD, any_text


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write(tmp_path / "text.txt", CHINESE + ODD)


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def text_of(corpus: PreparedCorpus) -> str:
    return corpus.tokenizer.decode(corpus.train) + corpus.tokenizer.decode(corpus.val)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=any_text, vocab_size=st.integers(2, 40), val_frac=st.sampled_from([0.0, 0.1, 0.5]))
def test_any_text_survives_the_round_trip(
    tmp_path: Path, text: str, vocab_size: int, val_frac: float
) -> None:
    text = ("ab " + text).replace("\r", "")
    file = write(tmp_path / "any.txt", text)
    config = CorpusConfig(vocab_size=vocab_size, val_frac=val_frac, encoding="utf-8")
    corpus = prepare([file], tmp_path / "out", config)
    manifest = corpus.manifest
    assert text_of(corpus) == text
    assert manifest.characters == len(text)
    assert manifest.train.characters + manifest.val.characters == len(text)
    assert (len(corpus.train), len(corpus.val)) == (manifest.train.pieces, manifest.val.pieces)


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "gb18030", "gbk", "utf-16-le"])
def test_a_legacy_encoding_gives_the_same_tokens_as_its_utf8_twin(
    tmp_path: Path, codec: str
) -> None:
    twin = prepare([write(tmp_path / "a.txt", CHINESE)], tmp_path / "a", CorpusConfig())
    crlf = CHINESE.replace("\n", "\r\n")
    file = write(tmp_path / "b.txt", crlf, codec)
    corpus = prepare([file], tmp_path / "b", CorpusConfig())
    assert corpus.manifest.files == twin.manifest.files
    assert corpus.manifest.newlines_converted == CHINESE.count("\n")


def test_the_manifest_describes_text_and_vocabulary(tmp_path: Path, source: Path) -> None:
    manifest = prepare([source], tmp_path / "out", CorpusConfig(vocab_size=50)).manifest
    text = CHINESE + ODD
    counts = Counter(text)
    assert manifest.oov == "bytes"
    assert manifest.characters == len(text)
    assert manifest.distinct == len(counts)
    vocabulary = manifest.vocabulary
    assert (vocabulary.characters, vocabulary.byte_pieces, vocabulary.reserved) == (50, 256, 1)
    assert vocabulary.size == 307
    assert manifest.left_out_distinct == len(counts) - 50 + ("\n" not in counts)
    assert len(manifest.left_out) == 20
    assert [n for _, n in manifest.left_out] == sorted((n for _, n in manifest.left_out))[::-1]
    assert all(counts[c] == n for c, n in manifest.left_out)
    assert manifest.coverage == pytest.approx(1 - manifest.oov_characters / len(text))
    assert manifest.oov_rate == pytest.approx(1 - manifest.coverage)
    assert (manifest.dtype, manifest.round_trip) == ("uint16", "exact")
    assert read_manifest(tmp_path / "out") == manifest


def test_unk_loses_only_what_the_vocabulary_leaves_out(tmp_path: Path, source: Path) -> None:
    corpus = prepare([source], tmp_path / "out", CorpusConfig(vocab_size=50, oov="unk"))
    unseen = set(corpus.tokenizer.unseen(CHINESE + ODD))
    expected = "".join("\ufffd" if c in unseen else c for c in CHINESE + ODD)
    assert text_of(corpus) == expected
    tokens = np.concatenate([corpus.train, corpus.val])
    assert int((tokens == corpus.tokenizer.unk_id).sum()) == corpus.manifest.oov_characters
    assert corpus.manifest.round_trip == "exact but for <unk>"
    assert any("U+0000 and U+2581" in line for line in corpus.manifest.warnings)


def test_auto_has_no_bytes_where_all_is_kept(tmp_path: Path) -> None:
    file = write(tmp_path / "text.txt", ENGLISH)
    manifest = prepare([file], tmp_path / "out", CorpusConfig()).manifest
    assert (manifest.oov, manifest.coverage, manifest.left_out) == ("unk", 1.0, ())
    assert manifest.round_trip == "exact"


def test_a_vocabulary_beyond_16_bits_has_32_bit_tokens(tmp_path: Path) -> None:
    text = "".join(map(chr, range(0x20000, 0x20000 + 66_000)))
    file = write(tmp_path / "text.txt", text)
    corpus = prepare([file], tmp_path / "out", CorpusConfig(vocab_size=70_000))
    assert corpus.manifest.dtype == "uint32"
    assert corpus.train.dtype == np.uint32
    assert text_of(corpus) == text


def test_the_validation_split_is_the_tail_from_a_line_end(tmp_path: Path) -> None:
    file = write(tmp_path / "text.txt", ENGLISH * 10)
    corpus = prepare([file], tmp_path / "out", CorpusConfig(val_frac=0.1))
    train = corpus.tokenizer.decode(corpus.train)
    assert train.endswith("\n")
    assert abs(len(train) - 0.9 * len(ENGLISH * 10)) <= len(ENGLISH * 10) / 100


def test_tokens_are_read_only_and_an_empty_split_is_an_empty_array(
    tmp_path: Path, source: Path
) -> None:
    prepare([source], tmp_path / "out", CorpusConfig(val_frac=0))
    corpus = PreparedCorpus.open(str(tmp_path / "out"))
    assert corpus.val.shape == (0,)
    assert corpus.manifest.val.pieces == 0
    for array in (corpus.train, corpus.val):
        assert not array.flags.writeable


def test_several_files_and_folders_are_one_text(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    paths = [write(tmp_path / "one.txt", "first"), tmp_path / "folder"]
    write(tmp_path / "folder/a.txt", "甲", "utf-16")
    write(tmp_path / "folder/b.txt", "乙\n")
    corpus = prepare(paths, tmp_path / "out", CorpusConfig())
    assert text_of(corpus) == "first\n甲\n乙\n"
    assert [s.newline_added for s in corpus.manifest.sources] == [True, True, False]
    assert [s.encoding for s in corpus.manifest.sources] == ["utf-8", "utf-16-le", "utf-8"]


def test_preparing_twice_gives_the_same_bytes(tmp_path: Path, source: Path) -> None:
    prepare([source], tmp_path / "a", CorpusConfig(vocab_size=50))
    prepare([source], tmp_path / "b", CorpusConfig(vocab_size=50))
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert sorted(contents(tmp_path / "a")) == sorted(
        ["manifest.json", "tokenizer.model", "train.bin", "val.bin"]
    )


def test_replacements_are_counted_and_warned_of(tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_bytes("\ufffd".encode() + CHINESE.encode() + b"\xff\xfe")
    with pytest.raises(CorpusError, match=f"byte offset {len(CHINESE.encode()) + 3}"):
        prepare([file], tmp_path / "out", CorpusConfig())
    assert not (tmp_path / "out").exists()
    corpus = prepare([file], tmp_path / "out", CorpusConfig(errors="replace"))
    assert text_of(corpus) == "\ufffd" + CHINESE + "\ufffd\ufffd"
    assert corpus.manifest.replacements == 2
    assert any("2 bad byte sequences" in line for line in corpus.manifest.warnings)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("\ufeff", "empty"),
        (" \n\t\u3000\r\n", "white space"),
        ("啊" * 50, "one distinct"),
        ("啊\n" * 50, "one distinct"),
    ],
)
def test_a_text_with_nothing_to_learn_is_an_error_that_leaves_nothing(
    tmp_path: Path, text: str, reason: str
) -> None:
    file = write(tmp_path / "text.txt", text)
    with pytest.raises(CorpusError, match=reason) as error:
        prepare([file], tmp_path / "new/out", CorpusConfig())
    assert error.value.remedy
    assert [path.name for path in tmp_path.iterdir()] == ["text.txt"]


def test_settings_out_of_range_are_all_named(tmp_path: Path, source: Path) -> None:
    with pytest.raises(ConfigError, match=r"vocab_size.*val_frac"):
        prepare([source], tmp_path / "out", CorpusConfig(vocab_size=0, val_frac=1.5))


def test_a_prepared_corpus_is_replaced_and_nothing_else_is(tmp_path: Path, source: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    prepare([source], out, CorpusConfig())  # an empty folder is free
    prepare([source], out, CorpusConfig(vocab_size=50))
    assert PreparedCorpus.open(out).manifest.vocabulary.characters == 50
    (out / "notes.txt").write_text("mine")
    before = contents(tmp_path)
    with pytest.raises(CorpusError, match=r"notes\.txt"):
        prepare([source], out, CorpusConfig())
    (tmp_path / "other").mkdir()
    write(tmp_path / "other/manifest.json", '{"format": "cargo"}')
    for taken in (tmp_path / "other", source):
        with pytest.raises(CorpusError):
            prepare([source], taken, CorpusConfig())
    assert contents(tmp_path).items() >= before.items()


@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "No space left on device"), None])
def test_a_failure_leaves_what_was_there(
    tmp_path: Path,
    source: Path,
    monkeypatch: pytest.MonkeyPatch,
    failure: OSError | None,
    existing: bool,
) -> None:
    out = tmp_path / "new/deep/out"
    if existing:
        prepare([source], out, CorpusConfig(vocab_size=50))
    before = contents(tmp_path)
    expected: type[BaseException] = KeyboardInterrupt if failure is None else CorpusError

    def fail(self: object, ids: object, characters: int) -> None:
        raise failure or KeyboardInterrupt

    monkeypatch.setattr(_SplitWriter, "write", fail)
    with pytest.raises(expected) as error:
        prepare([source], out, CorpusConfig())
    if failure:
        assert "No space left on device" in str(error.value)
    assert contents(tmp_path) == before
    assert (tmp_path / "new").exists() is existing


def test_a_replacement_that_cant_be_renamed_brings_the_old_one_back(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    prepare([source], out, CorpusConfig(vocab_size=50))
    before = contents(tmp_path)
    rename, calls = Path.rename, []

    def second_fails(self: Path, target: Path) -> Path:
        calls.append(target)
        if len(calls) == 2:
            raise OSError(errno.EIO, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", second_fails)
    with pytest.raises(CorpusError, match="Input/output error"):
        prepare([source], out, CorpusConfig())
    assert contents(tmp_path) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "text.txt"]


def test_an_output_below_a_file_is_an_error(tmp_path: Path, source: Path) -> None:
    with pytest.raises(CorpusError, match="Not a directory"):
        prepare([source], source / "out", CorpusConfig())


def test_a_source_that_changes_meanwhile_is_an_error(tmp_path: Path, source: Path) -> None:
    def change(progress: Progress) -> None:
        if progress.phase == "encode" and not progress.done:
            write(source, CHINESE + ODD[::-1])

    with pytest.raises(CorpusError, match="changed while"):
        prepare([source], tmp_path / "out", CorpusConfig(), change)
    assert not (tmp_path / "out").exists()


def test_tokens_that_do_not_decode_to_the_text_are_never_written(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chargen.corpus.tokenizer.Tokenizer.decode", lambda self, ids: "wrong")
    with pytest.raises(CorpusError, match="don't decode"):
        prepare([source], tmp_path / "out", CorpusConfig())
    assert not (tmp_path / "out").exists()


def test_progress_counts_the_bytes_of_each_phase(tmp_path: Path, source: Path) -> None:
    seen: list[Progress] = []
    prepare([source], tmp_path / "out", CorpusConfig(), seen.append)
    size = source.stat().st_size
    assert list(dict.fromkeys(p.phase for p in seen)) == ["detect", "count", "encode"]
    for phase in ("detect", "count", "encode"):
        done = [p.done for p in seen if p.phase == phase]
        assert done[0] == 0
        assert done == sorted(done)
        assert done[-1] == size
    assert {p.total for p in seen} == {size}


def test_matches_tells_same_sources_and_settings(tmp_path: Path, source: Path) -> None:
    out, config = tmp_path / "out", CorpusConfig()
    assert not matches(out, [source], config)
    prepare([source], out, config)
    assert matches(out, [source], config)
    assert not matches(out, [source], CorpusConfig(val_frac=0.2))
    assert not matches(out, [source, source], config)
    assert not matches(out, [tmp_path / "missing"], config)
    stamp = source.stat()
    data = source.read_bytes()
    source.write_bytes(data[:-1] + b"x")
    os.utime(source, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert not matches(out, [source], config)
    source.write_bytes(data)
    (out / "train.bin").write_bytes(b"")
    assert not matches(out, [source], config)


def test_verify_names_each_damaged_file(tmp_path: Path, source: Path) -> None:
    corpus = prepare([source], tmp_path / "out", CorpusConfig())
    assert corpus.verify() == []
    data = bytearray((corpus.path / "train.bin").read_bytes())
    data[5] ^= 1
    (corpus.path / "train.bin").write_bytes(data)
    (corpus.path / "val.bin").unlink()
    problems = corpus.verify()
    assert [line.split(":")[0] for line in problems] == ["train.bin", "val.bin"]


def test_what_is_no_whole_prepared_corpus_does_not_open(tmp_path: Path, source: Path) -> None:
    out = tmp_path / "out"
    prepare([source], out, CorpusConfig())
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    damaged = {k: v for k, v in manifest.items() if k != "train"}
    for text, reason in [
        (json.dumps({**manifest, "version": 99}), "version 99"),
        (json.dumps(damaged), "train"),
        (json.dumps({**manifest, "characters": "many"}), "characters"),
        (json.dumps([1]), "not the manifest"),
        ('{"format": ', "damaged"),
        ("\x00", "damaged"),
    ]:
        (out / "manifest.json").write_text(text)
        with pytest.raises(CorpusError, match=reason) as error:
            PreparedCorpus.open(out)
        assert error.value.remedy
    for missing in (tmp_path, tmp_path / "nowhere", source):
        with pytest.raises(CorpusError, match="not a prepared corpus"):
            PreparedCorpus.open(missing)


def test_a_truncated_file_or_foreign_tokenizer_is_an_error(tmp_path: Path, source: Path) -> None:
    out = tmp_path / "out"
    prepare([source], out, CorpusConfig())
    other = prepare([source], tmp_path / "other", CorpusConfig(vocab_size=50))
    other.tokenizer.save(out / "tokenizer.model")
    with pytest.raises(CorpusError, match=r"tokenizer\.model"):
        _ = PreparedCorpus.open(out).tokenizer
    os.truncate(out / "train.bin", 10)
    with pytest.raises(CorpusError, match="10 bytes"):
        PreparedCorpus.open(out)


def test_a_name_that_is_not_utf8_is_recorded_legibly(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.txt"))
    try:
        write(path, ENGLISH)
    except OSError:
        pytest.skip("this file system has names in UTF-8 only")
    corpus = prepare([path], tmp_path / "out", CorpusConfig())
    assert corpus.manifest.sources[0].path.endswith("caf\\udce9.txt")


def test_importing_the_package_loads_nothing_heavy() -> None:
    import subprocess
    import sys

    code = (
        "import sys, chargen.corpus.prepared, chargen.corpus.windows\n"
        "heavy = {'torch', 'typer', 'rich', 'sentencepiece', 'charset_normalizer', 'opencc'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "[]\n"

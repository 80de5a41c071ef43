from __future__ import annotations

import errno
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chargen.corpus.manifest import read_manifest
from chargen.corpus.prepared import PreparedCorpus
from chargen.corpus.preparing import prepare
from chargen.corpus.progress import PrepareProgress
from chargen.corpus.split_writer import SplitWriter
from chargen.errors import ConfigError, CorpusError
from chargen.options import CorpusConfig
from tests.corpus.texts import CHINESE, ENGLISH, ODD, any_text, contents, text_of, write


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=any_text, vocab_size=st.integers(2, 40), val_frac=st.sampled_from([0.0, 0.1, 0.5]))
def test_any_text_survives_the_round_trip(
    tmp_path: Path, text: str, vocab_size: int, val_frac: float
) -> None:
    text = ("ab " + text).replace("\r", "")
    file = write(tmp_path / "any.txt", text)
    config = CorpusConfig(vocab_size=vocab_size, val_frac=val_frac, encoding="utf-8")
    corpus = prepare([file], tmp_path / "out", config, force=True)
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
    assert any("2 undecodable byte sequences" in line for line in corpus.manifest.warnings)


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

    monkeypatch.setattr(SplitWriter, "write", fail)
    with pytest.raises(expected) as error:
        prepare([source], out, CorpusConfig(), force=True)
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
        prepare([source], out, CorpusConfig(), force=True)
    assert contents(tmp_path) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "text.txt"]


def test_an_output_below_a_file_is_an_error(tmp_path: Path, source: Path) -> None:
    with pytest.raises(CorpusError, match="Not a directory"):
        prepare([source], source / "out", CorpusConfig())


def test_a_source_that_changes_meanwhile_is_an_error(tmp_path: Path, source: Path) -> None:
    def change(progress: PrepareProgress) -> None:
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
    seen: list[PrepareProgress] = []
    prepare([source], tmp_path / "out", CorpusConfig(), seen.append)
    size = source.stat().st_size
    assert list(dict.fromkeys(p.phase for p in seen)) == ["detect", "count", "encode"]
    for phase in ("detect", "count", "encode"):
        done = [p.done for p in seen if p.phase == phase]
        assert done[0] == 0
        assert done == sorted(done)
        assert done[-1] == size
    assert {p.total for p in seen} == {size}


def test_an_empty_folder_may_be_filled(tmp_path: Path, source: Path) -> None:
    (tmp_path / "out").mkdir()
    assert prepare([source], tmp_path / "out", CorpusConfig()).path == tmp_path / "out"


def stamps(folder: Path) -> list[int]:
    return [path.stat().st_mtime_ns for path in sorted(folder.iterdir())]


def test_the_same_content_and_settings_are_prepared_once(tmp_path: Path, source: Path) -> None:
    out = tmp_path / "out"
    prepare([source], out, CorpusConfig())
    before = stamps(out)
    twin = write(tmp_path / "elsewhere.txt", CHINESE + ODD)
    phases: list[str] = []
    prepare([twin], out, CorpusConfig(), lambda progress: phases.append(progress.phase))
    assert (stamps(out), phases) == (before, [])
    prepare([source], out, CorpusConfig(), force=True)
    assert stamps(out) != before


def test_another_corpus_is_replaced_by_force_alone(tmp_path: Path, source: Path) -> None:
    out = tmp_path / "out"
    prepare([source], out, CorpusConfig())
    before = contents(out)
    other = write(tmp_path / "other.txt", CHINESE)
    for sources, config, difference in (
        ([other], CorpusConfig(), "from other texts"),
        ([source, source], CorpusConfig(), "from other texts"),
        ([source], CorpusConfig(vocab_size=50), "with vocab_size 3000 instead of 50"),
    ):
        with pytest.raises(CorpusError, match=difference) as error:
            prepare(sources, out, config)
        assert "force=True" in error.value.remedy
        assert contents(out) == before
    prepare([source], out, CorpusConfig(vocab_size=50), force=True)
    assert PreparedCorpus.open(out).manifest.vocabulary.characters == 50


def test_a_changed_text_is_noticed_whatever_its_time_says(tmp_path: Path, source: Path) -> None:
    out, stamp = tmp_path / "out", source.stat()
    prepare([source], out, CorpusConfig())
    source.write_bytes(source.read_bytes()[:-1] + b"x")
    os.utime(source, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    with pytest.raises(CorpusError, match="other texts"):
        prepare([source], out, CorpusConfig())


def test_what_is_no_prepared_corpus_is_never_replaced(tmp_path: Path, source: Path) -> None:
    prepare([source], tmp_path / "full", CorpusConfig())
    (tmp_path / "full/notes.txt").write_text("mine")
    (tmp_path / "other").mkdir()
    write(tmp_path / "other/manifest.json", '{"format": "cargo"}')
    (tmp_path / "torn").mkdir()
    write(tmp_path / "torn/manifest.json", '{"format": ')
    before = contents(tmp_path)
    for taken in ("full", "other", "torn", "text.txt"):
        with pytest.raises(CorpusError) as error:
            prepare([source], tmp_path / taken, CorpusConfig(vocab_size=9), force=True)
        assert error.value.remedy
    assert contents(tmp_path) == before


def test_a_damaged_corpus_is_made_again(tmp_path: Path, source: Path) -> None:
    out = tmp_path / "out"
    prepare([source], out, CorpusConfig())
    before = contents(out)
    for name in ("train.bin", "val.bin", "tokenizer.model"):
        (out / name).write_bytes(b"rubbish")
        prepare([source], out, CorpusConfig())
        (out / name).unlink()
        prepare([source], out, CorpusConfig())
    assert contents(out) == before


def test_corpora_of_one_name_stand_side_by_side(here: Path) -> None:
    first = prepare([write(here / "novel.txt", ENGLISH)], None, CorpusConfig()).path
    few = prepare([here / "novel.txt"], None, CorpusConfig(vocab_size=9)).path
    (here / "b").mkdir()
    second = prepare([write(here / "b/novel.txt", CHINESE)], None, CorpusConfig()).path
    both = prepare([here / "novel.txt", here / "b"], None, CorpusConfig()).path
    paths = [first, few, second, both]
    assert [path.parent for path in paths] == [Path("corpora")] * 4
    assert [path.name[:-8] for path in paths] == ["novel-"] * 3 + ["novel+1-"]
    assert len(set(paths)) == 4
    assert {path.name for path in Path("corpora").iterdir()} == {path.name for path in paths}
    assert prepare([here / "novel.txt"], None, CorpusConfig()).path == first
    (first / "manifest.json").write_text("torn")
    assert prepare([here / "novel.txt"], None, CorpusConfig()).manifest.characters == len(ENGLISH)


@pytest.mark.parametrize(
    ("name", "called"),
    [
        (".draft.txt", "draft"),
        ("..txt", "corpus"),
        ("-x.txt", "x"),
        ("a\nb\\c.txt", "a_b_c"),
        ("书" * 70 + ".txt", "书" * 33),
        (os.fsdecode(b"caf\xe9.txt"), "caf_"),
    ],
)
def test_odd_names_give_visible_and_portable_folders(name: str, called: str, here: Path) -> None:
    try:
        write(here / name, ENGLISH)
    except OSError:
        pytest.skip("this file system has no such names")
    corpus = prepare([Path(name)], None, CorpusConfig())
    assert corpus.path.name == f"{called}-{corpus.path.name[-8:]}"
    assert corpus.manifest.name == called
    assert corpus.manifest.sources[0].name.encode()


def test_no_path_of_the_user_is_in_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "private" / "texts"
    (folder / "below").mkdir(parents=True)
    write(folder / "empty.txt", "")
    write(folder / "below/guessed.txt", "안녕하세요 여러분.\n" * 30, "euc-kr")
    write(folder / "below/bad.txt", CHINESE)
    with (folder / "below/bad.txt").open("ab") as file:
        file.write(b"\xff")
    paths = [folder, folder / "below/bad.txt", folder / "empty.txt"]
    corpus = prepare(paths, tmp_path / "out", CorpusConfig(errors="replace"))
    names = [source.name for source in corpus.manifest.sources]
    assert names == ["below/bad.txt", "below/guessed.txt", "bad.txt", "empty.txt"]
    assert len(corpus.manifest.warnings) == 6
    everything = b"".join(contents(tmp_path / "out").values())
    assert b"private" not in everything
    assert str(tmp_path).encode() not in everything


def test_sources_of_one_name_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    paths = [write(tmp_path / "n.txt", CHINESE), write(tmp_path / "b/n.txt", ENGLISH)]
    manifest = prepare(paths, tmp_path / "out", CorpusConfig()).manifest
    digests = manifest.digests_by_name()
    assert list(digests) == ["n.txt", "n.txt (2)"]
    assert list(digests.values()) == [source.sha256 for source in manifest.sources]


def test_a_corpus_on_a_read_only_disk_is_reused(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare([source], tmp_path / "out", CorpusConfig())

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("chargen.corpus.holding.FileLock.acquire", fail)
    assert prepare([source], tmp_path / "out", CorpusConfig()).path == tmp_path / "out"
    with pytest.raises(CorpusError, match="Read-only file system"):
        prepare([source], tmp_path / "new/out", CorpusConfig())
    assert not (tmp_path / "new").exists()

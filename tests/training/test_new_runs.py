from __future__ import annotations

from pathlib import Path

import pytest

import chargen
from chargen.corpus.prepared import PreparedCorpus
from chargen.errors import CheckpointError, ConfigError, CorpusError
from chargen.runs.folder import RunFolder
from chargen.training.events import (
    Event,
    Started,
)
from tests.support import files_in, of_type, train_tiny


def test_only_the_settings_that_are_given_are_compared(tmp_path: Path, here: Path) -> None:
    Path("some.txt").write_text("天地玄黄宇宙洪荒\n" * 200, encoding="utf-8")
    prepared = chargen.prepare("some.txt", "made", vocab_size=7)
    train_tiny(prepared.path, tmp_path, val_frac=0.1)
    train_tiny(None, tmp_path, oov="auto", resume=True)
    with pytest.raises(ConfigError, match="other settings"):
        train_tiny(prepared.path, tmp_path, name="other", val_frac=0.2)


def test_a_short_text_gets_smaller_windows_and_says_so(tmp_path: Path, here: Path) -> None:
    Path("short.txt").write_text("一二三四五六七八九十\n" * 3, encoding="utf-8")
    events: list[Event] = []
    run = train_tiny("short.txt", tmp_path, seq_length=16, batch_size=8, on_event=events.append)
    config = RunFolder(run.path).read_config().training
    assert (config.batch_size, config.seq_length) == (1, 16)
    notes = of_type(events, Started)[0].notes
    assert "The text is short: batch 1 instead of 8." in notes


@pytest.mark.parametrize(("end", "told"), [("アイウエオ\n", True), ("一二三四五\n", False)])
def test_a_validation_split_in_another_script_is_said(
    end: str, told: bool, tmp_path: Path, here: Path
) -> None:
    Path("text.txt").write_text("一二三四五六七八九十\n" * 90 + end * 18, encoding="utf-8")
    events: list[Event] = []
    train_tiny("text.txt", tmp_path, on_event=events.append, max_steps=2)
    notes = of_type(events, Started)[0].notes
    assert any(note.startswith("83% of the validation split") for note in notes) == told


def test_an_unsure_encoding_is_said(tmp_path: Path, here: Path) -> None:
    Path("text.txt").write_bytes("안녕하세요 여러분. 오늘은 비가 옵니다.\n".encode("euc-kr") * 30)
    events: list[Event] = []
    train_tiny("text.txt", tmp_path, on_event=events.append, max_steps=2)
    notes = of_type(events, Started)[0].notes
    (made,) = Path("corpora").iterdir()
    warnings = PreparedCorpus.open(made).manifest.warnings
    assert set(warnings) < set(notes)


@pytest.mark.parametrize("content", ["", "   \n", "aaaa", "字"])
def test_a_text_without_anything_to_learn_leaves_nothing(content: str, here: Path) -> None:
    Path("text.txt").write_text(content, encoding="utf-8")
    with pytest.raises(CorpusError):
        train_tiny("text.txt", Path("checkpoints"))
    assert list(files_in(here)) == ["text.txt"]


def test_problems_are_told_together_and_before_anything_is_written(here: Path) -> None:
    Path("text.txt").write_text("some text\n" * 50, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        train_tiny(
            "text.txt",
            Path("checkpoints"),
            preset="huge",
            cell="nonsense",
            epochs=3,
            val_frac=2,
        )
    text = caught.value.message
    for part in ("'huge'", "'nonsense'", "`epochs` and `max_steps`", "`val_frac` is 2"):
        assert part in text
    assert list(files_in(here)) == ["text.txt"]


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "a\0b"])
def test_a_name_that_can_be_none_is_an_error(name: str, corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be the name of a run"):
        train_tiny(corpus, tmp_path / "out", name=name)
    assert not (tmp_path / "out").exists()


def test_an_existing_name_is_an_error(run: Path, corpus: Path) -> None:
    before = files_in(run)
    with pytest.raises(CheckpointError, match="exists already"):
        train_tiny(corpus, run.parent, name="run")
    assert files_in(run) == before


def test_runs_without_a_name_are_numbered(corpus: Path, tmp_path: Path) -> None:
    names = [train_tiny(corpus, tmp_path, name=None, max_steps=1).path.name for _ in range(2)]
    assert names == ["learnable-lstm-1", "learnable-lstm-2"]


def test_a_run_is_named_after_its_text(here: Path) -> None:
    Path(".draft.txt").write_text("some text\nand more\n" * 50, encoding="utf-8")
    for corpus in (".draft.txt", chargen.prepare(".draft.txt", "anything")):
        assert train_tiny(corpus, here, name=None, max_steps=1).path.name.startswith("draft-lstm-")


def test_a_text_is_prepared_once(here: Path) -> None:
    Path("text.txt").write_text("some text\nand more\n" * 50, encoding="utf-8")
    train_tiny("text.txt", Path("checkpoints"), name="1", max_steps=1)
    (made,) = Path("corpora").iterdir()
    stamp = (made / "manifest.json").stat().st_mtime_ns
    train_tiny("text.txt", Path("checkpoints"), name="2", max_steps=1)
    assert list(Path("corpora").iterdir()) == [made]
    assert (made / "manifest.json").stat().st_mtime_ns == stamp


def test_another_text_or_other_settings_take_nothing_from_a_run(here: Path) -> None:
    Path("text.txt").write_text("some text\nand more\n" * 50, encoding="utf-8")
    train_tiny("text.txt", Path("checkpoints"), name="1", max_steps=1)
    train_tiny("text.txt", Path("checkpoints"), name="2", max_steps=1, vocab_size=5)
    Path("text.txt").write_text("another text\n" * 50, encoding="utf-8")
    train_tiny("text.txt", Path("checkpoints"), name="3", max_steps=1)
    for name in ("1", "2", "3"):
        run = train_tiny(None, Path("checkpoints"), name=name, resume=True, max_steps=3)
        assert run.steps == 3

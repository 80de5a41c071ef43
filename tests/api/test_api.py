"""What ``chargen.*`` does, from text to text."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import chargen
from chargen.errors import ChargenError, CheckpointError, ConfigError, CorpusError
from tests.support import LEARNABLE, files_in, train_tiny


def test_the_readme_story(here: Path) -> None:
    Path("story.txt").write_text(LEARNABLE, encoding="utf-8")
    corpus = chargen.prepare("story.txt")
    assert corpus.path.parent == Path("corpora")
    assert corpus.path.name.startswith("story-")
    assert chargen.prepare(["story.txt"]).path == corpus.path
    assert chargen.prepare("story.txt", val_frac=0).path != corpus.path
    run = chargen.train(corpus, preset="tiny", max_steps=30, device="cpu")
    assert run.path == Path("checkpoints/story-lstm-1")
    model = run.load()
    (text,) = model.generate("春眠", length=20, seed=3)
    assert len(text) == 20
    assert "".join(model.stream("春眠", length=20, seed=3)) == text
    assert model.score("春眠不觉晓").characters == 5
    assert chargen.load().path == chargen.load(run.path.name).path == run.path


def test_a_prepared_folder_is_replaced_by_force_alone(here: Path) -> None:
    Path("story.txt").write_text(LEARNABLE, encoding="utf-8")
    chargen.prepare("story.txt", "folder")
    with pytest.raises(CorpusError, match="exists already") as caught:
        chargen.prepare("story.txt", "folder", vocab_size=9)
    assert "`force=True`" in caught.value.remedy
    assert chargen.prepare("story.txt", "folder").manifest.config.vocab_size == 3000
    made = chargen.prepare("story.txt", "folder", vocab_size=9, force=True)
    assert made.manifest.config.vocab_size == 9


def test_a_shipped_text_goes_by_its_name(here: Path) -> None:
    run = chargen.train("jueju", preset="tiny", max_steps=1)
    assert run.path == Path("checkpoints/jueju-lstm-1")
    assert chargen.prepare("riverside").manifest.name == "riverside"
    with pytest.raises(CorpusError, match="shipped text nonsense") as caught:
        chargen.train("nonsense")
    assert "xiaohecun, riverside, jueju, shipan" in caught.value.remedy


def test_a_file_of_jobs_becomes_a_file_of_texts(trained: Path, here: Path) -> None:
    Path("jobs.txt").write_text("春\n夜\n", encoding="utf-8")
    told: list[object] = []
    chargen.batch(
        "jobs.txt",
        "out.jsonl",
        trained,
        length=4,
        on_begin=lambda model, texts: told.append((model.path, texts)),
        on_progress=lambda progress: told.append(progress.texts),
    )
    assert told == [(trained, 2), 0, 1, 2]
    lines = [json.loads(line) for line in Path("out.jsonl").read_text("utf-8").splitlines()]
    assert [len(line["text"]) for line in lines] == [4, 4]
    with pytest.raises(ConfigError, match="2 options") as caught:
        chargen.batch("jobs.txt", "new.jsonl", trained, resume=True, force=True, top_p=3)
    assert "`resume` and `force` contradict each other" in caught.value.message


def test_novelty_compares_files(here: Path) -> None:
    pytest.importorskip("pydivsufsort")
    Path("corpus.txt").write_text(LEARNABLE, encoding="utf-8")
    Path("texts.txt").write_text("春眠不觉晓，处处闻啼鸟。\n---\n天地玄黄\n", encoding="utf-8")
    report = chargen.novelty("texts.txt", "corpus.txt")
    assert (report.texts, report.longest[0].characters) == (2, 12)


def test_another_device_must_be_there(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ConfigError, match="no CUDA device"):
        chargen.load(trained, device="cuda")


@pytest.mark.parametrize("texts", [[], ["missing.txt"], ["empty"], ["binary.bin"]])
def test_texts_that_are_none(texts: list[str], here: Path) -> None:
    Path("empty").mkdir()
    Path("binary.bin").write_bytes(bytes(range(256)) * 4)
    before = files_in(here)
    for use in (chargen.prepare, lambda paths: train_tiny(paths, here / "out")):
        with pytest.raises(CorpusError) as caught:
            use(texts)  # type: ignore[operator]
        assert caught.value.remedy
    assert files_in(here) == before


def test_settings_of_a_prepared_corpus_hold(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="prepared with other settings"):
        train_tiny(corpus, tmp_path, vocab_size=5)


def test_a_prepared_corpus_need_not_be_on_the_disk_by_name(corpus: Path, tmp_path: Path) -> None:
    from chargen.corpus.prepared import PreparedCorpus

    assert train_tiny(PreparedCorpus.open(corpus), tmp_path, max_steps=2).steps == 2


def test_a_damaged_prepared_corpus_is_told(corpus: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(corpus, tmp_path / "copy"))
    (copy / "train.bin").write_bytes(b"12")
    with pytest.raises(CorpusError, match=r"train\.bin is 2 bytes long"):
        train_tiny(copy, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_evaluated_text_is_read_as_training_text_is(trained: Path, tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes("春眠不觉晓\r\n处处闻啼鸟\r".encode("utf-16"))
    assert chargen.read_text(path) == "春眠不觉晓\n处处闻啼鸟\n"


def test_every_error_has_a_message_and_a_remedy() -> None:
    error = CheckpointError("What.", "What to do.")
    assert isinstance(error, ChargenError)
    assert (str(error), error.message, error.remedy) == (
        "What.\nWhat to do.",
        "What.",
        "What to do.",
    )

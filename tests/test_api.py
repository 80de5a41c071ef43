from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

import chargen
from chargen import api
from chargen.errors import ChargenError, CheckpointError, ConfigError, CorpusError, GenerationError
from tests.support import LEARNABLE, files_in, train_tiny


def test_the_readme_story(here: Path) -> None:
    Path("story.txt").write_text(LEARNABLE, encoding="utf-8")
    corpus = chargen.prepare("story.txt")
    assert corpus.path == Path("corpora/story")
    run = chargen.train(corpus, preset="tiny", max_steps=30)
    assert run.path == Path("checkpoints/story-lstm-1")
    model = chargen.load(run.path)
    (text,) = model.generate("春眠", length=20, seed=3)
    assert len(text) == 20
    assert "".join(model.stream("春眠", length=20, seed=3)) == text
    assert model.score("春眠不觉晓").characters == 5
    assert chargen.load().path == chargen.load("story-lstm-1").path == run.path


def test_a_text_does_not_depend_on_those_beside_it(trained: Path) -> None:
    model = chargen.load(trained)
    many = model.generate("夜", num_samples=5, length=30, seed=4)
    assert len(set(many)) > 1
    assert model.generate("夜", num_samples=2, length=30, seed=4) == many[:2]
    results = model.results("夜", num_samples=5, length=30, seed=4)
    assert [(r.index, r.text, r.finish_reason) for r in results] == [
        (n, text, "length") for n, text in enumerate(many)
    ]


def test_the_weights_are_folded_and_a_prompt_is_read_once(trained: Path) -> None:
    model = chargen.load(trained)
    before = model.generate("春眠", length=5)
    (other,) = chargen.load(trained).generate("夜来", length=5)
    folded, known = model.engine().network, model.engine().cache
    assert model.engine(slots=3, oov_prompt="skip").network is folded
    assert model.engine(slots=3).slots == 3
    assert len(known) == 1
    assert ["".join(model.stream("春眠", length=5))] == before
    assert len(known) == 1
    first, second = model.stream("春眠", length=5), model.stream("夜来", length=5)
    assert [a + b for a, b in zip(first, second, strict=True)] == [
        a + b for a, b in zip(before[0], other, strict=True)
    ]


def test_a_file_of_jobs_becomes_a_file_of_texts(trained: Path, here: Path) -> None:
    Path("jobs.txt").write_text("春\n夜\n", encoding="utf-8")
    told: list[object] = []
    api.batch(
        "jobs.txt",
        "out.jsonl",
        trained,
        length=4,
        on_begin=lambda run, texts: told.append((run, texts)),
        on_progress=lambda progress: told.append(progress.texts),
    )
    assert told == [(trained, 2), 0, 1, 2]
    lines = [json.loads(line) for line in Path("out.jsonl").read_text("utf-8").splitlines()]
    assert [len(line["text"]) for line in lines] == [4, 4]
    with pytest.raises(ConfigError, match="2 options") as caught:
        api.batch("jobs.txt", "new.jsonl", trained, resume=True, force=True, top_p=3)
    assert "resume and force" in caught.value.message


def test_novelty_compares_files(here: Path) -> None:
    pytest.importorskip("pydivsufsort")
    Path("corpus.txt").write_text(LEARNABLE, encoding="utf-8")
    Path("texts.txt").write_text("春眠不觉晓，处处闻啼鸟。\n---\n天地玄黄\n", encoding="utf-8")
    report = api.novelty("texts.txt", "corpus.txt")
    assert (report.texts, report.longest[0].characters) == (2, 12)


def test_generating_leaves_torch_as_it_was(trained: Path) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    chargen.load(trained).generate(length=10)
    assert torch.equal(torch.get_rng_state(), before)


def test_what_is_wrong_is_told_before_the_first_piece(trained: Path) -> None:
    model = chargen.load(trained)
    with pytest.raises(GenerationError, match="never seen 'ж'"):
        model.stream("жизнь")
    with pytest.raises(ConfigError, match="temperature is -1"):
        model.stream(temperature=-1)
    with pytest.raises(ConfigError, match="2 options") as caught:
        model.generate(top_p=3, length=-1)
    assert "top_p" in caught.value.message


def test_characters_never_seen_may_be_left_out(trained: Path) -> None:
    model = chargen.load(trained)
    with_them = model.generate("ж春жж眠", oov_prompt="skip", length=10, seed=1)
    assert with_them == model.generate("春眠", length=10, seed=1)


def test_per_character_costs_add_up(trained: Path) -> None:
    model = chargen.load(trained)
    each = model.score_characters("夜来风雨声")
    assert each.total().bits_per_char == model.score("夜来风雨声").bits_per_char


def test_a_lone_surrogate_is_an_error(trained: Path) -> None:
    model = chargen.load(trained)
    for use in (model.score, model.stream):
        with pytest.raises(CorpusError, match="surrogate"):
            use("\ud800")


def test_another_device_must_be_there(trained: Path) -> None:
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
        train_tiny(corpus, tmp_path, corpus_config=chargen.CorpusConfig(vocab_size=5))


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
    assert api.read_text(path) == "春眠不觉晓\n处处闻啼鸟\n"


def test_every_error_has_a_message_and_a_remedy() -> None:
    error = CheckpointError("What.", "What to do.")
    assert isinstance(error, ChargenError)
    assert (str(error), error.message, error.remedy) == (
        "What.\nWhat to do.",
        "What.",
        "What to do.",
    )

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import chargen
from chargen.errors import ConfigError
from tests.exporting.blocks import from_readme
from tests.pairs import write_pairs
from tests.support import call, the_error, train_tiny

pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pairs(tmp_path_factory.mktemp("pairs") / "pairs.tsv")


@pytest.fixture(scope="module")
def runs(pairs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, attention in (("run", "dot"), ("code", "none")):
            options = {"task": "seq2seq", "bidirectional": True, "attention": attention}
            options["precision"] = "float32"
            train_tiny(pairs, folder, max_steps=60, name=name, **options)
    return folder


def test_sample_answers_a_line(runs: Path) -> None:
    done = call("sample", runs / "run", "-p", "abc", "--seed", 3, "-q")
    assert done.exit_code == 0, done.output
    line, answer = done.stdout.splitlines()
    assert line == "abc"
    again = call("sample", runs / "run", "-p", "abc", "--seed", 3, "--json", "-q")
    assert json.loads(again.stdout)["text"] == answer


@pytest.mark.parametrize("name", ["run", "code"])
def test_exported_files_answer_as_the_readme_tells(
    name: str, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    folder = chargen.export(runs / name, tmp_path / "onnx", to="onnx")
    assert {"encoder.onnx", "decoder.onnx", "tokenizer.json"} <= {p.name for p in folder.iterdir()}
    monkeypatch.chdir(folder)
    space = from_readme("answer")
    model = chargen.load(runs / name, device="cpu", ngram=False)
    lines = ["abc", "hgfedcb", "a", "ccc"]
    own = model.answer(lines, temperature=0, loop_penalty=0, length=30)
    assert [space["answer"](line)[:30] for line in lines] == own
    assert len(set(own)) > 2


def test_sample_shows_the_best_of_a_beam(runs: Path) -> None:
    flags = ("--beam-size", 5, "--n-best", 3, "--match-source-length", "-q")
    done = call("sample", runs / "run", "-p", "abc", *flags)
    line, *answers = done.stdout.splitlines()
    assert line == "abc"
    assert len(set(answers)) == 3
    assert all(len(answer) == 3 for answer in answers)
    lines = call("sample", runs / "run", "-p", "abc", *flags, "--json").stdout.splitlines()
    assert [json.loads(each)["text"] for each in lines] == answers


def test_eval_answers_with_the_likeliest_characters(runs: Path, tmp_path: Path) -> None:
    """Whatever they repeat, which answers that are written do less, as all texts."""
    line = "ab" * 30
    (tmp_path / "long.tsv").write_text(f"src\ttrg\n{line}\t{line}\n", "utf-8")
    model = chargen.load(runs / "run")
    ((_, own, _),) = model.judge_answers(tmp_path / "long.tsv", length=120).answers
    assert [own] == model.answer(line, temperature=0, length=120, loop_penalty=0)
    assert [own] != model.answer(line, temperature=0, length=120)


def test_eval_answers_by_a_beam(runs: Path, pairs: Path) -> None:
    flags = ("--beam-size", 4, "--length-penalty", 1, "--json", "-q")
    done = call("eval", runs / "run", pairs, *flags)
    assert done.exit_code == 0, done.output
    judged = chargen.load(runs / "run").judge_answers(pairs, beam_size=4, length_penalty=1)
    assert json.loads(done.stdout)["answered"] == len(judged.answers)
    lines = [line for line, _, _ in judged.answers]
    best = chargen.load(runs / "run").answer(lines, beam_size=4, length_penalty=1)
    assert [own for _, own, _ in judged.answers] == best


def test_what_a_beam_passes_over_is_refused(runs: Path, tmp_path: Path) -> None:
    model = chargen.load(runs / "run")
    with pytest.raises(ConfigError, match="`top_k` is for texts that are drawn"):
        model.answer("abc", beam_size=4, top_k=2)
    error = the_error(
        "sample", runs / "run", "-p", "abc", "--beam-size", 4, "--temp", "0.5,0.6", "--top-p", 0.9,
        status=2,
    )  # fmt: skip
    assert error.count("--temp is for texts that are drawn, and --beam-size finds the likel") == 1
    assert "--top-p is for texts that are drawn" in error
    jobs = tmp_path / "lines.jsonl"
    jobs.write_text('{"prompt": "abc", "beam_size": 3}\n', encoding="utf-8")
    flags = ("--checkpoint", runs / "run", "--temp", 0.5)
    error = the_error("batch", jobs, "-o", tmp_path / "out.jsonl", *flags)
    assert "line 1, temperature is for texts that are drawn" in error


def test_several_best_answers_are_of_one_line(runs: Path, pairs: Path) -> None:
    model = chargen.load(runs / "run")
    best: dict[str, Any] = {"beam_size": 4, "n_best": 2}
    with pytest.raises(ConfigError, match="`n_best` is for one line"):
        model.judge_answers(pairs, **best)
    with pytest.raises(ConfigError, match="`n_best` is for one line"):
        model.answer(["abc", "h"], **best)


def test_batch_answers_every_line(runs: Path, tmp_path: Path) -> None:
    jobs = tmp_path / "lines.txt"
    jobs.write_text("abc\n\nh\n", encoding="utf-8")
    out, flags = tmp_path / "out.jsonl", ("--checkpoint", runs / "run", "--match-source-length")
    assert call("batch", jobs, "-o", out, *flags).exit_code == 0
    found = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert [len(each["text"]) for each in found] == [3, 0, 1]
    best = ("--beam-size", 4, "--n-best", 2, "--force")
    assert call("batch", jobs, "-o", out, *flags, *best).exit_code == 0
    found = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    assert [(each["id"], each["sample"]) for each in found] == [
        (n, sample) for n in (1, 2, 3) for sample in (0, 1)
    ]


def test_what_no_answer_can_have_is_an_error_of_the_option(runs: Path, tmp_path: Path) -> None:
    jobs, out = tmp_path / "lines.txt", tmp_path / "out.jsonl"
    jobs.write_text("abc\nh\n", encoding="utf-8")
    command = ("batch", jobs, "-o", out, "--checkpoint", runs / "run")
    for options, what in (
        (("--form", "qijue"), "writes no poems"),
        (("--match-source-length", "--stop", "x"), "An answer by rules ends where they say"),
    ):
        error = the_error(*command, *options, status=2)
        assert what in error
        assert "not usable" not in error
    with pytest.raises(ConfigError, match="One option is not usable: `best_of` is for texts"):
        chargen.batch(jobs, out, runs / "run", best_of=2, beam_size=4)
    assert not out.exists()


def test_a_resumed_batch_is_whole(runs: Path, tmp_path: Path) -> None:
    jobs = tmp_path / "lines.txt"
    jobs.write_text("abc\n\nh\nfg\n", encoding="utf-8")
    flags = ("--checkpoint", runs / "run", "-q", "--beam-size", 3)
    whole, part = tmp_path / "whole.jsonl", tmp_path / "part.jsonl"
    for out in (whole, part):
        assert call("batch", jobs, "-o", out, *flags).exit_code == 0
    part.write_bytes(b"".join(whole.read_bytes().splitlines(keepends=True)[:2]))
    assert call("batch", jobs, "-o", part, *flags, "--resume").exit_code == 0
    assert part.read_bytes() == whole.read_bytes()


def test_eval_measures_answers(runs: Path, pairs: Path) -> None:
    flags = ("--match-source-length", "--json", "-q")
    done = call("eval", runs / "run", pairs, *flags)
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    sides = [line.split("\t") for line in pairs.read_text("utf-8").splitlines()[1:]]
    assert report["characters"] == sum(len(answer) + 1 for _, answer in sides)
    assert report["answered"] == len(sides)
    assert 0 < report["bits_per_char"] < 6
    if report["rules_kept"] is not None:
        assert report["rules_kept"]["length"] == 1
    shown = call("eval", runs / "code", pairs)
    assert "bits per character" in shown.stdout


def test_attention_is_a_matrix(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.png"
    done = call("attention", runs / "run", "-p", "abcd", "--answer", "dcb", "-o", out, "--json")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["rows"] == ["d", "c", "b", "end"]
    assert report["columns"] == ["a", "b", "c", "d", "end"]
    assert [sum(row) for row in report["weights"]] == pytest.approx([1] * 4, abs=1e-3)
    assert out.read_bytes().startswith(b"\x89PNG")
    assert "abcd → " in call("attention", runs / "run", "-p", "abcd").stdout


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("sample", "run"), "there is none"),
        (("sample", "run", "-p", "a", "--n-best", 2), "--n-best"),
        (("sample", "run", "-p", "a", "--beam-size", 2, "--n-best", 3), "--n-best"),
        (("sample", "run", "-p", "a", "--beam-size", 2, "--num-samples", 3), "--num-samples"),
        (("sample", "run", "-p", "a", "--color", "surprisal"), "--color"),
        (("sample", "run", "-p", "z"), "never seen"),
        (("sample", "run", "-p", "a", "--form", "qijue"), "no poems"),
        (("attention", "code", "-p", "a"), "code alone"),
        (("neurons", "run", "FILE"), "task seq2seq"),
        (("gradients", "run"), "task seq2seq"),
    ],
)
def test_what_cannot_be_is_one_error(
    arguments: tuple[object, ...], what: str, runs: Path, pairs: Path
) -> None:
    given = [pairs if each == "FILE" else each for each in arguments]
    status = 2 if what.startswith("--") or what == "no poems" else 1
    assert what in the_error(given[0], runs / str(given[1]), *given[2:], status=status)


def test_sides_may_be_swapped(pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    flags = ("--preset", "tiny", "--task", "seq2seq", "--reverse", "-q", "--name", "run")
    for more in (("--max-steps", 2), ("--max-steps", 4, "--resume")):
        done = call("train", pairs, *flags, *more, "--runs", tmp_path)
        assert done.exit_code == 0, done.output


def test_a_typed_line_is_answered(runs: Path) -> None:
    done = call("write", runs / "run", "-q", stdin="abc\nfg\n")
    assert done.exit_code == 0, done.output
    assert len(done.stdout.split("---\n")) == 2


def test_two_files_are_pairs(runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "first.txt").write_text("abc\nbca\n" * 40, encoding="utf-8")
    (tmp_path / "second.txt").write_text("cba\nacb\n" * 40, encoding="utf-8")
    flags = ("--preset", "tiny", "--max-steps", 2, "--task", "seq2seq", "-q", "--json")
    both = ("--src", "first.txt", "--tgt", "second.txt")
    done = call("train", *both, *flags, "--runs", tmp_path)
    assert done.exit_code == 0, done.output
    tried = call("find-lr", *both, *flags[:2], "--task", "seq2seq", "--device", "cpu", "--json")
    assert tried.exit_code == 0, tried.output
    swept = call("sweep", *both, *flags, "--set", "lr=0.01", "--runs", tmp_path)
    assert json.loads(swept.stdout)["rows"][0]["lr"] == 0.01
    assert "--tgt" in the_error("train", "--src", "first.txt", *flags, status=2)
    assert "--task" in the_error("train", *both, status=1)

"""``chargen infill``: what it prints, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import chargen
from chargen.errors import ConfigError
from tests.exporting.blocks import from_readme
from tests.support import LEARNABLE, TRAIN, call, the_error, train_tiny

LINE = "春眠□觉晓，处处闻□鸟。"
FILLED = "春眠不觉晓，处处闻啼鸟。"


@pytest.fixture(scope="module")
def filler(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that fills gaps."""
    folder = tmp_path_factory.mktemp("filler")
    text = folder / "learnable.txt"
    text.write_text(LEARNABLE, encoding="utf-8")
    return train_tiny(text, folder, task="infill", max_steps=60).path


@pytest.fixture(scope="module")
def writer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A language model of lines."""
    folder = tmp_path_factory.mktemp("writer")
    text = folder / "learnable.txt"
    text.write_text(LEARNABLE, encoding="utf-8")
    return train_tiny(text, folder, records="lines", max_steps=120).path


def test_a_gap_is_filled(filler: Path, writer: Path) -> None:
    assert call("infill", filler, LINE).stdout == f"{FILLED}\n"
    assert call("infill", writer, LINE).stdout == f"{FILLED}\n"


def test_several_fillings_come_in_lines_or_as_json(filler: Path) -> None:
    lines = call("infill", filler, LINE, "-n", 3).stdout.splitlines()
    assert lines[0] == FILLED
    assert len(set(lines)) == 3
    given = json.loads(call("infill", filler, LINE, "-n", 3, "--json").stdout)
    assert given["text"] == LINE
    assert [each["text"] for each in given["fillings"]] == lines
    assert given["fillings"][0]["filled"] == "不啼"
    bits = [each["bits"] for each in given["fillings"]]
    assert bits == sorted(bits)
    found = chargen.load(filler).infill(LINE, num_samples=3)
    assert [str(each) for each in found] == lines


def test_an_exported_file_fills_as_the_readme_tells(
    filler: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    monkeypatch.chdir(chargen.export(filler, tmp_path / "onnx", to="onnx"))
    fill, model = from_readme("fill")["fill"], chargen.load(filler, device="cpu")
    for line in (LINE, "□来□□声，花落□□□", "□□□啼鸟"):
        assert fill(line) == str(model.infill(line, beam_size=1)[0])


def test_a_file_is_filled_line_by_line(filler: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text(f"题目\n\n{LINE}\r\n夜来风□声，\n", encoding="utf-8")
    done = call("infill", filler, "-f", text)
    assert done.stdout == f"题目\n\n{FILLED}\n夜来风雨声，\n"
    typed = call("infill", filler, "-f", "-", stdin=text.read_text("utf-8"))
    assert typed.stdout == done.stdout
    lines = [
        json.loads(line)
        for line in call("infill", filler, "-f", text, "--json").stdout.split("\n")[:-1]
    ]
    assert [len(each["fillings"]) for each in lines] == [0, 0, 1, 1]


def test_a_beam_is_refused_where_fillings_are_drawn_without_one(filler: Path, writer: Path) -> None:
    drawn = (LINE, "--temp", 1, "--seed", 1, "--beam-size", 1)
    assert "--beam-size" in the_error("infill", filler, *drawn, status=2)
    with pytest.raises(ConfigError, match="`beam_size` is for the likeliest fillings"):
        chargen.load(filler).infill_lines([LINE], temperature=1.0, beam_size=8)
    assert call("infill", filler, *drawn[:-1], 32).exit_code == 0
    likeliest = call("infill", writer, LINE, "--beam-size", 1).stdout
    assert call("infill", writer, *drawn).stdout == likeliest


def test_another_sign_can_mark_a_gap(filler: Path) -> None:
    assert call("infill", filler, LINE.replace("□", "?"), "--mark", "?").stdout == f"{FILLED}\n"


def test_a_text_alone_is_for_the_newest_run(filler: Path) -> None:
    assert call("infill", LINE, "--runs", filler.parent).stdout == f"{FILLED}\n"


def test_drawn_fillings_come_again_with_their_seed(filler: Path) -> None:
    drawn = ("infill", filler, LINE, "-n", 5, "--temp", 3)
    first = call(*drawn)
    seed = first.stderr.split("seed ")[1].split()[0]
    assert call(*drawn, "--seed", seed, "-q").stdout == first.stdout
    assert call(*drawn, "--seed", int(seed) + 1).stdout != first.stdout


def test_what_cant_be_filled_is_an_error(filler: Path, tmp_path: Path) -> None:
    assert "no □" in the_error("infill", filler, "春眠")
    assert "nothing but gaps" in the_error("infill", filler, "□□")
    assert "is a character of the text" in the_error("infill", filler, "春，", "--mark", "，")
    assert "one visible sign" in the_error("infill", filler, "春", "--mark", "ab", status=2)
    assert "--beam-size is 2" in the_error(
        "infill", filler, LINE, "-n", 3, "--beam-size", 2, status=2
    )
    assert "no text to fill" in the_error("infill", filler, status=2)
    assert "contradict" in the_error("infill", filler, LINE, "-f", "x", status=2)
    assert "can't be read" in the_error("infill", filler, "-f", tmp_path / "none.txt")
    bad = tmp_path / "bad.txt"
    bad.write_text(f"{LINE}\n□\n", encoding="utf-8")
    assert "Line 2: The text is nothing but gaps" in the_error("infill", filler, "-f", bad)
    bad.write_bytes("□春".encode("gb18030"))
    assert "not UTF-8" in the_error("infill", filler, "-f", bad)


@pytest.mark.parametrize("command", ["sample", "write"])
def test_other_commands_say_what_the_run_is_for(command: str, filler: Path) -> None:
    error = the_error(command, filler)
    assert "has learnt the task infill" in error
    assert "for the commands infill, eval and embed" in error


def test_eval_measures_both_sides(filler: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text(FILLED, encoding="utf-8")
    report = json.loads(call("eval", filler, text, "--json").stdout)
    assert report["characters"] == len(FILLED)
    assert report["accuracy"] > 0.8
    assert "bits per character, given the others" in call("eval", filler, text).stdout


def test_the_flag_for_both_directions_is_accepted(here: Path) -> None:
    (here / "lines.txt").write_text(LEARNABLE, encoding="utf-8")
    flags = ("--task", "infill", "--bidirectional", "--runs", here, "--name", "run")
    assert call("train", "lines.txt", *flags, *TRAIN).exit_code == 0
    assert "Infiller" in type(chargen.load(here / "run").loaded.network).__name__
    error = the_error("train", "lines.txt", "--bidirectional", status=2)
    assert "writes from left to right" in error

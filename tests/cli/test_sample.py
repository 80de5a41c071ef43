"""``chargen sample``: prompts, seeds, stop strings, poems."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest

import chargen
from chargen.cli.switches import completed
from tests.support import TRAIN, call, the_error


def test_samples_are_separated_by_a_line(run: Path) -> None:
    result = call("sample", run, "--num-samples", 3, "-n", 8, "--seed", 2, "-p", "春")
    texts = result.stdout.removesuffix("\n").split("\n---\n")
    assert [len(each) for each in texts] == [9, 9, 9]
    lines = call("sample", run, "--num-samples", 3, "-n", 8, "--seed", 2, "-p", "春", "--json")
    found = [json.loads(line) for line in lines.stdout.splitlines()]
    assert [line["prompt"] + line["text"] for line in found] == texts
    assert lines.stderr == ""


def test_a_seed_is_told_and_repeats_the_text(run: Path) -> None:
    first = call("sample", run, "-n", 40)
    seed = re.search(r"seed (\d+)", first.stderr)
    assert seed
    assert call("sample", run, "-n", 40, "--seed", seed[1]).stdout == first.stdout


def test_a_prompt_may_come_from_a_file_or_from_standard_input(run: Path, here: Path) -> None:
    wanted = call("sample", run, "-p", "春眠\n夜", "-n", 9, "--seed", 1).stdout
    Path("prompt.txt").write_bytes("\ufeff春眠\r\n夜\n".encode())
    assert call("sample", run, "-f", "prompt.txt", "-n", 9, "--seed", 1).stdout == wanted
    piped = call("sample", run, "-f", "-", "-n", 9, "--seed", 1, stdin="春眠\n夜\n")
    assert piped.stdout == wanted


def test_stop_strings_understand_escapes(run: Path) -> None:
    text = call("sample", run, "-n", 200, "--seed", 1, "--stop", r"\n", "-t", 1).stdout
    assert text.count("\n") == 1
    text = call("sample", run, "-n", 200, "--seed", 1, "--stop", r"\u3002", "-t", 1).stdout
    assert "。" not in text


@pytest.mark.parametrize("prompt", ["[/]", "[bold]春[/bold]", "[link=x]"])
def test_markup_is_text(prompt: str, here: Path) -> None:
    Path("text.txt").write_text("[/] [bold]春[/bold] [link=x]y\n" * 40, encoding="utf-8")
    assert call("train", "text.txt", "--name", "run", *TRAIN).exit_code == 0
    assert call("sample", "run", "-p", prompt, "-n", 3).stdout.startswith(prompt)


def test_options_of_sampling_are_told_all_at_once(run: Path) -> None:
    error = the_error(
        "sample", run, "-n", -1, "--top-p", 2, "-p", "a", "-f", "b", "--oov-prompt", "guess",
        "--device", "abacus", "--form", "qijeu", "--num-samples", 0, "--temp", -1,
        status=2,
    )  # fmt: skip
    assert error.startswith("error: 8 options are not usable: ")
    for part in (
        "--prompt and --prompt-file contradict each other",
        "--form is 'qijeu' (did you mean 'qijue'?), not one of wujue, qijue",
        "--length is -1, not at least 0",
        "--top-p is 2.0, not above 0 and at most 1",
        "--temp is -1.0, not at least 0 and finite",
        "--num-samples is 0, not at least 1",
        "--oov-prompt is 'guess', not one of error, skip",
        "--device is 'abacus', not one of auto, cpu, cuda, mps",
    ):
        assert part in error


@pytest.mark.parametrize("written", [r"\ud800", r"\ude00\ud83d", "\udcff"], ids=ascii)
def test_a_lone_surrogate_is_no_stop_string(written: str, run: Path, here: Path) -> None:
    Path("jobs.txt").write_text("春\n", encoding="utf-8")
    for command in (("sample", run), ("batch", "jobs.txt", "-o", "out.jsonl", "--checkpoint", run)):
        error = the_error(*command, "--stop", written, "--top-p", 3, status=2)
        assert "2 options" in error
        assert "--stop contains the lone surrogate U+D" in error
        assert "--top-p is 3" in error
    assert not list(here.glob("out.jsonl*"))


def test_an_unseen_prompt_names_its_characters(run: Path) -> None:
    assert "'ж'" in the_error("sample", run, "-p", "жизнь", "-q")
    assert call("sample", run, "-p", "жизнь", "--oov-prompt", "skip", "-n", 3).exit_code == 0


POEM = ("--form", "wujue", "--acrostic", "春夜花鸟")


def test_a_poem_is_sampled_on_lines_of_its_own(trained: Path) -> None:
    shown = call("sample", trained, "-p", "眠", *POEM, "--seed", 1, "-q")
    assert shown.exit_code == 0, shown.output
    title, first, second = shown.stdout.splitlines()
    assert title == "眠"
    assert [first[0], first[6], second[0], second[6]] == list("春夜花鸟")
    found = json.loads(call("sample", trained, "-p", "眠", *POEM, "--seed", 1, "--json").stdout)
    assert found["text"] == f"{first}\n{second}"
    assert found["finish_reason"] == "form"


def test_a_form_may_be_an_object_of_a_job(trained: Path) -> None:
    wanted = call("sample", trained, *POEM, "--seed", 1).stdout
    as_json = '{"name": "wujue", "acrostic": "春夜花鸟"}'
    assert call("sample", trained, "--form", as_json, "--seed", 1).stdout == wanted
    half = '{"name": "wujue", "acrostic": "花"}'
    flags_win = call("sample", trained, "--form", half, "--acrostic", "春夜花鸟", "--seed", 1)
    assert flags_win.stdout == wanted


def test_verses_are_as_many_and_as_long_as_asked(trained: Path) -> None:
    shape = ("--form", "lines", "--lines", 3, "--characters", 4)
    shown = call("sample", trained, *shape, "--acrostic", "春夜", "--num-samples", 2, "-q")
    assert shown.exit_code == 0, shown.output
    for poem in shown.stdout.removesuffix("\n").split("\n---\n"):
        verses = poem.splitlines()
        assert [len(verse) for verse in verses] == [4, 4, 4]
        assert [verse[0] for verse in verses][:2] == ["春", "夜"]


def test_rhyme_and_tones_are_kept(trained: Path) -> None:
    pytest.importorskip("pypinyin")
    asked = ("--form", "lines", "--lines", 2, "--characters", 5, "--seed", 1, "-q")
    free = call("sample", trained, *asked)
    kept = call("sample", trained, *asked, "--rhyme", "--tones")
    assert (free.exit_code, kept.exit_code) == (0, 0), kept.output
    assert kept.stdout != free.stdout
    assert [len(verse) for verse in kept.stdout.splitlines()] == [5, 5]


SHORT = '{"name": "lines", "lines": 2, "characters": 5}'


def test_an_option_whose_value_is_left_out_has_its_usual_one(trained: Path) -> None:
    pytest.importorskip("pypinyin")
    asked = ("--form", SHORT, "--rhyme", "--seed", 1, "-q")
    strict = call("sample", *asked, "--tones", "strict", trained)
    assert strict.exit_code == 0, strict.output
    for options in (
        ("--tones",),
        ("--tones", "--first-rhyme"),
        ("--first-rhyme", "--tones=strict"),
    ):
        assert call("sample", *asked, *options, trained).stdout == strict.stdout
    old = ("--form", SHORT.replace("}", ', "rhyme": true, "tones": true}'))
    assert call("sample", trained, *old, "--seed", 1, "-q").stdout == strict.stdout
    lenient = call("sample", trained, *asked, "--tones", "lenient", "--first-rhyme", "no")
    assert lenient.exit_code == 0
    assert lenient.stdout != strict.stdout
    assert completed(["sample", "--tones", "--", "--tones"]) == [
        "sample", "--tones=strict", "--", "--tones",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--form", "qijue", "--first-rhyme"), "--first-rhyme needs --rhyme"),
        (("--form", "qijue", "--tones", "lenint"), "--tones is 'lenint' (did you mean 'lenient'?)"),
        (("--rhyme",), "--rhyme needs a --form, such as qijue"),
        (("--form", "qijeu"), "did you mean 'qijue'"),
        (("--form", "lines", "--lines", 2), "the form lines needs --characters"),
        (("--form", '{"name": "lines", "lines": 2}'), "the form lines needs --characters"),
        (("--form", '{"name": "lines", "tone": 2}'), "tone: unknown field (did you mean 'tones'"),
        (("--form", "{"), "in --form, invalid JSON"),
        (("--form", "wujue", "--lines", 3), "--lines belongs to the form lines, not to wujue"),
        (("--form", "couplet", "--rhyme"), "the lines of a couplet don't rhyme"),
        (("--form", "wujue", "--acrostic", "☃"), "can't write '☃'"),
    ],
)
def test_a_form_that_can_not_be_is_an_error_in_a_line(
    trained: Path, options: tuple[object, ...], problem: str
) -> None:
    status = 1 if "☃" in options else 2  # which only the run knows
    assert problem in the_error("sample", trained, "-q", *options, status=status)


def test_a_reported_seed_brings_its_text_back(run: Path) -> None:
    given = ("sample", run, "-n", 20, "-p", "春", "--seed", 5)
    lines = call(*given, "--num-samples", 3, "--json").stdout.splitlines()
    for each in map(json.loads, lines):
        alone = call("sample", run, "-n", 20, "-p", "春", "--seed", each["seed"], "--json")
        assert json.loads(alone.stdout) == each
    assert json.loads(call(*given, "--json").stdout)["seed"] == 5


def test_several_temperatures_give_a_text_each_from_the_same_seed(run: Path) -> None:
    swept = call("sample", run, "-n", 20, "--seed", 5, "--temp", "0.5,1.5", "--json")
    found = [json.loads(line) for line in swept.stdout.splitlines()]
    assert [each["temperature"] for each in found] == [0.5, 1.5]
    repeated = ("--temp", "0.5", "-t", "1.5")
    again = call("sample", run, "-n", 20, "--seed", 5, *repeated, "--json")
    assert again.stdout == swept.stdout
    for each in found:
        alone = call("sample", run, "-n", 20, "--seed", 5, "--temp", each["temperature"], "-q")
        assert alone.stdout == each["text"] + "\n"
    plain = call("sample", run, "-n", 20, "--seed", 5, "--temp", "0.5,1.5", "-q").stdout
    assert plain == "\n---\n".join(each["text"] for each in found) + "\n"
    assert "-0.5" in the_error("sample", run, "--temp", "1,-0.5", status=2)
    assert "separated by commas" in the_error("sample", run, "--temp", "warm", status=2)


def test_the_best_are_shown_below_the_prompt(run: Path) -> None:
    options = ("sample", run, "-n", 20, "--seed", 5, "-p", "春", "--temp", 1, "--best-of", 5)
    shown = call(*options, "--keep", 3, "-q").stdout
    found = [json.loads(line) for line in call(*options, "--keep", 3, "--json").stdout.splitlines()]
    assert shown == "春\n" + "\n---\n".join(each["text"] for each in found) + "\n"
    assert [each["score"] for each in found] == sorted(each["score"] for each in found)
    best = call(*options, "-q").stdout
    assert best == f"春{found[0]['text']}\n"
    error = the_error(*options, "--keep", 6, status=2)
    assert "--keep is 6, but --best-of is 5" in error
    error = the_error(*options, "--keep", 2, "--num-samples", 3, status=2)
    assert "--keep and --num-samples contradict each other" in error


def test_json_has_no_colours(run: Path) -> None:
    error = the_error("sample", run, "--json", "--color", "surprisal", status=2)
    assert "--color and --json contradict each other: give one" in error
    assert call("sample", run, "-n", 1, "--json", "--color", "none").exit_code == 0


def test_a_run_is_named_by_an_argument_or_an_option(run: Path) -> None:
    wanted = call("sample", run, "-n", 9, "--seed", 1, "-q").stdout
    assert call("sample", "--checkpoint", run, "-n", 9, "--seed", 1, "-q").stdout == wanted
    assert "Two runs are named" in the_error("sample", run, "--checkpoint", run, status=2)


def test_a_prompt_in_the_place_of_a_run_is_recognised(run: Path) -> None:
    error = the_error("sample", "春天")
    assert "no run '春天'" in error
    assert "give it as --prompt" in error


def test_a_prompt_understands_escapes(run: Path) -> None:
    shown = call("sample", run, "-p", r"春\n夜", "-n", 5, "-q").stdout
    assert shown.startswith("春\n夜")


def test_the_newest_finished_run_is_taken_and_an_untrained_one_warns(run: Path, here: Path) -> None:
    begun = Path("checkpoints/begun")
    shutil.copytree(run, begun)
    lines = (begun / "metrics.jsonl").read_text("utf-8").splitlines(keepends=True)
    (begun / "metrics.jsonl").write_text("".join(lines[:-1]), "utf-8")
    os.utime(begun / "config.json", (2e9, 2e9))
    assert f"{Path('checkpoints', 'run')}, " in call("sample", "-n", 3).stderr
    told = call("sample", "-n", 3, "--seed", 4).stderr
    assert re.search(r"run, \d+ steps, \d+\.\d\d bits per character, seed 4", told)
    text = Path("text.txt")
    text.write_text("春眠不觉晓\n" * 90, "utf-8")
    chargen.train(text, name="new", max_steps=1, preset="tiny", device="cpu", stop=lambda: True)
    assert "no training step" in call("sample", "new", "-n", 3).stderr

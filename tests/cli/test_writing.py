"""``chargen write``: a session, line by line."""

from __future__ import annotations

from pathlib import Path

import pytest

import chargen
from chargen.cli.writing import COMMANDS, Session, hold
from chargen.terminal.texts import TextWriter
from tests.support import call, the_error


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def session(run: Path, said: list[str]) -> Session:
    model = chargen.load(run, device="cpu")
    return Session(model, TextWriter(), said.append, {"length": 12}, seed=4)


def test_a_line_is_added_and_the_model_goes_on(
    session: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    assert session.answer("春眠")
    (drawn,) = session.generator.generate("春眠", length=12, seed=4)
    assert session.text == f"春眠{drawn}"
    assert capsys.readouterr().out == f"{drawn}\n"
    session.answer("/seed 5")
    session.answer("夜")
    (more,) = session.generator.generate(f"春眠{drawn}\n夜", length=12, seed=5)
    assert session.text == f"春眠{drawn}\n夜{more}"
    session.answer("/undo")
    assert session.text == f"春眠{drawn}"
    session.answer("/continue")
    assert session.text.startswith(f"春眠{drawn}")
    assert len(session.text) == 2 + 12 + 12


def test_an_addition_is_drawn_again(session: Session) -> None:
    session.options["temperature"] = 1.5
    session.answer("春眠")
    first = session.text
    session.answer("/retry")
    assert session.text.startswith("春眠")
    assert session.text != first
    session.answer("/seed 4")
    session.answer("/retry")
    assert session.text == first


def test_the_best_of_several_is_kept_and_another_can_be_picked(session: Session) -> None:
    session.answer("春眠")
    session.answer("/seed 9")
    session.answer("/best 4")
    ranked = session.generator.ranked("春眠", best_of=4, length=12, seed=9)
    assert session.text == "春眠" + ranked[0].result.text
    session.answer("/pick 3")
    assert session.text == "春眠" + ranked[2].result.text
    assert len(session.turns) == 1


def test_texts_are_kept_in_a_file(
    session: Session, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    session.answer("/keep")
    assert not Path("kept.txt").exists()
    session.answer("春眠")
    session.answer("/keep")
    session.answer("/keep again/it.txt")
    assert "error: The text can't be kept: " in capsys.readouterr().err
    session.answer("/keep")
    kept = Path("kept.txt").read_text("utf-8")
    assert kept == "---\n".join([session.text.rstrip("\n") + "\n"] * 2)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("/temp warm", "'warm' is not a number"),
        ("/temp -1", "--temp is -1.0, not at least 0"),
        ("/end word", "--end is 'word', not one of none, sentence, paragraph"),
        ("/form ode", "--form is 'ode'"),
        ("/pick 1", "There is nothing to pick from.\n       /best draws several."),
        ("/retry", "There is nothing to draw again.\n       "),
        ("/undo", "There is nothing to undo.\n       "),
        ("/keep", "There is no text to keep.\n       "),
        ("/sing", "There is no /sing.\n       /help lists"),
    ],
)
def test_what_can_not_be_is_an_error_and_the_session_goes_on(
    line: str, told: str, session: Session, capsys: pytest.CaptureFixture[str], said: list[str]
) -> None:
    assert session.answer(line)
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert told in error
    assert (session.options, said) == ({"length": 12}, [])


def test_only_a_number_of_the_best_can_be_picked(
    session: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    session.answer("/best 2")
    best = session.text
    session.answer("/pick 3")
    assert "error: There is no number 3.\n       Pick 1 to 2." in capsys.readouterr().err
    assert session.text == best


def test_characters_that_the_model_has_never_seen_are_named_once(
    session: Session, said: list[str]
) -> None:
    session.answer("春жизнь眠ж")
    drawn = session.text.removeprefix("春жизнь眠ж")
    assert session.generator.generate("春眠", length=12, seed=4) == [drawn]
    assert said == ["The model has never seen 'ж', 'и', 'з', 'н', 'ь', and reads the line without."]
    for line in ("/retry", "/continue", "夜"):
        session.answer(line)
    assert len(said) == 1
    session.answer("ж")
    assert said[1:] == ["The model has never seen 'ж', and reads the line without."]


def test_characters_that_are_left_out_are_named_through_a_pipe_too(run: Path) -> None:
    done = call("write", run, "-n", 3, stdin="春ж\n夜\nш\n")
    assert done.exit_code == 0
    assert [line for line in done.stderr.splitlines() if "never seen" in line] == [
        f"The model has never seen '{each}', and reads the line without." for each in "жш"
    ]
    assert call("write", run, "-n", 3, "-q", stdin="ж\n").stderr == ""


def test_a_poem_is_written_on_lines_of_its_own(session: Session) -> None:
    session.answer("/form wujue")
    session.answer("春")
    title, *verses = session.text.split("\n")
    assert title == "春"
    assert len("".join(verses)) == 24


def test_a_run_or_an_option_that_cannot_write_is_refused_before_the_session(run: Path) -> None:
    """Nothing is read: there is not even a line."""
    error = the_error("write", run, "--beam-size", 3, status=2)
    assert "--beam-size is for runs that answer" in error
    error = the_error("write", run, "--label", "author=x", status=2)
    assert "--label is given, but this run has no labels" in error


def test_without_a_terminal_an_error_ends_the_session(run: Path, here: Path) -> None:
    lines = {"/temp -1": 2, "/sing": 2, "/keep none/it.txt": 1, "/form ode": 2}
    for line, status in lines.items():
        options = ("-n", 3, "--seed", 1, "-q")
        done = call("write", run, *options, stdin=f"春\n{line}\n夜\n")
        assert done.exit_code == status
        assert "error: Line 2: " in done.stderr
        assert len(done.stdout.splitlines()) == 1


def test_help_lists_every_command(session: Session, said: list[str]) -> None:
    session.answer("/help")
    for name in COMMANDS:
        assert any(line.startswith(f"  /{name}") for line in said)


def test_a_session_ends_with_its_lines_or_before(session: Session) -> None:
    lines = iter(["春", "", "/quit", "夜"])
    hold(session, lines)
    assert list(lines) == ["夜"]
    assert session.text.startswith("春")


def test_without_a_terminal_each_line_is_answered(run: Path) -> None:
    found = call("write", run, "-n", 9, "--temp", 0, "-q", stdin="春\n夜\n").stdout
    model = chargen.load(run, device="cpu")
    wanted = [model.generate(each, length=9, temperature=0)[0] for each in "春夜"]
    assert found == "\n---\n".join(wanted) + "\n"

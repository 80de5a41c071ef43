"""Wrapped lines are recognised and joined; verse, lists and code stay as they are."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargen.corpus.preparing import prepare
from chargen.corpus.shipped import SHIPPED, shipped_text
from chargen.corpus.unwrapping import Wrapping, columns, joined, recognise, unwrapped
from chargen.options import CorpusConfig
from tests.corpus.texts import CHINESE, ENGLISH, write
from tests.support import call


def paragraphs(text: str, lines: int) -> list[str]:
    """Paragraphs of ``lines`` lines of the text each, no two of the same length."""
    parts = text.split("\n")
    return ["".join(parts[n : n + lines]) + parts[n][: n % 31] + "。" for n in range(0, 60, lines)]


def wrapped(text: list[str], width: int, between: str = "\n", indent: str = "") -> str:
    """A text whose every paragraph is cut into lines of ``width`` characters."""
    cut = [
        "\n".join(part[n : n + width] for n in range(0, len(part), width))
        for part in (indent + paragraph for paragraph in text)
    ]
    return between.join(cut) + "\n"


def unwrap(text: str, chunk: int = 1 << 20) -> tuple[str, int]:
    wrapping = recognise(text)
    assert wrapping
    counts: list[int] = []
    chunks = (text[n : n + chunk] for n in range(0, len(text), chunk))
    found = "".join(unwrapped(chunks, wrapping, counts.append))
    return found, sum(counts)


PROSE = paragraphs(CHINESE * 4, 4)


@pytest.mark.parametrize("width", [20, 36, 40])
@pytest.mark.parametrize(
    ("between", "indent"),
    [("\n\n", ""), ("\n", "　　"), ("\n\n", "　　")],
    ids=["blank", "in", "both"],
)
def test_a_wrapped_text_is_restored(width: int, between: str, indent: str) -> None:
    text = wrapped(PROSE, width, between, indent)
    whole = between.join(indent + each for each in PROSE) + "\n"
    found, count = unwrap(text)
    assert found == whole
    assert count == text.count("\n") - whole.count("\n")


def test_words_are_joined_by_spaces() -> None:
    whole = [ENGLISH.replace("\n", " ")[: 300 + 37 * n].rsplit(" ", 1)[0] + "." for n in range(20)]
    text = "\n\n".join(textwrap.fill(each, 72) for each in whole) + "\n"
    assert unwrap(text)[0] == "\n\n".join(whole) + "\n"


def test_typographic_quotes_change_nothing_about_that() -> None:
    speech = (
        "He walked slowly,” he said. “Evening,” said the boys’ house in the dusk… and a fog—or "
        "what ‘we’ took for it—came over the “harbour” where the old man’s boat lay, “asleep.” "
    )
    whole = [f"“{(speech * 4)[: 250 + 7 * n].rsplit(' ', 1)[0]}.”" for n in range(80)]
    text = "\n\n".join(textwrap.fill(each, 72) for each in whole) + "\n"
    assert unwrap(text)[0] == "\n\n".join(whole) + "\n"


@pytest.mark.parametrize("chunk", [1, 7, 100])
def test_chunks_may_be_cut_anywhere(chunk: int) -> None:
    text = wrapped(PROSE, 40, "\n\n")
    assert unwrap(text, chunk) == unwrap(text)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_texts_are_not_wrapped(name: str) -> None:
    assert recognise(shipped_text(name).read_text("utf-8")) is None


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("床前明月光疑是地上霜\n举头望明月低头思故乡\n\n" * 40, id="short verse"),
        pytest.param("昔人已乘黄鹤去此地空余黄鹤楼黄鹤一去\n" * 30, id="equal lines"),
        pytest.param(("昔人已乘黄鹤去此地空余黄鹤楼黄鹤一去\n" * 4 + "\n") * 20, id="stanzas"),
        pytest.param(
            "".join(f"{n}. {'milk, ' * (n % 9)}and bread\n" for n in range(99)), id="list"
        ),
        pytest.param("".join(f"{n:064x}\n" for n in range(99)), id="digests"),
        pytest.param(Path(__file__).read_text("utf-8"), id="code"),
        pytest.param("".join(f"{n},{n * n},{'x' * (n % 50)}\n" for n in range(99)), id="table"),
        pytest.param("\n".join(PROSE), id="a line a paragraph"),
        pytest.param("", id="nothing"),
        pytest.param("\n" * 99, id="line ends"),
    ],
)
def test_other_lines_are_not_taken_for_wrapped(text: str) -> None:
    assert recognise(text) is None


def test_verse_and_lists_within_a_wrapped_text_stay() -> None:
    inside = ["床前明月光", "疑是地上霜", "举头望明月", "低头思故乡", "- 米", "- 油"]
    text = (
        wrapped(PROSE, 40, "\n\n") + "\n" + "\n".join(inside) + "\n\n" + wrapped(PROSE, 40, "\n\n")
    )
    lines = unwrap(text)[0].split("\n")
    assert [line for line in lines if line in inside] == inside


@pytest.mark.parametrize(
    ("line", "following", "whole"),
    [
        ("他说今天", "会下雨", "他说今天会下雨"),
        ("a thin", "fog", "a thin fog"),
        ("a thin ", "  fog", "a thin fog"),
        ("well-", "known", "well-known"),
        ("exam\u00ad", "ple", "example"),
        ("안개가 물", "위를", "안개가 물 위를"),
        ("他用 Python", "写", "他用 Python写"),
        ("ตอน", "เช้า", "ตอนเช้า"),
        ("slowly,”", "he said", "slowly,” he said"),
        ("he said.", "“Evening", "he said. “Evening"),
        ("the boys’", "house", "the boys’ house"),
        ("Well…", "he said", "Well… he said"),
        ("a fog—", "or smoke", "a fog—or smoke"),
        ("a fog", "—or smoke", "a fog—or smoke"),
        ("a fog —", "or smoke", "a fog — or smoke"),
        ("a fog", "— or smoke", "a fog — or smoke"),
        ("他说：“", "今天", "他说：“今天"),
        ("会下雨。”", "“是的", "会下雨。”“是的"),
        ('会下雨。"', '"是的', '会下雨。""是的'),
        ("他说……", "“是的", "他说……“是的"),
        ("他叫“Tom”", "，是的", "他叫“Tom”，是的"),
    ],
)
def test_the_script_says_what_joins(line: str, following: str, whole: str) -> None:
    assert joined(line, following) == whole


@given(st.lists(st.text("ab 文。\n", max_size=30), max_size=8))
def test_nothing_but_line_ends_and_spaces_changes(chunks: list[str]) -> None:
    wrapping = Wrapping(10, columns, 0, "always")
    found = "".join(unwrapped(chunks, wrapping, lambda _: None))
    assert "".join(found.split()) == "".join("".join(chunks).split())


def test_prepare_joins_reports_and_records(tmp_path: Path) -> None:
    path = write(tmp_path / "novel.txt", wrapped(PROSE, 40, "\n\n"), "gb18030")
    whole = write(tmp_path / "whole.txt", "\n\n".join(PROSE) + "\n")
    joined_ = prepare([path], tmp_path / "a", CorpusConfig())
    assert joined_.manifest.joined > 50
    assert joined_.manifest.config.unwrap == "auto"
    kept = prepare([path], tmp_path / "b", CorpusConfig(unwrap="no"))
    assert kept.manifest.joined == 0
    same = prepare([whole], tmp_path / "c", CorpusConfig())
    assert (same.manifest.joined, same.manifest.files) == (0, joined_.manifest.files)
    assert kept.manifest.files != joined_.manifest.files


def test_what_doesnt_look_wrapped_is_joined_where_it_is_asked_for(tmp_path: Path) -> None:
    ragged = "The village was not\nyet awake, and a\nthin fog went over\nthe water.\n\n" * 8
    path = write(tmp_path / "ragged.txt", ragged)
    assert prepare([path], tmp_path / "a", CorpusConfig()).manifest.joined == 0
    corpus = prepare([path], tmp_path / "b", CorpusConfig(unwrap="yes"))
    text = corpus.tokenizer.decode(corpus.train)
    assert text.startswith("The village was not yet awake, and a thin fog went over the water.\n\n")


def test_the_command_line_reports_it(here: Path) -> None:
    write(here / "novel.txt", wrapped(PROSE, 40, "\n\n"))
    assert "wrapped lines joined" in call("prepare", "novel.txt").stdout
    run = call("train", "novel.txt", "--preset", "tiny", "--max-steps", 1, "--device", "cpu")
    assert "wrapped lines were joined (--unwrap no keeps them)" in run.stderr
    assert "wrapped" not in call("prepare", "novel.txt", "--unwrap", "no").stdout

"""The page's workshop for poems."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.serving.page.browser import SLIDE, Pages, by_command, until

pytestmark = pytest.mark.browser
POEM = "#view=poem"


def test_a_poem_is_drawn_around_what_is_locked(pages: Pages, run: Path) -> None:
    page = pages.open(POEM)
    page.select_option("#name", "wujue")
    page.fill("#acrostic", "春夜花鸟")
    page.click("#poem-go")
    page.wait_for_selector("#poem button")
    characters = "#poem button"
    first = page.locator(characters).all_text_contents()
    assert len(first) == 20
    assert [first[n] for n in (0, 5, 10, 15)] == list("春夜花鸟")
    page.focus(f"{characters} >> nth=0")
    for key in ("ArrowRight", "ArrowDown", "Space"):
        page.keyboard.press(key)
    assert page.locator("#poem [aria-pressed=true]").all_text_contents() == [first[6]]
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("#menu:not([hidden])")
    chosen = page.text_content("#menu li:nth-child(2) b")
    page.keyboard.press("2")
    taken = [*first[:7], chosen, *first[8:]]
    assert page.locator(characters).all_text_contents() == taken
    assert re.findall(r"\w", by_command(page, "#poem-command", run)) == taken
    page.focus(f"{characters} >> nth=4")
    page.keyboard.press("ArrowRight")  # where the acrostic stands, nothing else can
    assert set(page.locator("#menu b").all_text_contents()) <= {"夜"}
    page.keyboard.press("Escape")
    page.keyboard.press("Control+Enter")
    until(
        page,
        "first => [...document.querySelectorAll('#poem button')]"
        ".map(each => each.textContent).join('') !== first",
        arg="".join(taken),
    )
    second = page.locator(characters).all_text_contents()
    assert second[6:8] == [first[6], chosen]
    assert page.locator("#poem [aria-pressed=true]").count() == 2
    shown = "".join(page.locator("#poem p").all_text_contents())
    assert by_command(page, "#poem-command", run).replace("\n", "") == shown
    again = pages.open(page.evaluate("location.hash"))
    assert "seed=" in again.evaluate("location.hash")
    again.reload()
    again.wait_for_selector(characters)
    assert again.locator(characters).all_text_contents() == second
    page.select_option("#name", "qijue")
    assert page.locator("#poem [aria-pressed=true]").count() == 0
    page.click(f"{characters} >> nth=19")  # of the poem that is here, whatever comes next
    assert page.input_value("#name") == "wujue"
    assert page.locator("#poem [aria-pressed=true]").all_text_contents() == [second[19]]


def test_the_rules_of_a_poem_come_back_with_it(pages: Pages, run: Path) -> None:
    page = pages.open(POEM)
    page.select_option("#name", "wujue")
    page.select_option("#tones", "lenient")
    page.evaluate(SLIDE.replace("'temperature'", "'poem-temperature'"), 0.5)
    page.click("#poem-go")
    page.wait_for_selector("#poem button")
    rules = "['acrostic', 'tones', 'poem-temperature'].map(id => document.getElementById(id).value)"
    for key in ("ArrowRight", "2"):
        page.focus("#poem button >> nth=0")
        page.keyboard.press(key)
    until(page, "document.getElementById('pattern').value")
    assert "tones=lenient" in page.evaluate("location.hash")
    taken = page.locator("#poem button").all_text_contents()
    assert re.findall(r"\w", by_command(page, "#poem-command", run)) == taken
    page.click("#poem-free")
    page.fill("#acrostic", "春")
    page.select_option("#tones", "none")
    page.evaluate(SLIDE.replace("'temperature'", "'poem-temperature'"), 0.9)
    until(page, "document.getElementById('poem-told').textContent.endsWith('changed')")
    page.click("#poem-undo")
    assert page.evaluate(rules) == ["", "lenient", "0.5"]
    page.click("#poem-redo")
    assert page.evaluate(rules) == ["春", "none", "0.9"]


def test_a_poem_that_can_not_be_says_what_to_do(pages: Pages) -> None:
    page = pages.open(POEM)
    page.select_option("#name", "wulv")
    page.fill("#pattern", "_____\n_____\n春春___\n花鸟___")
    page.click("#poem-go")
    page.wait_for_selector("#problem:not([hidden])")
    assert "Use tones=lenient, another acrostic" in page.text_content("#problem").replace("`", "")
    assert [each for each in pages.complaints if "400" not in each] == []
    pages.complaints.clear()

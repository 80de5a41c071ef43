"""The page's scratchpad: what is written, its alternatives and branches, its links."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from chargen.generation.generator import Generator
from tests.serving.page.browser import KEY, LATER, SLIDE, Pages, by_command, text_of, until, written

pytestmark = pytest.mark.browser
WRITE = "#prompt=春&seed=7&length=30&end=none&temperature=0.9"
ENDLESS = r"""() => {
  const {fetch} = window;
  window.fetch = async (path, options) => {
    const answer = await fetch(path, options);
    if (!options.body?.includes('"stream":true')) return answer;
    const events = (await answer.text()).replace('data: [DONE]\n\n', '');
    return new Response(new ReadableStream({start(stream) {
      stream.enqueue(new TextEncoder().encode(events));
      options.signal.addEventListener('abort', () => stream.error(options.signal.reason));
    }}));
  };
}"""
"""Leaves a stream of events open when it has sent all there is."""


def mirrored(page: Any, selector: str) -> list[int]:
    """The numbers of the characters that carry a mark."""
    found = page.eval_on_selector_all(f"#mirror > {selector}", "all => all.map(each => each.n)")
    return list(found)


def test_it_asks_for_the_key_and_writes_what_sample_writes(
    pages: Pages, own: Generator, run: Path
) -> None:
    page = pages.open(key=None)
    for key in ("wrong", KEY):
        page.fill("#key", key)
        page.keyboard.press("Enter")
        page.wait_for_timeout(50)
    until(page, "!document.getElementById('run').disabled")
    refused = [each for each in pages.complaints if "401" in each]
    assert len(refused) == len(pages.complaints) == 2
    pages.complaints.clear()
    page.fill("#seed", "7")
    page.fill("#length", "40")
    page.click("#text")
    page.keyboard.insert_text("夜来\n春")
    page.keyboard.press("Control+Enter")
    options = {"seed": 7, "length": 40, "temperature": 0.7, "end": "sentence"}
    assert written(page) == "夜来\n春" + own.generate("夜来\n春", **options)[0]
    assert by_command(page, "#command", run) == text_of(page)
    page.wait_for_selector("#mirror > span:first-child[class*=surprise]")  # what was typed, too
    page.check("#numbers", force=True)
    bits = page.eval_on_selector_all(
        "#mirror > span[data-mark]", "all => all.map(e => [e.n, e.dataset.mark])"
    )
    costs = own.score_characters(text_of(page)).nats / 0.6931471805599453
    assert dict(bits) == {
        n: str(round(cost)) for n, cost in enumerate(costs) if text_of(page)[n] != "\n"
    }
    page.check("[value=counts]", force=True)
    shares = page.eval_on_selector_all(
        "#mirror > span[data-mark]", "all => all.map(e => [e.n, e.dataset.mark])"
    )
    gates = own.gate_characters(text_of(page))
    assert len(shares) == len(bits)
    assert all(abs(100 * (1 - gates[n]) - int(share)) < 0.6 for n, share in shares)


def test_what_is_stopped_can_be_written_again(pages: Pages, run: Path) -> None:
    page = pages.open("#prompt=春")
    page.fill("#length", "2000")
    page.keyboard.press("Control+Enter")
    until(page, "document.getElementById('text').value.length > 20")
    page.keyboard.press("Escape")
    text = written(page)
    assert 20 < len(text) < 2000
    assert by_command(page, "#command", run) == text
    page.keyboard.press("Control+z")
    assert text_of(page) == "春"
    page.keyboard.press("Control+Shift+z")
    assert text_of(page) == text


def test_an_alternative_is_taken_by_keyboard_and_every_branch_is_kept(pages: Pages) -> None:
    page = pages.open(WRITE)
    before = written(page)
    page.focus("#text")
    for _ in range(12):
        page.keyboard.press("ArrowLeft")
    place = len(before) - 12
    page.keyboard.press("Alt+ArrowDown")
    page.wait_for_selector("#menu:not([hidden])")
    focused = "document.activeElement.firstChild.textContent.replace('⏎', '\\n')"
    assert page.evaluate(focused) == before[place]
    shares = page.eval_on_selector_all("#menu li span", "all => all.map(each => each.textContent)")
    assert len(shares) == 8
    assert all(re.fullmatch(r"[<>]?[\d.]+ %", share) for share in shares)
    assert "network" in page.text_content("#menu p")
    page.keyboard.press("ArrowRight")
    chosen = page.evaluate(focused)
    page.keyboard.press("Enter")
    until(page, "before => document.getElementById('text').value !== before", arg=before)
    after = written(page)
    assert after[: place + 1] == before[:place] + chosen
    page.keyboard.press("Control+z")
    assert text_of(page) == before
    page.click("#again")
    third = written(page)
    rows = page.locator("#branches button")
    texts = set()
    for n in range(rows.count()):
        rows.nth(n).click()
        texts.add(text_of(page))
    assert texts == {"", "春", before, after, third}


def test_a_suggestion_is_taken_and_an_edit_continued(pages: Pages) -> None:
    page = pages.open()
    page.keyboard.insert_text("春眠不")
    until(page, "document.querySelector('.ghost').textContent")
    ghost = page.text_content(".ghost")
    page.keyboard.press("Tab")
    assert text_of(page).rstrip() == "春眠不" + ghost
    for key in ("Home", "ArrowRight", "ArrowRight", "Backspace", "Control+Shift+Enter"):
        page.keyboard.press(key)
    assert written(page).startswith("春")
    assert len(text_of(page)) > 20
    assert not text_of(page).startswith("春不" + ghost)


def test_a_link_writes_the_same_and_another_temperature_marks_what_changes(pages: Pages) -> None:
    page = pages.open(WRITE)
    before = written(page)
    until(page, "location.hash.includes('top_p')")
    again = pages.open(page.evaluate("location.hash"))
    assert "seed=7" in again.evaluate("location.hash")  # at once, whatever is still written
    assert written(again) == before
    page.evaluate(SLIDE, 1.4)
    until(page, "document.getElementById('told').textContent.startsWith('0.90 → 1.40')")
    after = text_of(page)
    differing = [n for n, (a, b) in enumerate(zip(before, after, strict=True)) if a != b]
    assert differing
    assert mirrored(page, ".changed") == differing
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+Shift+z")
    assert text_of(page) == after


def test_what_was_made_of_another_temperature_or_of_nothing_is_kept(pages: Pages) -> None:
    page = pages.open(WRITE)
    before = written(page)
    compared = (
        "to => document.getElementById('told').textContent.startsWith(`0.90 → ${to.toFixed(2)}`)"
    )
    page.evaluate(SLIDE, 1.4)
    until(page, compared, 1.4)
    redrawn = text_of(page)
    page.focus("#text")
    page.keyboard.press("Control+End")
    page.keyboard.insert_text("，")
    page.keyboard.press("Control+z")
    assert text_of(page) == redrawn
    page.evaluate(SLIDE, 1.2)
    until(page, compared, 1.2)
    again = text_of(page)
    page.fill("#text", "春")
    page.route("**/v1/completions", lambda route: None)  # the server is slow to begin
    page.keyboard.press("Control+Enter")
    until(page, "document.getElementById('go').textContent.startsWith('Stop')")
    page.keyboard.insert_text("夜")
    until(page, "!document.getElementById('go').textContent.startsWith('Stop')")
    page.unroute_all(behavior="ignoreErrors")
    rows = page.locator("#branches button")
    texts = set()
    for n in range(rows.count()):
        rows.nth(n).click()
        texts.add(text_of(page))
    assert texts >= {before, redrawn, f"{redrawn}，", again, "春", "春夜"}


def test_what_another_run_says_takes_the_place_of_what_the_first_one_said(
    pages: Pages, run: Path, second: Path
) -> None:
    page = pages.open(WRITE)
    before = written(page)
    page.click("#again")
    page.keyboard.press("Control+z")
    assert text_of(page) == "春"
    asked: list[dict[str, Any]] = []
    page.on("request", lambda request: asked.append(request.post_data_json or {}))
    page.select_option("#run", second.name)
    page.click(f"#branches button:has-text('{before[1:4]}')")
    assert text_of(page) == before
    page.focus("#text")
    page.keyboard.press("Control+Home")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Alt+ArrowDown")
    page.wait_for_selector("#menu:not([hidden])")
    assert "network" not in page.text_content("#menu p")
    page.keyboard.press("Escape")
    page.evaluate(SLIDE, 1.4)
    until(page, "document.getElementById('told').textContent.startsWith('0.90 → 1.40')")
    page.click("#again")
    written(page)
    models = [each["model"] for each in asked if each.get("max_tokens")]
    assert models == [second.name] * 3


def test_odds_that_come_after_another_run_was_chosen_are_dropped(
    pages: Pages, run: Path, second: Path
) -> None:
    page, asked = pages.open(WRITE), list[str]()
    held: list[Any] = []
    written(page)
    page.select_option("#run", second.name)  # what the first one said of any character is gone

    def hold(route: Any) -> None:
        body = route.request.post_data_json
        asked.extend([body["model"]] if body["max_tokens"] == 1 else [])
        held.append(route) if asked == [second.name] and not held else route.continue_()

    def look() -> None:
        page.focus("#text")
        page.keyboard.press("Control+Home")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Alt+ArrowDown")

    page.route("**/v1/completions", hold)
    look()
    end = time.monotonic() + LATER
    while not held:
        assert time.monotonic() < end
        page.wait_for_timeout(15)
    page.select_option("#run", run.name)
    with page.expect_response("**/v1/completions") as answer:
        held[0].continue_()
    answer.value.finished()
    look()
    page.wait_for_selector("#menu:not([hidden])")
    assert asked == [second.name, run.name]


def test_a_problem_is_shown_until_something_else_is_done(pages: Pages) -> None:
    page = pages.open("#prompt=春")
    page.check("[value=copied]", force=True)
    page.focus("#seed")
    page.keyboard.type("007")
    page.keyboard.press("Control+z")
    assert text_of(page) == "春"  # what was typed last is in the field
    page.fill("#seed", "007")
    page.fill("#length", "")
    page.click("#go")
    assert "number of characters" in page.text_content("#problem")
    page.fill("#length", "20")
    page.click("#options summary")
    page.fill("#top_p", "5")
    page.keyboard.press("Control+Enter")
    until(page, "document.getElementById('problem').textContent.includes('top_p')")
    until(page, "document.getElementById('legend').textContent")  # what is asked for afterwards
    assert page.is_visible("#problem")
    page.focus("#text")
    page.keyboard.press("Control+End")
    page.keyboard.insert_text("夜")
    assert not page.is_visible("#problem")
    page.fill("#top_p", "1")
    page.keyboard.press("Control+Enter")
    assert written(page).startswith("春夜")
    assert [each for each in pages.complaints if "400" not in each] == []
    pages.complaints.clear()


def test_what_fails_leaves_what_was_shown_and_what_is_cut_short_is_linked(
    pages: Pages, run: Path
) -> None:
    page = pages.open(WRITE)
    before = written(page)
    page.route("**/v1/completions", lambda route: route.fulfill(status=429, json={}))
    for _ in range(2):  # the second of two that were begun at once, too
        page.evaluate("for (let n = 0; n < 2; n++) document.getElementById('again').click()")
        page.wait_for_selector("#problem:not([hidden])")
        assert text_of(page) == before
    assert page.locator("#branches li").count() in (0, 3)
    page.unroute_all()

    def cut(route: Any) -> None:
        first = json.loads(route.fetch().text().split("\n\n")[0].removeprefix("data: "))
        (choice,) = first["choices"]
        choice["logprobs"] = {name: each[:1] for name, each in choice["logprobs"].items()}
        parts = [first, {"error": {"message": "The server ends."}}]
        body = "".join(f"data: {json.dumps(part)}\n\n" for part in parts)
        route.fulfill(body=body, content_type="text/event-stream")

    page.route("**/v1/completions", cut)
    page.click("#again")
    until(page, "document.getElementById('problem').textContent === 'The server ends.'")
    text = text_of(page)
    assert len(text) == 2
    page.unroute_all()
    assert by_command(page, "#command", run) == text
    assert [each for each in pages.complaints if "429" not in each] == []
    pages.complaints.clear()


def test_what_is_composed_while_the_model_writes_stays(pages: Pages) -> None:
    page = pages.open("#prompt=春")
    keyboard = page.context.new_cdp_session(page)

    def compose(text: str) -> None:
        place = {"selectionStart": len(text), "selectionEnd": len(text)}
        keyboard.send("Input.imeSetComposition", {"text": text, **place})

    page.check("#numbers", force=True)
    page.fill("#seed", "7")
    page.evaluate(ENDLESS)
    page.focus("#text")
    page.keyboard.press("Control+Home")
    page.keyboard.press("Control+Enter")
    until(page, "document.getElementById('text').value.length > 1")
    page.keyboard.press("Control+Home")
    compose("n")
    until(page, "document.getElementById('go').textContent.startsWith('Continue')")
    text = text_of(page)
    assert text.startswith("n春")
    compose("")
    page.wait_for_selector("#mirror > :nth-child(2)[data-mark]")  # as it was, odds included
    assert text_of(page) == text[1:]
    compose("ye")
    keyboard.send("Input.insertText", {"text": "夜"})
    assert text_of(page) == f"夜{text[1:]}"
    page.keyboard.press("Control+z")
    assert text_of(page) == text[1:]


def test_copies_are_underlined_and_a_run_that_is_not_here_is_missed(pages: Pages) -> None:
    text = "春眠不觉晓，处处闻啼鸟。\n风眠不觉晓，处处闻啼鸟。\n夜来".replace("\n", "%0A")
    page = pages.open(f"#run=other&prompt={text}")
    page.check("[value=copied]", force=True)
    page.wait_for_selector("#mirror > .copied")
    assert mirrored(page, ".copied") == [*range(13), *range(14, 28)]
    assert page.text_content("#problem") == "There is no run other here."


def test_nothing_keeps_anyone_out(pages: Pages) -> None:
    """Axe finds nothing in any view, by day and, where colours alone differ, by night."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    phone = {"viewport": {"width": 360, "height": 700}, "has_touch": True, "is_mobile": True}
    for options in ({}, phone):
        page = pages.open(WRITE, **options)
        written(page)
        page.focus("#text")
        page.keyboard.press("Home")
        page.keyboard.press("Alt+ArrowDown")
        page.wait_for_selector("#menu:not([hidden])")
        for view in ("write", "poem", "learn"):
            if view != "write":
                page.click(f"nav [data-view={view}]")
            if view == "poem":
                page.click("#poem-go")
                third = page.locator("#poem button >> nth=3")
                if options:  # a touch shows what else there is, too
                    third.tap()
                    page.wait_for_selector("#menu:not([hidden])")
                else:
                    third.click()
            if view == "learn":
                page.wait_for_selector("#curves circle >> nth=0")
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            if not options or view == "write":  # the rest has the same parts as on a desk
                found = axe.run(page).response["violations"]
                assert not found, json.dumps(found, ensure_ascii=False, indent=1)
        if not options:
            page.emulate_media(color_scheme="dark")
            page.eval_on_selector_all("main, #menu", "all => all.forEach(e => e.hidden = false)")
            found = axe.run(page, options={"runOnly": ["color-contrast"]}).response["violations"]
            assert not found, json.dumps(found, ensure_ascii=False, indent=1)


def test_a_touch_shows_the_alternatives_without_the_keyboard(pages: Pages) -> None:
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    page = pages.open(WRITE, **phone)
    before = written(page)
    page.locator("#mirror > span >> nth=4").evaluate("each => each.scrollIntoView()")
    box = page.locator("#mirror > span >> nth=4").bounding_box()
    page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_selector("#menu:not([hidden])")
    assert page.evaluate("document.activeElement.id") != "text"
    chosen = page.locator("#menu li button:not([aria-current]):enabled").first
    character = chosen.locator("b").text_content().replace("⏎", "\n")
    chosen.tap()
    until(page, "before => document.getElementById('text').value !== before", arg=before)
    assert written(page)[:5] == before[:4] + character

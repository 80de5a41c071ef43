"""The page's account of how a run learnt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.serving.page.browser import Pages, until
from tests.support import metrics

pytestmark = pytest.mark.browser
LEARN = "#view=learn"


def test_it_follows_a_run_in_progress_after_a_look_elsewhere(pages: Pages, run: Path) -> None:
    page = pages.open(LEARN)
    steps = 5

    def answer(route: Any) -> None:
        record = {**route.fetch().json(), "ended": None, "steps": steps, "total_steps": 99}
        route.fulfill(json=record)

    page.route("**/record", answer)
    page.clock.install()
    page.reload()
    until(page, "document.getElementById('learn-told').textContent.startsWith('5 steps')")
    page.click("nav [data-view=write]")
    page.clock.run_for(10_000)
    steps = 6
    page.click("nav [data-view=learn]")
    until(page, "document.getElementById('learn-told').textContent.startsWith('6 steps')")
    steps = 7
    page.clock.run_for(2500)
    until(page, "document.getElementById('learn-told').textContent.startsWith('7 steps')")


def test_it_shows_how_a_run_learnt(pages: Pages, run: Path) -> None:
    page = pages.open(LEARN)
    page.wait_for_selector("#curves circle >> nth=0")
    events = metrics(run)
    samples = [event for event in events if event["event"] == "sample"]
    scores = [event for event in events if event["event"] == "evaluation"]
    assert len(samples) == len(scores) == 3
    assert page.locator("#curves circle").count() == 3
    page.focus("#time")
    for sample in reversed(samples):
        assert page.text_content("#then") == sample["text"]
        assert page.text_content("[for=time]") == str(sample["step"])
        page.keyboard.press("ArrowLeft")
    assert f"{min(event['bits_per_char'] for event in scores):.3f}" in page.text_content(
        "#learn-told"
    )

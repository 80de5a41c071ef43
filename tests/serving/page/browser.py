"""A page in a browser, and what tests of all its views do with it."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import Any

from tests.support import call

KEY = "secret"
LATER = 10
"""Seconds after which a test that waits has failed."""
SLIDE = """value => {
  const temperature = document.getElementById('temperature');
  temperature.value = value;
  temperature.dispatchEvent(new Event('input'));
}"""


def until(page: Any, expression: str, arg: Any = None) -> None:
    """Wait for something; Playwright's own way needs eval, which the page's policy forbids."""
    end = time.monotonic() + LATER
    while not page.evaluate(expression, arg):
        assert time.monotonic() < end, expression
        page.wait_for_timeout(15)


class Pages:
    """Makes pages of one browser, and keeps what they ask for and complain of."""

    def __init__(self, browser: Any, address: str) -> None:
        self._browser, self.address = browser, address
        self.asked: set[str] = set()
        self.complaints: list[str] = []
        self.contexts: list[Any] = []

    def open(self, link: str = "", key: str | None = KEY, **options: Any) -> Any:
        context = self._browser.new_context(**options)
        self.contexts.append(context)
        context.set_default_timeout(1000 * LATER)
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        if key is not None:
            context.add_init_script(f"sessionStorage.setItem('chargen-key', '{key}')")
        page = context.new_page()
        page.on("request", lambda request: self.asked.add(request.url))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", self._hear)
        page.goto(f"{self.address}/{link}")
        if key is not None:
            until(page, "!document.getElementById('run').disabled")
        return page

    def _hear(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)


def text_of(page: Any) -> str:
    return str(page.input_value("#text"))


def written(page: Any) -> str:
    """The text, once it is written."""
    until(
        page,
        "document.getElementById('told').textContent.endsWith('bits each')"
        " && !document.getElementById('go').textContent.startsWith('Stop')",
    )
    return text_of(page)


def by_command(page: Any, button: str, run: Path) -> str:
    """What the command prints that the page gives."""
    page.click(button)
    until(
        page,
        "[...document.querySelectorAll('.bar output')]"
        ".some(each => each.textContent.includes('clipboard'))",
    )
    words = shlex.split(page.evaluate("navigator.clipboard.readText()"))
    assert words[:3] == ["chargen", "sample", run.name]
    return call("sample", run, *words[3:], "-q").stdout.removesuffix("\n")

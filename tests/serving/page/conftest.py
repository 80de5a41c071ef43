"""A real Chromium in front of a real server that asks for a key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import chargen
from chargen.generation.generator import Generator
from tests.inspection.test_neurons import chromium
from tests.serving.conftest import Served, start
from tests.serving.page.browser import KEY, Pages
from tests.support import train_tiny


@pytest.fixture(scope="package")
def run(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with counts, which has written at three evaluations."""
    folder = tmp_path_factory.mktemp("page")
    every = {"eval_every": 15, "sample_every": 15}
    return train_tiny(corpus, folder, ngram=3, max_steps=45, **every).path


@pytest.fixture(scope="package")
def own(run: Path) -> Generator:
    return chargen.load(run, device="cpu")


@pytest.fixture(scope="package")
def second(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of another name, which has no counts."""
    return train_tiny(corpus, tmp_path_factory.mktemp("page"), name="second").path


@pytest.fixture(scope="package")
def site(run: Path, second: Path) -> Iterator[Served]:
    served = start(run, second, "--api-key", KEY)
    yield served
    served.process.kill()
    served.process.wait(60)
    assert "Traceback" not in "\n".join(served.log)


@pytest.fixture(scope="package")
def browser(site: Served) -> Iterator[Pages]:
    sync_api = pytest.importorskip("playwright.sync_api")
    flags = ["--no-sandbox", "--disable-gpu"]
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium(), args=flags)
        yield Pages(opened, site.address)
        opened.close()


@pytest.fixture
def pages(browser: Pages) -> Iterator[Pages]:
    """The browser, for a test that must leave nothing open and hear no complaint."""
    browser.complaints.clear()
    yield browser
    for context in browser.contexts:
        context.close()
    browser.contexts.clear()
    assert not browser.complaints
    assert all(url.startswith((f"{browser.address}/", "data:")) for url in browser.asked)

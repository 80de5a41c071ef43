"""The page's own JavaScript writes what the engine writes: in Node, and in a browser."""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import chargen
from chargen.exporting import page
from chargen.exporting.step import traced_step
from chargen.generation.sampler import Uniforms
from chargen.runs.tensors import write_tensors
from tests.cells.cases import CASES
from tests.exporting.test_step import WITH_ALL
from tests.inspection.test_neurons import chromium
from tests.support import LEARNABLE, call, small_model, train_tiny

STEPS = 60


def in_node(folder: Path, code: str, given: Any = None) -> Any:
    """What a module beside the page's gives, as JSON, for a value that it knows as ``given``."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no Node")
    (folder / "package.json").write_text('{"type": "module"}', "utf-8")
    head = (
        "import {readFileSync} from 'node:fs';\n"
        "import {readTensors} from './tensors.js';\n"
        "const file = name => { const all = readFileSync(name);\n"
        "  return all.buffer.slice(all.byteOffset, all.byteOffset + all.length); };\n"
        f"const given = {json.dumps(given)};\n"
    )
    (folder / "asked.js").write_text(head + code, "utf-8")
    done = subprocess.run([node, "asked.js"], cwd=folder, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode("utf-8")
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's modules alone."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(Path(page.__file__).parent / "site", folder, dirs_exist_ok=True)
    return folder


def test_a_step_in_javascript_is_the_model_s_own(site: Path) -> None:
    """For every cell, in one process: starting Node takes longer than all of them."""
    ids = torch.randint(0, 11, (STEPS,), generator=torch.Generator().manual_seed(1))
    steps, expected = [], []
    for case in [*CASES, *WITH_ALL]:
        options = case if isinstance(case, dict) else case.values[0]
        model = small_model(**options).float()
        step = traced_step(model)
        write_tensors(site / f"{len(steps)}.safetensors", step.constants, 0)
        described = page.described_step(step)
        labels = [0.25, 0.5, 0.0, 1.0] if model.R is not None else []
        steps.append({"step": described, "labels": labels})
        with torch.no_grad():
            v = torch.tensor([labels]) if labels else None
            s, _ = model(ids[:, None], model.initial_state(1), None, v)
            expected.append(model.logits(s)[:, 0].numpy())
    code = """
import {Network} from './network.js';
console.log(JSON.stringify(given.steps.map(({step, labels}, n) => {
  const network = new Network(step, readTensors(file(`${n}.safetensors`)));
  network.read(3);
  network.begin(labels);
  return given.ids.map(id => { network.read(id); return [...network.logits]; });
})));
"""
    found = in_node(site, code, {"steps": steps, "ids": ids.tolist()})
    for own, theirs in zip(expected, found, strict=True):
        np.testing.assert_allclose(theirs, own, atol=2e-5)


def test_random_numbers_are_numpy_s(site: Path) -> None:
    seeds = [0, 7, 2**31, 2**64 - 1]
    code = """
import {Uniforms} from './sampling.js';
console.log(JSON.stringify(given.map(seed => {
  const uniforms = new Uniforms(seed);
  return Array.from({length: 10}, () => uniforms.next());
})));
"""
    found = in_node(site, code, [str(seed) for seed in seeds])
    assert found == [Uniforms(seed).next(10).tolist() for seed in seeds]


def test_float16_is_read_as_it_is(site: Path) -> None:
    numbers = [0.0, -0.0, 1.0, -2.5, 65504.0, 6.1e-05, 5.96e-08, 0.333]
    tensor = torch.tensor(numbers).half()
    write_tensors(site / "half.safetensors", {"x": tensor}, 0)
    code = "console.log(JSON.stringify([...readTensors(file('half.safetensors')).x.data]));"
    assert in_node(site, code) == [abs(x) if x == 0 else x for x in tensor.float().tolist()]


TEXTS: list[dict[str, Any]] = [
    {"temperature": 0, "seed": 0},
    {"temperature": 0.3, "seed": 1},
    {"temperature": 0.8, "seed": 2**40 + 1, "top_k": 7},
    {"temperature": 1.0, "seed": 3, "top_p": 0.8, "min_p": 0.02},
    {"temperature": 1.2, "seed": 5, "top_k": 9, "top_p": 0.7},
    {"temperature": 1.7, "seed": 4},
]
WRITE = """
import {Writer} from './writer.js';
const described = JSON.parse(readFileSync('model.json', 'utf8'));
let counts;
try { counts = readTensors(file('ngram.safetensors')); } catch {}
const writer = new Writer(described, readTensors(file('model.safetensors')), counts);
console.log(JSON.stringify(given.map(asked => [...writer.write(asked)])));
"""


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A corpus with bytes, words and repetitions."""
    folder = tmp_path_factory.mktemp("mixed")
    text = folder / "text.txt"
    text.write_text(LEARNABLE + "the rain, the rain in the plain. 😀犇é\n" * 9, "utf-8")
    return chargen.prepare(text, folder / "corpus", vocab_size=25, oov="bytes")


@pytest.mark.parametrize("options", [{"ngram": 4}, {"ngram": 0}, {"ngram": 3, "cell": "clockwork"}])
def test_texts_are_the_engine_s(options: dict[str, Any], mixed: Any, tmp_path: Path) -> None:
    """Greedy, and drawn by the same numbers, with pieces of bytes and repetitions among them."""
    run = train_tiny(mixed, tmp_path, max_steps=40, **options).path
    folder = chargen.export(run, tmp_path / "page", to="page")
    model = chargen.load(run, device="cpu")
    asked = [
        {"prompt": prompt, "length": 80, **t} for t in TEXTS for prompt in ("", "春é雨声，春é雨")
    ]
    written = in_node(folder, WRITE, [{**each, "seed": str(each["seed"])} for each in asked])
    for each, steps in zip(asked, written, strict=True):
        own = model.generate(**each)[0]
        assert "".join(step["text"] for step in steps) == own


def test_poems_are_the_engine_s(trained: Path, tmp_path: Path) -> None:
    folder = chargen.export(trained, tmp_path / "page", to="page")
    model = chargen.load(trained, device="cpu")
    asked = [
        {"prompt": prompt, "seed": 3, "temperature": 0.9, "form": {"name": name, "acrostic": first}}
        for prompt, name, first in [
            ("", "wujue", ""),
            ("春", "qijue", "夜花"),
            ("雨\n", "wujue", "鸟"),
        ]
    ]
    written = in_node(folder, WRITE, [{**each, "seed": "3", "length": 5} for each in asked])
    for each, steps in zip(asked, written, strict=True):
        assert "".join(step["text"] for step in steps) == model.generate(**each)[0]
        place = steps[0]["alternatives"]  # what the form doesn't allow isn't offered
        assert len(place) == (1 if each["form"]["acrostic"] else 8)


def test_labels_and_ends_of_records_are_the_engine_s(tmp_path: Path) -> None:
    verses = "".join(
        json.dumps({"text": text, "mood": mood}, ensure_ascii=False) + "\n"
        for text, mood in [("晴天好\n去看花", "glad"), ("夜雨凉\n灯影长", "sad")] * 30
    )
    (tmp_path / "verses.jsonl").write_text(verses, "utf-8")
    settings = {"label_key": ["mood"]}
    corpus = chargen.prepare(tmp_path / "verses.jsonl", tmp_path / "corpus", **settings)
    run = train_tiny(corpus, tmp_path, max_steps=60, cell="gru", ngram=4).path
    folder = chargen.export(run, tmp_path / "page", to="page")
    model = chargen.load(run, device="cpu")
    asked = [
        {"prompt": "", "length": 40, "temperature": 0.9, "seed": str(seed), "labels": labels}
        for seed, labels in enumerate([{"mood": "glad"}, {"mood": "sad"}, {"mood": ""}, {}])
    ]
    written = in_node(folder, WRITE, asked)
    for seed, (each, steps) in enumerate(zip(asked, written, strict=True)):
        label = [f"{key}={value}" for key, value in each["labels"].items() if value]
        (own,) = model.results(length=40, temperature=0.9, seed=seed, label=label)
        assert "".join(step["text"] for step in steps) == own.text
        assert own.finish_reason == "end" or own.characters == 40


def test_taking_an_alternative_goes_on_with_the_same_numbers(trained: Path, tmp_path: Path) -> None:
    folder = chargen.export(trained, tmp_path / "page", to="page")
    asked = {"prompt": "春", "length": 30, "temperature": 0.8, "seed": "5"}
    (whole,) = in_node(folder, WRITE, [asked])
    taken = [piece for step in whole[:10] for piece in step["pieces"]]
    (again,) = in_node(folder, WRITE, [{**asked, "taken": taken}])
    assert again == whole
    other = whole[9]["alternatives"][3][0]
    (changed,) = in_node(folder, WRITE, [{**asked, "taken": [*taken[:-1], other]}])
    assert changed[:9] == whole[:9]
    assert changed[9]["pieces"] == [other]
    shares = [share for _, share in whole[9]["alternatives"]]
    assert shares == sorted(shares, reverse=True)


def test_narrow_weights_are_half_the_size(trained: Path, tmp_path: Path) -> None:
    sizes = []
    for weights in ("float32", "float16"):
        folder = chargen.export(trained, tmp_path / weights, to="page", weights=weights)
        sizes.append((folder / "model.safetensors").stat().st_size)
        asked = {"prompt": "春", "length": 20, "temperature": 0, "seed": "0"}
        (steps,) = in_node(folder, WRITE, [asked])
        assert len(steps) == 20
    assert sizes[1] < 0.6 * sizes[0]


def test_products_are_those_of_matrices(site: Path) -> None:
    """By WebAssembly where the sizes suit it, whole or with overlapping rows; else without."""
    assert in_node(
        site, "console.log(WebAssembly.validate(new Uint8Array([0,97,115,109,1,0,0,0])))"
    )
    random = np.random.default_rng(0)
    tensors, expected = {}, {}
    for rows, columns in [(1, 4), (3, 8), (4, 4), (5, 12), (7, 20), (64, 256), (9, 3), (6, 5)]:
        W = random.standard_normal((rows, columns), np.float32)
        tensors[f"{rows} {columns}"] = torch.from_numpy(W)
        expected[f"{rows} {columns}"] = W @ np.cos(np.arange(columns, dtype=np.float32)) + 2
    write_tensors(site / "matrices.safetensors", tensors, 0)
    code = """
import {productsOf} from './products.js';
const all = readTensors(file('matrices.safetensors')), products = productsOf(Object.values(all));
console.log(JSON.stringify(Object.fromEntries(Object.entries(all).map(([name, matrix]) => {
  const [rows, columns] = matrix.shape, to = new Float32Array(rows);
  const x = Float32Array.from({length: columns}, (_, n) => Math.cos(n));
  products.get(matrix)(x, new Float32Array(rows).fill(2), to);
  return [name, [...to]];
}))));
"""
    for name, found in in_node(site, code).items():
        np.testing.assert_allclose(found, expected[name], rtol=1e-4, atol=1e-5)


@contextmanager
def served(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """The address of a folder on a plain static server, and what it is asked for."""
    paths: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def log_request(self, code: Any = "-", size: Any = "-") -> None:
            paths.append(f"{self.path} {int(code)}")

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", paths
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    flags = ["--no-sandbox", "--disable-gpu"]
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium(), args=flags)
        yield opened
        opened.close()


@contextmanager
def shown(browser: Any, address: str, **options: Any) -> Iterator[Any]:
    """A page of the browser, which must not complain."""
    context, said = browser.new_context(**options), []
    context.set_default_timeout(10_000)
    page = context.new_page()
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(address)
    yield page
    context.close()
    assert said == []


def written(page: Any) -> str:
    """The text, without the beginning that it was given, once it is written."""
    page.locator("#write:text('Write')").wait_for()
    page.locator("#told:not(:empty)").wait_for()
    return "".join(page.locator("#text .drawn").all_text_contents())


LINK = "#prompt=%E6%98%A5&seed=5&temperature=0.8&length=80"


@pytest.mark.browser
def test_a_link_writes_the_command_s_text_in_a_browser(
    mixed: Any, tmp_path: Path, browser: Any
) -> None:
    run = train_tiny(mixed, tmp_path, ngram=3, max_steps=40).path
    folder = chargen.export(run, tmp_path / "page", to="page")
    model = chargen.load(run, device="cpu")
    limits = {"top_k": 9, "top_p": 0.9, "min_p": 0.01}
    with served(folder) as (address, paths), shown(browser, address + LINK) as page:
        options = {"seed": 5, "temperature": 0.8, "length": 80}
        assert written(page) == model.generate("春", **options)[0]
        page.click("summary")
        for name, value in limits.items():
            page.fill(f"#{name}", str(value))
        page.press("#prompt", "Control+Enter")
        text = written(page)
        assert text == model.generate("春", **options, **limits)[0]
        words = shlex.split(page.text_content("#command"))
        with shown(browser, page.url) as again:
            assert written(again) == text
        page.evaluate("document.getElementById('told').textContent = ''")
        page.evaluate("location.hash = 'prompt=春 %20%09雨&seed=6&name=wujue'")
        poem = f"春  \t雨\n{written(page)}"
        assert page.text_content("#text") == poem
        assert page.input_value("#top_k") == "0"
        given = shlex.split(page.inner_text("#command"))
        assert call("sample", run, *given[3:], "-q").stdout == f"{poem.removesuffix(chr(10))}\n"
    assert words[:3] == ["chargen", "sample", "run"]
    assert call("sample", run, *words[3:], "-q").stdout == f"春{text}\n"
    own = {f"/{path.name} 200" for path in folder.iterdir()} | {"/ 200"}
    assert set(paths) <= own
    assert "/ngram.safetensors 200" in paths


@pytest.mark.browser
def test_what_can_not_be_written_is_said_and_nothing_keeps_anyone_out(
    trained: Path, tmp_path: Path, browser: Any
) -> None:
    """Axe finds nothing, by day and by night; the keyboard is enough."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    folder = chargen.export(trained, tmp_path / "page", to="page")
    with served(folder) as (address, _):
        with shown(browser, address + LINK) as page:
            before = "春" + written(page)
            page.click("summary")
            page.focus("#text")
            for key in ("ArrowRight", "ArrowDown", "ArrowLeft"):
                page.keyboard.press(key)
            rows = page.locator("#alternatives button")
            others = page.locator("#alternatives button:enabled:not([aria-current])")
            chosen = others.first.locator("b").text_content()
            assert rows.count() == 8
            place = 1 + int(page.get_attribute("#text .shown", "data-n"))
            assert place in (10, 11)  # the focus alone shows the first, or not yet
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)
                found = axe.run(page).response["violations"]
                assert not found, json.dumps(found, ensure_ascii=False, indent=1)
            names = rows.locator("b").all_text_contents()
            page.focus("#text")
            page.evaluate("document.getElementById('told').textContent = ''")
            page.keyboard.press(str(names.index(chosen) + 1))
            after = "春" + written(page)
            assert after[:place] == before[:place]
            assert after[place] == chosen.replace("⏎", "\n") != before[place]
            assert len(after) == 81
            assert (page.url, page.text_content("#command")) == (f"{address}#", "")
            for name, value, wrong in [
                ("prompt", "犇", "The model has never seen 犇."),
                ("seed", "-1", "The seed is a whole number"),
                ("top_p", "0", "Top-p is above 0"),
            ]:
                old = page.input_value(f"#{name}")
                page.fill(f"#{name}", value)
                page.evaluate("document.getElementById('form').noValidate = true")
                page.keyboard.press("Enter") if name != "prompt" else page.click("#write")
                assert wrong in page.text_content("#problem")
                page.fill(f"#{name}", old)
        phone = {"viewport": {"width": 360, "height": 700}, "has_touch": True, "is_mobile": True}
        with shown(browser, address + LINK, **phone) as page:
            written(page)
            page.locator(".drawn >> nth=20").tap()
            page.locator("#alternatives:not([hidden])").wait_for()
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            found = axe.run(page).response["violations"]
            assert not found, json.dumps(found, ensure_ascii=False, indent=1)

"""What the page loads besides texts: its own files, records of runs, copies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import chargen
from chargen.corpus.prepared import PreparedCorpus
from chargen.corpus.shipped import shipped_text
from chargen.corpus.tokenizer import Tokenizer
from chargen.errors import GenerationError
from chargen.evaluation import copying
from chargen.runs.shipped import VERSE, shipped_run
from chargen.serving.records import record_of
from tests.serving.test_access import app_of, ask
from tests.support import LEARNABLE, metrics


def test_the_page_s_files_are_open_to_all_and_sent_again_only_when_changed(trained: Path) -> None:
    app = app_of(trained, api_key="secret")
    page = ask(app, path="/")
    assert page.status_code == 200
    assert "<title>chargen</title>" in page.text
    assert "unsafe" not in page.headers["content-security-policy"]
    script = ask(app, path="/static/page.js")
    assert script.headers["content-type"].startswith("text/javascript")
    known = {"if-none-match": script.headers["etag"]}
    assert ask(app, path="/static/page.js", headers=known).status_code == 304
    for path in ("/static/nope.js", "/static/..%2Frecords.py", "/static/%2e%2e%2fmodels.py"):
        assert ask(app, path=path).status_code == 404
    assert ask(app, path="/runs/run/record").status_code == 401


def test_a_record_has_the_curves_and_the_samples(trained: Path) -> None:
    events = metrics(trained)
    found = ask(app_of(trained), path=f"/runs/{trained.name}/record").json()
    assert found == record_of(events)
    assert found["ended"] == "done"
    scores = [e for e in events if e["event"] == "evaluation"]
    assert found["validation"] == [[e["step"], e["bits_per_char"]] for e in scores]
    assert [e["text"] for e in events if e["event"] == "sample"] == [
        each["text"] for each in found["samples"]
    ]
    assert ask(app_of(trained), path="/runs/nope/record").status_code == 404
    assert record_of([])["steps"] == 0
    assert [record_of([{"event": "started", "mixed": m}])["mixed"] for m in (True, False)] == [
        True,
        False,
    ]


def test_a_long_record_is_thinned_and_one_that_goes_on_has_not_ended() -> None:
    steps = [{"event": "step", "step": n, "seconds": n, "loss": 1.0} for n in range(1, 5001)]
    found = record_of([{"event": "started", "step": 0, "seconds": 0, "bits_per_nat": 2.0}, *steps])
    assert 500 < len(found["training"]) <= 600
    assert found["training"][-1] == [5000, 2.0]
    assert found["ended"] is None


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"text": LEARNABLE[:30]}, 200),
        ({"text": 1}, 400),
        ({}, 400),
        ([], 400),
        ({"text": "春" * 99999}, 400),
    ],
    ids=["text", "number", "nothing", "list", "long"],
)
def test_copies_are_found_where_the_corpus_is(trained: Path, body: Any, status: int) -> None:
    answer = ask(app_of(trained), "POST", f"/runs/{trained.name}/copies", json=body)
    assert answer.status_code == status
    if status == 200:
        assert answer.json()["copies"] == [[0, 30]]


def test_a_corpus_that_is_too_large_is_not_even_decoded(
    trained: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = PreparedCorpus.open(corpus)
    size = len(opened.tokenizer.decode(opened.train).encode())
    assert opened.tokenizer.utf8_size(opened.train) == size

    def decoded(_tokenizer: Tokenizer, _ids: Any) -> str:
        raise AssertionError("It has been decoded.")

    monkeypatch.setattr(copying, "MOST_BYTES", size - 1)
    monkeypatch.setattr(Tokenizer, "decode", decoded)
    answer = ask(app_of(trained), "POST", f"/runs/{trained.name}/copies", json={"text": "春"})
    assert answer.status_code == 404
    assert "novelty" in answer.json()["error"]["message"]


def test_without_the_corpus_it_says_so(run: Path) -> None:
    (run / "places.json").unlink()
    answer = ask(app_of(run), "POST", f"/runs/{run.name}/copies", json={"text": "春"})
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "no_corpus"


def test_a_shipped_run_has_learnt_the_first_part_of_a_shipped_text() -> None:
    run = shipped_run(VERSE)
    assert run is not None
    text, app = shipped_text("jueju").read_text("utf-8"), app_of(run)
    learnt = ask(app, "POST", "/runs/verse/copies", json={"text": text[100:140]})
    assert learnt.json()["copies"] == [[0, 40]]
    kept_out = ask(app, "POST", "/runs/verse/copies", json={"text": text[-40:]})
    assert [0, 40] not in kept_out.json()["copies"]


RULES = {"name": "wujue", "tones": "lenient", "rhyme": True}


def test_a_form_tells_which_alternatives_it_allows() -> None:
    """Those with which the poem, given as a pattern, is written again."""
    pytest.importorskip("pypinyin")
    run = shipped_run(VERSE)
    assert run is not None
    app, model = app_of(run), chargen.load(run, device="cpu")
    poem = "".join(c for c in model.generate(form=RULES, seed=1)[0] if c not in "，。\n")

    def fit(place: int, characters: str, **form: Any) -> Any:
        asked = {"form": {**RULES, **form}, "poem": poem, "place": place}
        body = {**asked, "characters": list(characters)}
        return ask(app, "POST", "/runs/verse/fitting", json=body)

    def is_written(pattern: str) -> bool:
        try:
            return bool(model.generate(form={**RULES, "pattern": pattern}, seed=1))
        except GenerationError:
            return False

    for place in (8, 19):
        others = poem[place] + "花月空去"
        found = fit(place, others).json()["fitting"]
        assert poem[place] in found
        written = [c for c in others if is_written(poem[:place] + c + poem[place + 1 :])]
        assert found == written
        assert len(found) < len(others)
        free = {"tones": "none", "rhyme": False}
        assert fit(place, others, **free).json()["fitting"] == list(others)
    wrong = [fit(20, "山"), fit(0, "b"), fit(0, "山", name="couplet"), fit(True, "山")]
    wrong += [fit(0, "", name="no"), ask(app, "POST", "/runs/verse/fitting", json=[])]
    assert [answer.status_code for answer in wrong] == [400] * 6

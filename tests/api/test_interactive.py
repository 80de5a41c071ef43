"""``chargen`` in an interactive session: names, interrupts, progress, what objects look like."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import chargen
from chargen.errors import ConfigError
from chargen.machine.signals import held_signals
from chargen.runs.folder import RunFolder
from tests.support import last_state, train_tiny


@pytest.fixture(scope="module")
def model(trained: Path) -> chargen.Generator:
    return chargen.load(trained)


@pytest.mark.parametrize(
    ("given", "meant"),
    [("temp", "temperature"), ("t", "temperature"), ("n", "length"), ("sed", "seed"),
     ("top-k", "top_k"), ("num_sample", "num_samples")],
)  # fmt: skip
def test_a_wrong_name_suggests_the_right_one(
    given: str, meant: str, model: chargen.Generator
) -> None:
    with pytest.raises(ConfigError, match=rf"`{given}` \(did you mean `{meant}`\?\)"):
        model.generate("春", **{given: 1})


def test_a_wrong_name_is_refused_by_every_function(model: chargen.Generator) -> None:
    for function in (chargen.train, chargen.prepare, chargen.find_lr, chargen.novelty,
                     chargen.batch, chargen.read_text, model.stream, model.results):  # fmt: skip
        with pytest.raises(ConfigError, match="Unknown option: `nonsense`") as error:
            function("x", nonsense=1)
        assert "--" not in error.value.remedy


def test_a_form_is_a_name_or_an_object_as_in_a_job(model: chargen.Generator) -> None:
    poem = model.generate(form="wujue", seed=1)
    assert [len(verse) for line in poem[0].split("\n") for verse in re.findall(r"\w+", line)] == [
        5, 5, 5, 5,
    ]  # fmt: skip
    assert model.generate(form={"name": "wujue"}, seed=1) == poem
    (first,) = model.generate(form={"name": "wujue", "acrostic": "春夜花鸟"})
    assert first.startswith("春")
    with pytest.raises(ConfigError, match="tone: unknown field"):
        model.generate(form={"name": "wujue", "tone": True})
    with pytest.raises(ConfigError, match=r"did you mean 'qijue'"):
        model.generate(form="qijeu")


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """SIGINT raises KeyboardInterrupt, even where the tests were started in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupted(corpus: Path, out: Path, **options: Any) -> list[str]:
    """The notes of the interrupt that ends a run of which the end is far away."""
    with pytest.raises(KeyboardInterrupt) as caught:
        train_tiny(corpus, out, max_steps=60, **options)
    return getattr(caught.value, "__notes__", [])


@pytest.mark.usefixtures("ctrl_c")
def test_an_interrupt_saves_and_the_run_can_be_resumed(corpus: Path, tmp_path: Path) -> None:
    steps: list[int] = []

    def stop() -> bool:  # called before each step
        steps.append(1)
        if len(steps) == 25:
            signal.raise_signal(signal.SIGINT)
        return False

    before = signal.getsignal(signal.SIGINT)
    notes = interrupted(corpus, tmp_path / "a", stop=stop)
    assert signal.getsignal(signal.SIGINT) is before
    folder = RunFolder(tmp_path / "a" / "run")
    assert folder.last_step() in (24, 25)
    assert notes == [
        f"{folder.path} is saved at step {folder.last_step()}; continue it with `resume=True`."
    ]
    resumed = train_tiny(corpus, tmp_path / "a", max_steps=60, resume=True)
    whole = train_tiny(corpus, tmp_path / "b", max_steps=60)
    assert last_state(resumed.path)["model.table"] == last_state(whole.path)["model.table"]


def test_an_interrupt_in_a_callback_saves_too(corpus: Path, tmp_path: Path) -> None:
    def on_event(event: chargen.Event) -> None:
        if isinstance(event, chargen.Step) and event.step == 20:
            raise KeyboardInterrupt

    interrupted(corpus, tmp_path, on_event=on_event)
    assert RunFolder(tmp_path / "run").last_step() == 20


@pytest.mark.usefixtures("ctrl_c")
def test_a_second_signal_has_its_usual_effect() -> None:
    with held_signals(signal.SIGINT) as seen:
        signal.raise_signal(signal.SIGINT)
        assert seen == [signal.SIGINT]
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_progress_is_shown_on_request(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[object] = []
    train_tiny(corpus, tmp_path / "a", progress=True, on_event=seen.append)
    out, err = capsys.readouterr()
    assert out == ""
    assert "20 steps in all" in err
    assert "Done: step 20" in err
    assert isinstance(seen[-1], chargen.Finished)
    train_tiny(corpus, tmp_path / "b")
    assert capsys.readouterr() == ("", "")


def test_objects_say_what_they_are_in_a_line(
    run: Path, corpus: Path, here: Path, model: chargen.Generator
) -> None:
    Path("text.txt").write_text("春眠不觉晓，处处闻啼鸟。\n" * 20, encoding="utf-8")
    trained = train_tiny(corpus, here / "out", max_steps=3)
    shown = {
        "1 × lstm of 32 units": model,
        "3 steps, done": trained,
        "characters": chargen.PreparedCorpus.open(corpus),
        "bits per character over 5": model.score("春眠不觉晓"),
        "of 5 characters": model.score_characters("春眠不觉晓"),
        "40 steps": chargen.inspect(run),
        "files intact": chargen.inspect(corpus),
        "run ": chargen.compare([run]),
        "at lag 4": chargen.gradients([run], lags=4)[0],
        "32 units": chargen.neurons("text.txt", run)[0],
        "of 1 texts": chargen.novelty("text.txt", "text.txt"),
    }
    for part, each in shown.items():
        text = repr(each)
        assert part in text
        assert "\n" not in text
        assert len(text) < 300
        assert "object at 0x" not in text


def test_a_notebook_shows_surprisal_as_tint(model: chargen.Generator) -> None:
    scores = model.score_characters("春<b>\n")
    html = scores._repr_html_()
    shown = re.findall(
        r'rgba\(220, 30, 30, ([\d.]+)\)" title="([\d.]+) bits">(.*?)</span>', html, re.S
    )
    assert [sign for *_, sign in shown] == ["春", "&lt;", "b", "&gt;", "↵\n"]
    bits = [float(each) for _, each, _ in shown]
    assert sum(bits) / 5 == pytest.approx(scores.total().bits_per_char, abs=0.01)
    depths = [float(each) for each, *_ in shown]
    assert sorted(range(5), key=bits.__getitem__) == sorted(
        range(5), key=lambda n: (depths[n], bits[n])
    )

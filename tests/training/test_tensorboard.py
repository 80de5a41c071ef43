from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chargen.errors import MissingExtraError
from chargen.runs.layout import TENSORBOARD
from chargen.training.events import Event, RolledBack, Sample, Step
from chargen.training.tensorboard import TensorBoardLog
from tests.support import call, files_in, metrics, train_tiny

pytest.importorskip("tensorboard")


def board(folder: Path) -> dict[str, list[tuple[int, Any]]]:
    """What TensorBoard shows of a folder: (step, value) of each curve and text."""
    from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator
    from tensorboard.util import tensor_util

    events = EventAccumulator(str(folder))
    events.Reload()
    shown = {}
    for tag in events.Tags()["tensors"]:
        values = [(e.step, tensor_util.make_ndarray(e.tensor_proto)) for e in events.Tensors(tag)]
        shown[tag] = [(step, value.reshape(-1)[0]) for step, value in values]
    return shown


def recorded(run: Path, event: str, name: str) -> list[tuple[int, Any]]:
    return [(line["step"], line[name]) for line in metrics(run) if line["event"] == event]


class Killed(BaseException):
    pass


def kill(event: Event) -> None:
    if isinstance(event, Step) and event.step >= 10:
        raise Killed


def test_the_board_shows_what_the_metrics_say(corpus: Path, tmp_path: Path) -> None:
    run = train_tiny(corpus, tmp_path, eval_every=5, tensorboard=True).path
    shown = board(run / TENSORBOARD)
    for tag, event in (("train", "step"), ("val", "evaluation")):
        names = [name.partition("/")[2] for name in shown if name.startswith(f"{tag}/")]
        assert names
        for name in names:
            expected = recorded(run, event, name)
            assert len(expected) > 2
            assert shown[f"{tag}/{name}"] == [(n, pytest.approx(v, rel=1e-6)) for n, v in expected]
    assert {"train/loss", "train/grad_norm", "train/lr", "train/chars_per_second"} <= shown.keys()
    assert "val/bits_per_char" in shown
    texts = [
        (n, text.decode().replace("\n    ", "\n")[4:]) for n, text in shown["sample/text_summary"]
    ]
    assert texts == recorded(run, "sample", "text")


def test_a_resumed_run_goes_on_where_its_checkpoint_was(corpus: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"max_steps": 24, "save_every": 7, "eval_every": 4, "sample_every": 0}
    with pytest.raises(Killed):
        train_tiny(corpus, tmp_path, on_event=kill, tensorboard=True, **options)
    run = tmp_path / "run"
    assert [step for step, _ in board(run / TENSORBOARD)["train/loss"]] == [1, 10]
    train_tiny(corpus, tmp_path, resume=True, tensorboard=True, **options)
    shown = board(run / TENSORBOARD)
    assert [step for step, _ in shown["train/loss"]] == [1, 10, 20, 24]
    assert [step for step, _ in shown["val/bits_per_char"]] == [4, 8, 12, 16, 20, 24]
    assert [step for step, _ in shown["sample/text_summary"]] == [4, 8, 12, 16, 20, 24]


def test_what_a_way_back_undid_is_void(tmp_path: Path) -> None:
    def step(number: int, loss: float) -> Step:
        return Step(number, 1.0, loss, 1.0, 0.0, 1e-3, 0.1, 1e3)

    log = TensorBoardLog(tmp_path, 0)
    for event in (step(10, 3.0), step(20, 9.0), RolledBack(15, 2.0, 20, 0.5), step(20, 2.0)):
        log.write(event)
    log.close()
    assert board(tmp_path)["train/loss"] == [(10, 3.0), (20, 2.0)]


@pytest.mark.filterwarnings("ignore:html5lib's sanitizer is deprecated")
def test_a_text_is_no_markup(tmp_path: Path) -> None:
    from tensorboard.plugins.text import text_plugin

    log = TensorBoardLog(tmp_path, 0)
    log.write(Sample(1, 1.0, "*春*\n<b>眠</b>\n\n# 不"))
    log.close()
    ((_, text),) = board(tmp_path)["sample/text_summary"]
    html = text_plugin.text_array_to_html(np.array(text, dtype=object), enable_markdown=True)
    assert "*春*\n&lt;b&gt;眠&lt;/b&gt;\n\n# 不" in html


def test_without_the_extra_nothing_is_begun(
    corpus: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files_in(here)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(MissingExtraError) as caught:
        train_tiny(corpus, here / "out", tensorboard=True)
    assert ".[tensorboard]" in caught.value.remedy
    result = call("train", corpus, "--tensorboard")
    assert result.exit_code == 1
    assert "pip install '.[tensorboard]'" in result.stderr
    assert files_in(here) == before

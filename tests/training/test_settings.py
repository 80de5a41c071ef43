from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from chargen.runs.folder import RunFolder
from chargen.training import loop
from chargen.training.events import (
    Event,
    Finished,
    Started,
    Step,
)
from chargen.training.optimizer import clip_gradients
from tests.support import train_tiny


def test_training_leaves_the_random_numbers_as_they_were(corpus: Path, tmp_path: Path) -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    train_tiny(corpus, tmp_path, dropout=0.2)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.fixture
def own_settings() -> Iterator[tuple[int, bool]]:
    """Settings of the process that differ from those of training."""
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    assert torch.backends.cudnn.allow_tf32
    yield 3, True
    torch.set_num_threads(threads)


def settings() -> tuple[int, bool]:
    return torch.get_num_threads(), torch.backends.cudnn.allow_tf32


def test_a_callback_runs_under_its_own_settings(
    corpus: Path, tmp_path: Path, own_settings: tuple[int, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, seen = set(), set()

    def clip(parameters: list[torch.nn.Parameter], largest: float) -> float:
        inside.add(settings())
        return clip_gradients(parameters, largest)

    monkeypatch.setattr(loop, "clip_gradients", clip)
    events: list[Event] = []
    train_tiny(
        corpus,
        tmp_path,
        threads=1,
        on_event=lambda event: (events.append(event), seen.add(settings())),
    )
    assert inside == {(1, False)}
    assert seen == {own_settings}
    assert events[0].threads == 1  # type: ignore[attr-defined]
    assert settings() == own_settings


@pytest.mark.parametrize("kind", [Started, Step, Finished])
def test_an_error_of_a_callback_leaves_the_settings_as_they_were(
    corpus: Path, tmp_path: Path, own_settings: tuple[int, bool], kind: type[Event]
) -> None:
    def fail(event: Event) -> None:
        if isinstance(event, kind):
            raise KeyError

    with pytest.raises(KeyError):
        train_tiny(corpus, tmp_path, threads=1, on_event=fail)
    assert settings() == own_settings


def test_an_error_in_training_leaves_the_settings_as_they_were(
    corpus: Path, tmp_path: Path, own_settings: tuple[int, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> float:
        raise KeyError

    monkeypatch.setattr(loop, "clip_gradients", fail)
    with pytest.raises(KeyError):
        train_tiny(corpus, tmp_path, threads=1)
    assert settings() == own_settings


def test_an_error_of_the_listener_is_its_own(corpus: Path, tmp_path: Path) -> None:
    def listener(event: Event) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    with pytest.raises(BrokenPipeError):
        train_tiny(corpus, tmp_path, on_event=listener)
    with RunFolder(tmp_path / "run").lock():  # it was let go
        pass

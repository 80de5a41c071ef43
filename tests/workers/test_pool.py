"""Items are done once each, whatever becomes of the processes that do them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chargen.errors import WorkerError
from chargen.workers.messages import Crew
from chargen.workers.pool import Pool
from chargen.workers.processes import Processes
from chargen.workers.station import versions
from tests.workers.work import Squares

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="ends workers by signals of POSIX")


def squares(
    work: Squares,
    items: Iterable[int | None],
    facts: dict[str, str] | None = None,
) -> Iterator[tuple[int, Any]]:
    def start() -> Crew:
        return Processes(2).begin(work, 1)

    with Pool(start, facts or {}, size=2, group=4) as pool:
        yield from pool.spread(items)


def test_what_is_lost_with_a_worker_is_done_again(tmp_path: Path) -> None:
    """One item ends a worker once; another again and again, but not when it is alone."""
    found = dict(squares(Squares(tmp_path, {7: 1, 30: 3}), range(60)))
    assert found == {n: n * n for n in range(60)}
    assert len(list(tmp_path.iterdir())) == 4


def test_a_slow_item_holds_up_its_own_worker_alone(tmp_path: Path) -> None:
    """The slow one ends only when all that the others can do is done."""
    taken: list[int] = []
    done = squares(Squares(tmp_path, slow=0), _noted(range(200), taken))
    others = [next(done)[0] for _ in range(185)]
    assert 0 not in others
    (tmp_path / "go").touch()
    assert sorted([*others, *(number for number, _ in done)]) == list(range(200))


def test_few_items_are_on_their_way(tmp_path: Path) -> None:
    taken: list[int] = []
    for given, _ in enumerate(squares(Squares(tmp_path), _noted(range(300), taken)), 1):
        assert len(taken) - given <= 2 * 8


def _noted(items: Iterable[int], taken: list[int]) -> Iterator[int]:
    for item in items:
        taken.append(item)
        yield item


def test_workers_that_are_not_like_the_driver_are_refused(tmp_path: Path) -> None:
    cases: tuple[tuple[dict[str, Any], dict[str, str], str], ...] = (
        ({}, {"torch": "0.1"}, f"has torch {versions()['torch']}, and this process has 0.1"),
        ({"broken": True}, {}, f"on {os.uname().nodename}: There is no run."),
    )
    for work, facts, message in cases:
        with pytest.raises(WorkerError) as error:
            list(squares(Squares(tmp_path, **work), range(9), facts))
        assert message in error.value.message
        assert error.value.remedy

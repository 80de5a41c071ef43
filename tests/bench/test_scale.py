from __future__ import annotations

import pytest

from chargen.bench import projection
from chargen.bench.projection import exchange_seconds, last_worthwhile, project
from chargen.bench.steps import Trainer, config_of
from chargen.machine.team import ALONE
from chargen.network.model import CharModel


def test_an_exchange_is_that_of_a_ring() -> None:
    assert exchange_seconds(10**6, 1, 1, "float32") == 0
    sent = 2 * 3 / 4 * 4e6 * 8 / 0.9e9
    assert exchange_seconds(10**6, 4, 1, "float32") == pytest.approx(sent + (6 + 8) * 1e-4)
    halved = exchange_seconds(10**6, 4, 1, "bfloat16") - 14e-4
    assert halved == pytest.approx(sent / 2)


def test_machines_help_until_twice_as_many_are_hardly_faster() -> None:
    seconds = {8 >> n: 0.8 / 2**n for n in range(4)}
    rows = project("small", 10**6, seconds, 16, grows=False)
    some = [row for row in rows if (row.link, row.sent_as) == (1, "float32")]
    assert [row.machines for row in some] == [1, 2, 4, 8]
    assert some[0].chars_per_second == pytest.approx(8 * 16 / 0.8)
    for row in some:
        step = seconds[8 // row.machines] + exchange_seconds(10**6, row.machines, 1, "float32")
        assert row.speedup == pytest.approx(0.8 / step)
    assert last_worthwhile(some) == 8
    slow = project("small", 10**8, seconds, 16, grows=False)
    assert last_worthwhile([row for row in slow if (row.link, row.sent_as) == (1, "float32")]) == 1
    growing = project("small", 10**6, seconds, 16, grows=True)
    assert {row.lanes for row in growing} == {8}
    assert len(growing) == len(projection.MACHINES) * 4


def test_a_trainer_makes_the_steps_of_its_preset(monkeypatch: pytest.MonkeyPatch) -> None:
    config, lanes, window = config_of("tiny", 600)
    assert (config.hidden_size, lanes, window) == (32, 4, 16)
    trainer = Trainer("tiny", 600, "cpu", ALONE)
    assert sum(p.numel() for p in trainer.parameters) == sum(
        p.numel() for p in CharModel(config).parameters()
    )
    before = [p.detach().clone() for p in trainer.parameters]
    assert trainer.timed("step", (2, "float32"), 0, 1) > 0
    assert any(not p.equal(old) for p, old in zip(trainer.parameters, before, strict=True))

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chargen.experiments import reverse
from chargen.experiments.reverse import ReverseOutcome, Turner, compare_reversing


def test_four_networks_turn_strings_round(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(reverse, "_PAIRS", 400)
    monkeypatch.setattr(reverse, "_TRIED", 4)
    outcome = compare_reversing(steps=2, hidden_size=8, threads=1)
    assert [(each.attention, each.bidirectional) for each in outcome.turners] == [
        ("none", False),
        ("none", True),
        ("dot", False),
        ("dot", True),
    ]
    (table,) = outcome.tables()
    assert {len(row) for row in table.rows} == {len(table.header)}
    outcome.draw(tmp_path / "reverse.png")
    assert (tmp_path / "reverse.png").stat().st_size > 1000
    json.dumps(outcome.to_dict())


def test_the_reach_is_the_greatest_length_of_which_half_are_exact() -> None:
    shares = (1.0, 1.0, 0.9, 0.5, 0.4, 0.6, 0, 0, 0, 0, 0, 0, 0)
    turner = Turner("code alone", "none", False, 1, 1.0, shares)
    assert turner.reach == 10
    far = Turner("attention", "dot", True, 1, 1.0, (1.0,) * 13)
    one, two = ReverseOutcome(1, 1, (1,), (turner, far)).findings()
    assert one.endswith("are still exact at 10 letters in one.")  # as they aren't at 8
    assert two.endswith("holds at 24 letters in both directions.")

from __future__ import annotations

import pytest

from chargen.options import Recipe, TrainConfig
from chargen.training.dropout import dropout_share

RECIPE = Recipe()


def test_dropout_grows_at_each_doubling_of_the_passes() -> None:
    config = TrainConfig(dropout=0.1, dropout_growth=0.05)
    shares = [dropout_share(passes, config, RECIPE) for passes in (0, 1, 3, 7, 1e9)]
    assert shares == pytest.approx([0.1, 0.15, 0.2, 0.25, 0.5])
    assert dropout_share(7, TrainConfig(dropout=0.7, dropout_growth=0.1), RECIPE) == 0.7
    assert dropout_share(7, TrainConfig(dropout=0.2), RECIPE) == 0.2

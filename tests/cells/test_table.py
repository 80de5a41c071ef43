from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

import chargen.cells
from chargen.network.model import CharModel
from chargen.options import CELLS, ModelConfig


def test_every_option_of_a_cell_is_a_field_of_the_config() -> None:
    known = {field.name for field in fields(ModelConfig)}
    assert all(set(entry.options) <= known for entry in CELLS.values())


@pytest.mark.parametrize("name", CELLS)
def test_every_cell_has_its_section_in_the_readme(name: str) -> None:
    readme = Path(chargen.cells.__file__).with_name("README.md").read_text("utf-8")
    assert f"\n## `{name}`" in readme


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"cell": "elman"}, "`cell` is 'elman', not one of rnn, jordan, lstm"),
        ({"cell": "lstm", "activation": "relu"}, "`activation` has no meaning for the cell lstm"),
        ({"cell": "rnn", "dt": 0.5}, "`dt` has no meaning for the cell rnn"),
        ({"cell": "ctrnn", "dt": 0.3}, "`dt` is 0.3, not 1, 1/2, 1/3, …"),
        ({"cell": "gru", "teacher_forcing": True}, "`teacher_forcing` has no meaning"),
        ({"cell": "clockwork", "modules": 0}, "`modules` is 0, not at least 1 and at most 63"),
        ({"cell": "clockwork", "modules": 64}, "`modules` is 64, not at least 1 and at most 63"),
        ({"cell": "rnn", "recurrent_init": "zeros"}, "`recurrent_init` is 'zeros'"),
        ({"cell": "jordan", "num_layers": 2}, "jordan can only be the last layer"),
        ({"cell": "lstm,gru"}, "`cell` names 2 layers, but `num_layers` is 1"),
        ({"cell": "jordan", "tie_weights": True}, "`tie_weights` needs an embedding"),
    ],
)
def test_what_a_cell_has_no_use_for_is_a_problem(
    options: dict[str, object], complaint: str
) -> None:
    assert complaint in "; ".join(ModelConfig.from_dict({"vocab_size": 9, **options}).problems())


def test_layers_may_have_a_cell_each() -> None:
    config = ModelConfig(9, "gru,ctrnn,jordan", 8, num_layers=3, dt=0.5, activation="relu")
    assert config.problems() == []
    kinds = [type(cell).__name__ for cell in CharModel(config).cells]
    assert kinds == ["FastGRU", "FastCTRNN", "FastJordan"]

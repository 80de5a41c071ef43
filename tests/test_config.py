from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest

from chargen.cells import CELLS
from chargen.config import (
    CorpusConfig,
    ModelConfig,
    SamplingConfig,
    TrainConfig,
    check,
)
from chargen.errors import ConfigError
from chargen.training.presets import PRESETS


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_usable(name: str) -> None:
    chosen = PRESETS[name]
    check(ModelConfig(vocab_size=3000, **chosen.model), TrainConfig(**chosen.training))


def test_the_lecture_preset_is_the_textbook_network() -> None:
    model = ModelConfig(vocab_size=3000, **PRESETS["lecture"].model)
    assert (model.cell, model.hidden_size, model.embedding_size) == ("rnn", 50, 0)
    assert (model.activation, model.bias) == ("tanh", False)
    assert TrainConfig(**PRESETS["lecture"].training).seq_length == 50


@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_may_be_chosen(cell: str) -> None:
    check(ModelConfig(vocab_size=10, cell=cell))


def test_all_problems_are_told_at_once() -> None:
    wrong = TrainConfig(lr=0, batch_size=0, dropout=1.0, optimizer="adam", epochs=1, max_steps=5)
    with pytest.raises(ConfigError) as caught:
        check(wrong, ModelConfig(vocab_size=5, cell="nonsense"), also=["and this"])
    text = str(caught.value)
    for part in ("lr is 0", "batch_size is 0", "dropout is 1.0", "'adam'", "'nonsense'"):
        assert part in text
    assert "epochs and max_steps contradict each other" in text
    assert "and this" in text
    assert text.startswith("7 options are")


@pytest.mark.parametrize(
    ("config", "allowed"),
    [
        (CorpusConfig(oov="drop"), "auto, bytes, unk"),
        (CorpusConfig(errors="ignore"), "strict, replace"),
        (CorpusConfig(convert="x"), "none, t2s, s2t"),
        (CorpusConfig(val_frac=1.0), "[0, 1)"),
        (CorpusConfig(val_frac=float("nan")), "[0, 1)"),
        (CorpusConfig(vocab_size=0), "not 1 or more"),
        (ModelConfig(1, cell="x"), "lstm"),
        (ModelConfig(1, activation="x"), "tanh, sigmoid, relu"),
        (ModelConfig(1, activation="relu", cell="lstm"), "activation"),
        (ModelConfig(1, tie_weights=True, embedding_size=0), "embedding"),
        (TrainConfig(device="tpu"), "auto, cpu, cuda, mps"),
        (TrainConfig(lr=float("nan")), "not above 0 and finite"),
        (TrainConfig(max_steps=0), "not 1 or more"),
        (TrainConfig(max_minutes=0), "not above 0 and finite"),
        (TrainConfig(grad_clip=-1), "not 0 or more"),
        (SamplingConfig(top_p=0), "not above 0 and finite"),
        (SamplingConfig(top_p=1.5), "above 1"),
        (SamplingConfig(min_p=1), "[0, 1)"),
        (SamplingConfig(temperature=float("nan")), "not 0 or more"),
        (SamplingConfig(temperature=float("inf")), "finite"),
        (SamplingConfig(stop=("",)), "stop string is empty"),
    ],
)
def test_a_wrong_value_is_told_with_what_is_allowed(config: Any, allowed: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check(config)
    assert allowed in str(caught.value)
    assert str(caught.value).count("\n") == 1


@pytest.mark.parametrize(
    "config",
    [
        CorpusConfig(vocab_size=7, val_frac=0),
        ModelConfig(vocab_size=7, cell="gru"),
        TrainConfig(max_minutes=1.5),
        SamplingConfig(stop=("a", "\n\n")),
    ],
)
def test_goes_through_json_unchanged(config: Any) -> None:
    assert type(config).from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_an_unknown_field_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="no field hidden_sise") as caught:
        ModelConfig.from_dict({"vocab_size": 3, "hidden_sise": 4})
    assert "hidden_size" in caught.value.remedy


@pytest.mark.parametrize("kind", [CorpusConfig, ModelConfig, TrainConfig, SamplingConfig])
def test_every_field_is_described(kind: type) -> None:
    described = (kind.__doc__ or "").partition("Attributes:")[2]
    assert [f.name for f in fields(kind) if f.name not in described] == []


def test_the_api_accepts_every_option_there_is() -> None:
    from chargen.api import SamplingOptions, TrainOptions

    in_configs = {f.name for kind in (ModelConfig, TrainConfig) for f in fields(kind)}
    assert set(TrainOptions.__annotations__) == in_configs - {"vocab_size"}
    assert set(SamplingOptions.__annotations__) == {f.name for f in fields(SamplingConfig)}

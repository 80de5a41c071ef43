"""The configs: which values they allow, and what they say about the others."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chargen.errors import ConfigError
from chargen.generation.poems.forms import Form
from chargen.options import (
    CELLS,
    BatchConfig,
    Config,
    CorpusConfig,
    ModelConfig,
    SamplingConfig,
    TrainConfig,
    check,
)
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
    for part in ("`lr` is 0", "`batch_size` is 0", "`dropout` is 1.0", "'adam'", "'nonsense'"):
        assert part in text
    assert "`epochs` and `max_steps` contradict each other" in text
    assert "and this" in text
    assert text.startswith("7 options are")


def test_what_follows_from_a_wrong_value_is_not_reported_too() -> None:
    (problem,) = ModelConfig(9, cell="nonsense", activation="relu", tie_weights=True).problems()
    assert problem.startswith("`cell` is 'nonsense', not one of rnn, jordan")
    (problem,) = Form("lines", lines=0).problems()
    assert problem == "`lines` is 0, not at least 1 and at most 200"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (CorpusConfig(oov="drop"), "`oov` is 'drop', not one of auto, bytes, unk"),
        (CorpusConfig(errors="ignore"), "`errors` is 'ignore', not one of strict, replace"),
        (CorpusConfig(convert="x"), "`convert` is 'x', not one of none, t2s, s2t"),
        (CorpusConfig(val_frac=1.0), "`val_frac` is 1.0, not at least 0 and below 1"),
        (CorpusConfig(val_frac=float("nan")), "`val_frac` is nan, not at least 0 and below 1"),
        (CorpusConfig(vocab_size=0), "`vocab_size` is 0, not at least 1"),
        (ModelConfig(1, cell="x"), f"`cell` is 'x', not one of {', '.join(CELLS)}"),
        (ModelConfig(1, cell="lstm,x", num_layers=2), "`cell` is 'lstm,x', not one of rnn"),
        (ModelConfig(1, cell="lstm,gru"), "`cell` names 2 layers, but `num_layers` is 1"),
        (
            ModelConfig(1, cell="jordan,gru", num_layers=2),
            "`cell` is jordan,gru, but jordan can only be the last layer",
        ),
        (
            ModelConfig(1, activation="x", cell="rnn"),
            "`activation` is 'x', not one of tanh, sigmoid, relu",
        ),
        (
            ModelConfig(1, activation="relu", cell="lstm"),
            "`activation` has no meaning for the cell lstm",
        ),
        (ModelConfig(1, dt=0.4, cell="ctrnn"), "`dt` is 0.4, not 1, 1/2, 1/3, …"),
        (ModelConfig(1, tie_weights=True, embedding_size=0), "`tie_weights` needs an embedding"),
        (ModelConfig(1, tie_weights=True, cell="jordan"), "a last layer that isn't fed the output"),
        (TrainConfig(device="tpu"), "`device` is 'tpu', not one of auto, cpu, cuda, mps"),
        (TrainConfig(lr=float("nan")), "`lr` is nan, not above 0 and finite"),
        (TrainConfig(lr=-1), "`lr` is -1, not above 0 and finite"),
        (TrainConfig(max_steps=0), "`max_steps` is 0, not at least 1"),
        (TrainConfig(max_minutes=0), "`max_minutes` is 0, not above 0 and finite"),
        (TrainConfig(grad_clip=-1), "`grad_clip` is -1, not at least 0 and finite"),
        (SamplingConfig(top_p=0), "`top_p` is 0, not above 0 and at most 1"),
        (SamplingConfig(top_p=1.5), "`top_p` is 1.5, not above 0 and at most 1"),
        (SamplingConfig(min_p=1), "`min_p` is 1, not at least 0 and below 1"),
        (SamplingConfig(temperature=float("inf")), "is inf, not at least 0 and finite"),
        (SamplingConfig(stop=("a", "")), "`stop` contains an empty string"),
        (SamplingConfig(stop=("\ud800",)), "`stop` contains the lone surrogate U+D800"),
        (SamplingConfig(beam_size=4, temperature=0.7), "`temperature` is for texts that are drawn"),
        (SamplingConfig(beam_size=4, temperature=0.0), "`temperature` is for texts that are drawn"),
        (SamplingConfig(beam_size=4, top_k=3), "`top_k` is for texts that are drawn"),
        (SamplingConfig(beam_size=4, top_p=0.9), "`top_p` is for texts that are drawn"),
        (SamplingConfig(beam_size=4, min_p=0.1), "`min_p` is for texts that are drawn"),
        (SamplingConfig(beam_size=4, repetition_penalty=2.0), "`repetition_penalty` is for texts"),
        (SamplingConfig(beam_size=4, loop_penalty=2.0), "`loop_penalty` is for texts"),
        (SamplingConfig(beam_size=4, stop=("a",)), "`stop` is for texts that are drawn"),
        (SamplingConfig(beam_size=4, end="sentence"), "`end` is for texts that are drawn"),
        (
            SamplingConfig(length_penalty=0.0),
            "`length_penalty` is for a beam, and `beam_size` is 0",
        ),
        (BatchConfig(seed=2**64), "`seed` is 18446744073709551616, not at least 0 and below 2^64"),
        (BatchConfig(num_samples=10**7), "not at least 1 and at most 1000000"),
        (BatchConfig(resume=True, force=True), "`resume` and `force` contradict each other"),
        (Form("sonnet"), "`form` is 'sonnet', not one of wujue, qijue, wulv, qilv, couplet, lines"),
        (Form("qijeu"), "`form` is 'qijeu' (did you mean 'qijue'?), not one of"),
        (Form("wujue", "春江花月夜"), "`acrostic` has 5 characters, but wujue has only 4 verses"),
        (Form("wujue", lines=3), "`lines` belongs to the form lines, not to wujue"),
        (Form("lines", lines=3), "the form lines needs `characters`"),
        (Form("couplet", rhyme=True), "the lines of a couplet don't rhyme"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_a_wrong_value_is_told_with_what_is_allowed(config: Config, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check(config)
    assert message in caught.value.message
    assert caught.value.message.startswith("One option is not usable: ")
    assert caught.value.remedy
    assert str(caught.value).count("\n") == 1


@pytest.mark.parametrize(
    "config",
    [
        CorpusConfig(vocab_size=7, val_frac=0),
        ModelConfig(vocab_size=7, cell="gru"),
        TrainConfig(max_minutes=1.5),
        SamplingConfig(stop=("a", "\n\n")),
        SamplingConfig(beam_size=4, n_best=4, length_penalty=1.0, temperature=0.8),
        Form("lines", lines=2, characters=3),
    ],
    ids=repr,
)
def test_goes_through_json_unchanged(config: Any) -> None:
    assert type(config).from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_a_beam_may_be_told_that_nothing_comes_back_and_no_loop_is_broken() -> None:
    check(SamplingConfig(beam_size=4, recall=0.0, loop_penalty=0.0))


def test_an_unknown_field_names_the_known_ones() -> None:
    with pytest.raises(ConfigError) as caught:
        ModelConfig.from_dict({"vocab_size": 3, "hidden_sise": 4})
    assert caught.value.message == "Unknown option: `hidden_sise` (did you mean `hidden_size`?)."
    assert "hidden_size" in caught.value.remedy


@pytest.mark.parametrize(
    ("shape", "order"),
    [
        ({}, "5"),
        ({"records": True}, "0"),
        ({"records": True, "labels": 3}, "0"),
        ({"records": True, "task": "seq2seq"}, "5"),
        ({"records": True, "task": "infill"}, "0"),
        ({"records": True, "task": "classify"}, "3"),
        ({"cell": "jordan"}, "0"),
    ],
    ids=str,
)
def test_counts_are_mixed_in_where_that_suits(shape: dict[str, Any], order: str) -> None:
    assert ModelConfig(9, ngram="auto", **shape).with_ngram_order(5).ngram == order

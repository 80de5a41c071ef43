"""An option is said once, in its field: all that follows from it is there."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

import chargen
from chargen.cli.command import command
from chargen.generation.batch.fields import job_schema
from chargen.generation.poems.forms import Form
from chargen.options import (
    CELLS,
    BatchConfig,
    ClassifyConfig,
    Config,
    CorpusConfig,
    EmbedConfig,
    InfillConfig,
    ModelConfig,
    SamplingConfig,
    TrainConfig,
    WorkersConfig,
    keyword_options,
    option,
)
from chargen.options import cells as table
from chargen.options import model as model_options
from chargen.options.cells import NETWORK, CellRow, cell_options, cells_with
from chargen.options.field import Entry
from tests.cli.test_reference import flags_of as flags_in
from tests.cli.test_reference import real_helps, written_helps

CONFIGS = (
    CorpusConfig,
    ModelConfig,
    TrainConfig,
    SamplingConfig,
    BatchConfig,
    InfillConfig,
    EmbedConfig,
    ClassifyConfig,
    Form,
    WorkersConfig,
)
COMMANDS: dict[type[Config], tuple[str, ...]] = {
    CorpusConfig: ("prepare", "train", "find-lr"),
    ModelConfig: ("train", "find-lr"),
    TrainConfig: ("train", "find-lr"),
    SamplingConfig: ("sample", "batch"),
    BatchConfig: ("batch",),
    InfillConfig: ("infill",),
    EmbedConfig: ("embed",),
    ClassifyConfig: ("classify",),
    Form: ("sample", "batch"),
    WorkersConfig: ("batch", "prepare"),
}
"""The commands that have all options of a config."""
SOME: dict[str, tuple[str, ...]] = {
    "sample": ("num_samples", "seed", "oov_prompt", "device"),
    "eval": ("encoding", "errors", "device"),
    "infill": ("seed", "device"),
    "embed": ("encoding", "errors", "text_key", "device"),
    "classify": ("encoding", "errors", "text_key", "device"),
    "novelty": ("encoding", "errors"),
}
"""The options of which others have but some."""
FUNCTIONS: dict[type[Config], tuple[Callable[..., Any], ...]] = {
    CorpusConfig: (chargen.prepare, chargen.read_text, chargen.novelty, chargen.train),
    ModelConfig: (chargen.train, chargen.find_lr),
    TrainConfig: (chargen.train, chargen.find_lr),
    SamplingConfig: (
        chargen.batch,
        chargen.Generator.stream,
        chargen.Generator.generate,
        chargen.Generator.results,
    ),
    BatchConfig: (chargen.batch,),
    InfillConfig: (chargen.Generator.infill, chargen.Generator.infill_lines),
    EmbedConfig: (chargen.Generator.embed,),
    ClassifyConfig: (chargen.Generator.classify,),
    Form: (Form,),
    WorkersConfig: (chargen.batch, chargen.prepare),
}
"""The public functions that take all options of a config."""


def each_option() -> Iterator[Any]:
    for config in CONFIGS:
        for name, entry in config.entries().items():
            if not entry.option.derived:
                yield pytest.param(config, entry, id=f"{config.__name__}.{name}")


every_option = pytest.mark.parametrize(("config", "entry"), list(each_option()))


def flags(entry: Entry) -> list[str]:
    return [flag for each in entry.flags for flag in each.split("/")]


@every_option
def test_it_is_explained(config: type[Config], entry: Entry) -> None:
    words = entry.option.help
    assert words
    assert words[0].isupper()
    assert not words.endswith(".")
    assert "`" not in words


@every_option
def test_its_default_is_allowed(config: type[Config], entry: Entry) -> None:
    required = config is Form and entry.name == "name"
    assert required or entry.problem(entry.default) is None


@every_option
def test_it_is_a_flag_here_and_in_the_reference(config: type[Config], entry: Entry) -> None:
    for name in COMMANDS[config]:
        assert set(flags(entry)) <= flags_in(real_helps()[name])
        assert set(flags(entry)) <= flags_in(written_helps()[name])
    for name, some in SOME.items():
        if entry.name in some and config in (BatchConfig, CorpusConfig):
            assert set(flags(entry)) <= flags_in(real_helps()[name])


@every_option
def test_the_help_has_its_words_panel_and_default(config: type[Config], entry: Entry) -> None:
    for name in COMMANDS[config]:
        text = real_helps()[name]
        start = text.index(f"─ {entry.option.panel or 'Options'} ─")
        panel = _words(text[start : text.index("╰", start)])
        assert _words(entry.option.help) in panel
        for choice in entry.option.choices or ():
            assert choice in panel
        if entry.option.default_text:
            assert _words(f"[default: {entry.option.default_text}]") in panel
        elif entry.kind in (int, float) and entry.default is not None:
            assert _words(f"[default: {entry.default:g}]") in panel


def _words(text: str) -> str:
    """A text without the borders and line breaks of a panel."""
    return "".join(text.replace("│", "").split())


@every_option
def test_the_public_functions_take_it(config: type[Config], entry: Entry) -> None:
    for function in FUNCTIONS[config]:
        name = entry.name if config is Form else entry.parameter
        found = inspect.signature(function).parameters[name]
        if config is not Form:
            assert found.kind is found.KEYWORD_ONLY
            assert found.default in (entry.default, ...)


def test_texts_from_python_have_a_seed_and_a_number() -> None:
    for function in (chargen.Generator.generate, chargen.Generator.results):
        parameters = inspect.signature(function).parameters
        for name in ("best_of", "num_samples", "oov_prompt"):
            assert parameters[name].default == BatchConfig.entries()[name].default
        assert parameters["seed"].default is None  # a random one


def test_no_public_function_has_an_option_of_its_own_by_the_same_name() -> None:
    """Each option has one meaning, so that the documentation of one function holds for all."""
    named: dict[str, set[type[Config]]] = {}
    for config in CONFIGS:
        for entry in config.entries().values():
            if not entry.option.derived:
                named.setdefault(entry.parameter, set()).add(config)
    shared = {name: configs for name, configs in named.items() if len(configs) > 1}
    filling = {"num_samples", "temperature", "beam_size"}  # of fillings what they are of texts
    assert set(shared) == {"seed", "batch_size", "device"} | filling
    for function in FUNCTIONS[SamplingConfig] + FUNCTIONS[ModelConfig]:
        names = list(inspect.signature(function).parameters)
        assert len(names) == len(set(names))


@every_option
def test_it_is_a_field_of_a_job(config: type[Config], entry: Entry) -> None:
    schema = job_schema()
    in_form = schema["$defs"]["FormFields"]["properties"]
    if config is Form:
        properties = in_form
    elif config is SamplingConfig or (config is BatchConfig and entry.name in _OF_JOBS):
        properties = schema["properties"]
    else:
        return
    found = properties[entry.name]
    assert found["description"]
    known = entry.option
    assert found.get("minimum") == known.low
    assert found.get("maximum") == known.high
    assert found.get("exclusiveMinimum") == known.above
    assert found.get("exclusiveMaximum") == known.below
    choices = [*(known.choices or ()), *((True, False) if known.switch else ())]
    assert found.get("enum", []) == choices
    kinds = {int: "integer", float: "number", str: "string", bool: "boolean"}
    several = ["array", "string", *(["object"] if known.keyed else [])]
    alone = ["string", "boolean"] if known.switch else kinds.get(entry.kind)
    assert found["type"] == (several if entry.kind is tuple else alone)


_OF_JOBS = ("seed", "num_samples", "best_of")


def test_a_job_has_no_other_fields() -> None:
    own = {"prompt", "id", "form", *_OF_JOBS}
    assert set(job_schema()["properties"]) == {*SamplingConfig.entries(), *own}
    assert set(job_schema()["$defs"]["FormFields"]["properties"]) == set(Form.entries())


@pytest.mark.parametrize("name", cell_options())
def test_an_option_of_cells_belongs_to_some(name: str) -> None:
    cells = cells_with(name)
    assert cells
    assert name in ModelConfig.entries()
    for cell in CELLS:
        idle = name in ModelConfig(9, cell=cell).idle_options()
        assert idle == (cell not in cells)
    assert f"({','.join(cells)})" in _words(real_helps()["train"])


def test_cells_share_an_option_only_as_the_same() -> None:
    for row in CELLS.values():
        for name, each in row.options.items():
            assert each is cell_options()[name]


def test_a_cell_with_an_option_needs_only_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """A row is added to a copy of the table, and ``ModelConfig`` made anew from that."""
    gain = option(1.0, "Factor of the state", above=0, panel=NETWORK)
    row = CellRow("nowhere", "Fake", {"gain": gain})
    monkeypatch.setattr(table, "CELLS", {**CELLS, "fake": row})
    spec = importlib.util.spec_from_file_location("model_with_fake", model_options.__file__)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "model_with_fake", module)
    spec.loader.exec_module(module)
    config = module.ModelConfig

    assert config(9, cell="fake", gain=2.0).problems() == []
    assert config(9, cell="fake", gain=0).problems() == ["`gain` is 0, not above 0 and finite"]
    assert config(9, gain=2.0).problems() == ["`gain` has no meaning for the cell lstm"]

    def build(**options: Any) -> dict[str, Any]:
        return options

    listed = keyword_options(config)(build)
    assert inspect.signature(listed).parameters["gain"].default == 1.0

    seen: list[dict[str, Any]] = []

    def run(*, options: dict[str, Any]) -> None:
        seen.append(options)

    app = typer.Typer()
    app.command()(command(config)(run))
    help_text = CliRunner().invoke(app, ["--help"]).output
    assert "Factorofthestate(fake).[default:1]" in _words(help_text)
    assert CliRunner().invoke(app, ["--cell", "fake", "--gain", "0.5"]).exit_code == 0
    assert seen == [{"cell": "fake", "gain": 0.5}]

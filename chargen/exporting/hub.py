"""A run in the layout of a model hub: still a run folder, with a card."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

from chargen.exporting.card import card
from chargen.exporting.command import SAMPLE, SEED, training_command
from chargen.exporting.tokens import FILE, table_bytes
from chargen.files import write_json
from chargen.generation.generator import Generator
from chargen.network.model import CharModel
from chargen.options import ExportConfig
from chargen.runs.layout import CONFIG, MODEL, TOKENIZER
from chargen.runs.loaded import LoadedModel
from chargen.runs.ngram import write_ngram
from chargen.runs.tensors import write_tensors


def write_hub(folder: Path, loaded: LoadedModel, config: ExportConfig) -> None:
    """Write what generation needs of a run, a sample and the card.

    Of a run with counts that are left out, the network is made a run of its own.
    """
    training = training_command(loaded.config)
    alone = bool(loaded.config.model.ngram_order) and loaded.ngram is None
    if alone:
        loaded = _without_counts(loaded)
    drawn: dict[str, Any] = {
        "temperature": SAMPLE.temperature,
        "length": SAMPLE.length,
        "seed": SEED,
    }
    state = loaded.network.state_dict()
    if config.weights == "float16":
        state = {n: t.half() if t.is_floating_point() else t for n, t in state.items()}
        loaded = replace(loaded, network=deepcopy(loaded.network))
        loaded.network.load_state_dict(state)
    sample = Generator(loaded.path, loaded).generate(**drawn)[0]
    write_json(folder / CONFIG, loaded.config.sealed())
    (folder / TOKENIZER).write_bytes(loaded.tokenizer.to_bytes())
    (folder / FILE).write_bytes(table_bytes(loaded))
    write_tensors(folder / MODEL, state, loaded.step, loaded.bits_per_char)
    write_ngram(folder, loaded.ngram)
    (folder / "sample.txt").write_text(sample + "\n", "utf-8")
    (folder / "README.md").write_text(card(loaded, config, sample, training, alone=alone), "utf-8")


def _without_counts(loaded: LoadedModel) -> LoadedModel:
    """The network of a run as one that has no counts and no gate; it has not been evaluated."""
    model = replace(loaded.config.model, ngram="0")
    network = CharModel(model)
    kept = network.state_dict().keys()
    state = loaded.network.state_dict()
    network.load_state_dict({name: state[name] for name in kept})
    config = replace(loaded.config, model=model)
    return replace(loaded, network=network, config=config, bits_per_char=None)

"""A run in the layout of a model hub: still a run folder, with a card."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path

from chargen.exporting.card import Export, card
from chargen.exporting.command import training_command
from chargen.exporting.results import measured
from chargen.exporting.samples import sample_of
from chargen.exporting.tokens import FILE, table_bytes
from chargen.files import write_json
from chargen.network.classifier import Classifier
from chargen.network.shapes import build_model
from chargen.options import ExportConfig
from chargen.runs.layout import CONFIG, MODEL, TOKENIZER
from chargen.runs.loaded import LoadedModel
from chargen.runs.ngram import write_ngram
from chargen.runs.tensors import write_tensors

CARD = "README.md"


def write_hub(folder: Path, loaded: LoadedModel, config: ExportConfig) -> None:
    """Write what every command needs of a run but a resume, a sample and the card.

    Of a run with counts that are left out, the network is made a run of its own.
    """
    training, alone = training_command(loaded.config), _lacks_counts(loaded)
    if alone:
        loaded = _without_counts(loaded)
    state = loaded.network.state_dict()
    if config.weights == "float16":
        state = {n: t.half() if t.is_floating_point() else t for n, t in state.items()}
        loaded = replace(loaded, network=deepcopy(loaded.network))
        loaded.network.load_state_dict(state)
    sample = sample_of(loaded, config)
    write_json(folder / CONFIG, loaded.config.sealed())
    (folder / TOKENIZER).write_bytes(loaded.tokenizer.to_bytes())
    (folder / FILE).write_bytes(table_bytes(loaded))
    write_tensors(folder / MODEL, state, loaded.step, loaded.bits_per_char)
    write_ngram(folder, loaded.ngram)
    for name, text in sample.files.items() if sample else ():
        (folder / name).write_text(text, "utf-8")
    export = Export(loaded, config, training, measured(loaded), sample, alone=alone)
    (folder / CARD).write_text(card(export), "utf-8")


def _lacks_counts(loaded: LoadedModel) -> bool:
    """Whether a run has counts and was loaded without."""
    network = loaded.network
    if isinstance(network, Classifier):
        return bool(network.config.ngram_order) and network.counted is None
    return bool(loaded.config.model.ngram_order) and loaded.ngram is None


def _without_counts(loaded: LoadedModel) -> LoadedModel:
    """The network of a run as one that has no counts and no gate."""
    model = replace(loaded.config.model, ngram="0")
    network = build_model(model)
    kept = network.state_dict().keys()
    state = loaded.network.state_dict()
    network.load_state_dict({name: state[name] for name in kept})
    config = replace(loaded.config, model=model)
    return replace(loaded, network=network, config=config)

"""A run in the layout of a model hub: still a run folder, with a card."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

from chargen.errors import ConfigError
from chargen.exporting.card import card
from chargen.exporting.command import SAMPLE, SEED
from chargen.exporting.tokens import FILE, table_bytes
from chargen.files import write_json
from chargen.generation.generator import Generator
from chargen.options import ExportConfig
from chargen.runs.layout import CONFIG, MODEL, TOKENIZER
from chargen.runs.loaded import LoadedModel
from chargen.runs.ngram import write_ngram
from chargen.runs.tensors import write_tensors


def write_hub(folder: Path, loaded: LoadedModel, config: ExportConfig) -> None:
    """Write what generation needs of a run, a sample and the card.

    Raises:
        ConfigError: the run has counts, which were left out.
    """
    if loaded.config.model.ngram_order and loaded.ngram is None:
        raise ConfigError(
            "`to=hub` exports the whole run, and `ngram=False` leaves its counts out.",
            "Leave one of them out.",
        )
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
    (folder / "README.md").write_text(card(loaded, config, sample), "utf-8")

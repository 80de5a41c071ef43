"""A run as a static page: the files of ``site``, and the run as data beside them."""

from __future__ import annotations

import json
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import torch

from chargen import __version__
from chargen.exporting.language import language_of
from chargen.exporting.step import traced_step
from chargen.exporting.tokens import table_of
from chargen.exporting.tracing import Traced
from chargen.options import ExportConfig, SamplingConfig
from chargen.runs.finding import name_of
from chargen.runs.layout import MODEL
from chargen.runs.loaded import LoadedModel
from chargen.runs.ngram import write_ngram
from chargen.runs.tensors import write_tensors

DATA = "model.json"
_NARROWED_FROM = 256
"""Tensors of fewer numbers stay float32."""


def write_page(folder: Path, loaded: LoadedModel, config: ExportConfig) -> None:
    """Write the page of a run, which any static server can serve."""
    step = traced_step(loaded.model, gate=loaded.ngram is not None)
    for name, file in site_files().items():
        (folder / name).write_bytes(file.read_bytes())
    narrow = config.weights == "float16"
    tensors = {
        name: each.half() if narrow and each.is_floating_point() and _is_long(each) else each
        for name, each in step.constants.items()
    }
    write_tensors(folder / MODEL, tensors, loaded.step, loaded.bits_per_char)
    write_ngram(folder, loaded.ngram)
    as_json = json.dumps(_described(loaded, step), ensure_ascii=False)
    (folder / DATA).write_text(as_json + "\n", "utf-8")


def site_files() -> dict[str, Traversable]:
    """The files that all pages share, by name."""
    return {each.name: each for each in files("chargen.exporting").joinpath("site").iterdir()}


def _is_long(tensor: torch.Tensor) -> bool:
    return tensor.numel() >= _NARROWED_FROM


def _described(loaded: LoadedModel, step: Traced) -> dict[str, Any]:
    """What ``model.json`` holds: the step's operations, the pieces, and what the page tells."""
    model, corpus, sampling = loaded.config.model, loaded.config.corpus, SamplingConfig()
    options = ("recall", "loop_penalty", "loop_length", "loop_window")
    return {
        "chargen": __version__,
        "name": name_of(loaded.path),
        "about": {
            "cell": model.cell,
            "layers": model.num_layers,
            "units": model.hidden_size,
            "parameters": sum(each.numel() for each in loaded.network.parameters()),
            "corpus": corpus.name,
            "language": language_of(loaded.tokenizer),
            "characters": corpus.characters,
            "bits": loaded.bits_per_char,
            "order": loaded.ngram.order if loaded.ngram else 0,
        },
        "labels": {key: corpus.label_space.names(key) for key in corpus.labels},
        "sampling": {name: getattr(sampling, name) for name in options},
        "tokens": table_of(loaded),
        "step": described_step(step),
    }


def described_step(step: Traced) -> dict[str, Any]:
    """A step as JSON: sizes of the inputs, names of the outputs, operations in order."""
    return {
        "inputs": {
            name: {"size": each[0].numel(), "whole": not each.is_floating_point()}
            for name, each in step.inputs.items()
        },
        "outputs": dict(step.sources),
        "nodes": [
            {"op": node.op, "inputs": node.inputs, "output": node.output, **node.attributes}
            for node in step.nodes
        ],
    }

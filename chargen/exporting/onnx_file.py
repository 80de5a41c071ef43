"""The ONNX files of a run, by the shape of its network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from chargen import __version__
from chargen.exporting.filling import graph_of_gaps
from chargen.exporting.graph import Graph
from chargen.exporting.reading import graph_of_reading
from chargen.exporting.step import traced_answer, traced_step
from chargen.exporting.tokens import table_of
from chargen.exporting.tracing import Traced
from chargen.network.infiller import Infiller
from chargen.network.seq2seq import Seq2Seq
from chargen.runs.loaded import LoadedModel


def onnx_files(loaded: LoadedModel) -> dict[str, bytes]:
    """The files by name: one, or an encoder and a decoder where texts are answered.

    Raises:
        CheckpointError: the run has learnt a task that is not exported.
        MissingExtraError: the package onnx is not installed.
    """
    graphs = _graphs_of(loaded, counted=loaded.ngram is not None)
    metadata = metadata_of(table_of(loaded), loaded.config.model.task)
    return {
        f"{name}.onnx": graph.to_bytes("step" if name == "model" else name, metadata)
        for name, graph in graphs.items()
    }


def _graphs_of(loaded: LoadedModel, *, counted: bool) -> dict[str, Graph]:
    network, tokenizer = loaded.network, loaded.tokenizer
    if isinstance(network, Seq2Seq):
        decoder = graph_of_step(traced_answer(network, gate=counted))
        return {"encoder": graph_of_reading(network), "decoder": decoder}
    if isinstance(network, Infiller):
        return {"model": graph_of_gaps(network, tokenizer.newline_id, tokenizer.end_id)}
    return {"model": graph_of_step(traced_step(loaded.model, gate=counted))}


def graph_of_step(step: Traced) -> Graph:
    """A step as a graph."""
    graph = Graph()
    for name, example in step.inputs.items():
        graph.input(name, example, varying=name in step.varying)
    for name, source in graph.include(step).items():
        graph.output(name, source, step.outputs[name], varying=name in step.varying)
    return graph


def metadata_of(table: Mapping[str, Any], task: str) -> dict[str, str]:
    """What an ONNX file says of itself: version, task, and the tokenizer's table as JSON."""
    return {
        "chargen": __version__,
        "task": task,
        "newline": str(table["newline"]),
        "tokenizer": json.dumps(table, ensure_ascii=False),
    }

"""Whole texts read by cells, as a graph: what an answer or a filling begins with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from chargen.cells.base import Cell
from chargen.exporting.graph import Graph
from chargen.exporting.tracing import Traced, trace
from chargen.network.encoder import Encoder
from chargen.network.seq2seq import Seq2Seq

_ROWS = 3
BEYOND = -1e30
"""What is added to how much a character beyond the end of a text is looked at."""


@dataclass(frozen=True)
class Texts:
    """Texts of several lengths in a graph: names of values.

    Attributes:
        rows: the number of texts, (1,).
        places: of characters, from 0 on, (1, S).
        lengths: (B, 1).
        inside: whether a place is in a text, (B, S).
    """

    rows: str
    places: str
    lengths: str
    inside: str


def texts_of(graph: Graph, ids: str, lengths: str) -> Texts:
    """What is known of texts (B, S) of ``lengths`` (B,)."""
    size = graph.add("Gather", graph.add("Shape", ids), graph.constant(1))
    places = graph.add("Range", graph.constant(0), size, graph.constant(1))
    places = graph.add("Unsqueeze", places, graph.constant([0]))
    column = graph.add("Unsqueeze", lengths, graph.constant([1]))
    inside = graph.add("Less", places, column)
    return Texts(graph.add("Shape", lengths), places, column, inside)


def filled_with(graph: Graph, texts: Texts, like: Tensor, value: float = 0) -> str:
    """A value (B, …) of one number, with the type and the other dimensions of an example."""
    sizes = texts.rows
    if like.ndim > 1:
        sizes = graph.add("Concat", sizes, graph.constant(list(like.shape[1:])), axis=0)
    filling = like.new_full((1,), value)
    tensor = graph.onnx.numpy_helper.from_array(filling.numpy())
    return graph.add("ConstantOfShape", sizes, value=tensor)


def read_texts(
    graph: Graph,
    encoder: Encoder,
    inputs: Sequence[str],
    texts: Texts,
    known: Mapping[str, Tensor],
    *,
    backwards: bool = False,
) -> tuple[str, str]:
    """Let the cells of an encoder read texts.

    Args:
        graph: to which this is added.
        encoder: whose cells read.
        inputs: for each direction x, (B, S, I).
        texts: that are read.
        known: parameters by the names that their constants take.
        backwards: whether an encoder of one direction reads from the end of each text.

    Returns:
        The outputs (B, S, D·H), and what each direction puts out at its end, (B, D·H). Beyond its
        end a text has outputs that are finite.
    """
    for n, layer in enumerate(encoder.cells):
        outputs, ends = [], []
        for direction, cell in enumerate(layer):
            body = _careful_step(cell, known)
            states = {
                name: filled_with(graph, texts, example)
                for name, example in body.inputs.items()
                if name not in ("x", "inside")
            }
            back = backwards or direction == 1
            found = graph.scan(
                body,
                states,
                {"x": inputs[direction], "inside": texts.inside},
                f"{'back' if back else 'ahead'}.{n}/",
                backwards=back,
            )
            outputs.append(found["y"])
            ends.append(found["last"])
        together = graph.add("Concat", *outputs, axis=-1)
        inputs = [together, together]
    return inputs[0], graph.add("Concat", *ends, axis=-1)


def _careful_step(cell: Cell, known: Mapping[str, Tensor]) -> Traced:
    """A step of a cell that leaves everything as it is where a text has no character."""
    state = cell.initial_state(_ROWS)
    width = cell.input_size or cell.gates * cell.hidden_size
    inputs = {f"state.{n}": part for n, part in enumerate(state)}
    inputs["last"] = cell.zero.new_zeros(_ROWS, cell.hidden_size)
    inputs["x"] = cell.zero.new_zeros(_ROWS, width)
    inputs["inside"] = torch.ones(_ROWS, dtype=torch.bool)

    def step(given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        before = {f"state.{n}": given[f"state.{n}"] for n in range(len(state))}
        y, after = cell.step(cell.project(given["x"]), tuple(before.values()))
        before["last"] = given["last"]
        rows = given["inside"].unsqueeze(-1)
        outputs = {
            name: torch.where(rows if new.ndim > 1 else given["inside"], new, old)
            for (name, old), new in zip(before.items(), (*after, y), strict=True)
        }
        return outputs | {"y": outputs["last"]}

    return trace(step, inputs, known)


def graph_of_reading(model: Seq2Seq) -> Graph:
    """The encoder, up to all that a decoder's step is given.

    Inputs: ``ids`` (B, S) int64, the end piece last; ``lengths`` (B,) int64. Outputs, by the names
    that ``traced_answer`` gives its inputs: ``code``, ``state.LAYER.N``, and with attention
    ``memory``, ``keys``, ``mask``, ``state.distance``.
    """
    graph, known = Graph(), dict(model.named_parameters())
    whole = torch.zeros(_ROWS, 1, dtype=torch.int64)
    graph.input("ids", whole, varying=True)
    texts = texts_of(graph, "ids", graph.input("lengths", whole[:, 0]))
    table = model.table if model.E is None else model.E
    name = "decoder.table" if model.E is None else "E"
    rows = graph.add("Gather", graph.constant(table, name), "ids")
    inputs = [rows, rows]
    if model.E is None and model.input_scale != 1:
        inputs = [graph.add("Mul", rows, graph.constant(model.input_scale))] * 2
    elif model.E is not None and model.encoder.back is not None:
        half = table.shape[1] // 2
        inputs = [_columns(graph, rows, 0, half), _columns(graph, rows, half, 2 * half)]
    outputs, code = read_texts(graph, model.encoder, inputs, texts, known)
    width = model.encoder.outputs
    graph.output("code", code, table.new_zeros(_ROWS, width))
    starts = enumerate(model.starts)
    for layer, cell in enumerate(model.decoder.cells):
        for n, part in enumerate(cell.initial_state(_ROWS)):
            if cell.carries and part.is_floating_point():
                number, S = next(starts)
                begun = graph.add("Gemm", code, graph.constant(S, f"starts.{number}"), transB=1)
                value = graph.add("Tanh", begun)
            else:
                value = filled_with(graph, texts, part)
            graph.output(f"state.{layer}.{n}", value, part)
    if model.attention is not None:
        memory = outputs if model.E is not None else graph.add("Concat", outputs, rows, axis=-1)
        _give_memory(graph, model, memory, texts)
    return graph


def _give_memory(graph: Graph, model: Seq2Seq, memory: str, texts: Texts) -> None:
    """Declare what attention looks at as outputs."""
    look = model.attention
    assert look is not None
    name, matrix = ("W", look.W) if look.U is None else ("U", look.U)
    M = look.W_c.shape[1] - len(look.W_c)
    turned = graph.add("Transpose", graph.constant(matrix, f"attention.{name}"), perm=[1, 0])
    keys = graph.add("MatMul", memory, turned)
    graph.output("memory", memory, matrix.new_zeros(_ROWS, 1, M), varying=True)
    graph.output("keys", keys, matrix.new_zeros(_ROWS, 1, len(matrix)), varying=True)
    mask = graph.add("Where", texts.inside, graph.constant(0.0), graph.constant(BEYOND))
    graph.output("mask", mask, matrix.new_zeros(_ROWS, 1), varying=True)
    # Places of each text: all rows are alike, and have a row each since a decoder's batch may vary.
    zeros = graph.add("Mul", texts.lengths, graph.constant(0))
    distance = graph.add("Add", texts.places, zeros)
    graph.output("state.distance", distance, torch.zeros(_ROWS, 1, dtype=torch.int64), varying=True)


def _columns(graph: Graph, value: str, start: int, end: int) -> str:
    places = [graph.constant([each]) for each in (start, end, -1)]
    return graph.add("Slice", value, *places)

"""A network that fills gaps, as a graph: every character of a line from all others."""

from __future__ import annotations

import torch

from chargen.exporting.graph import Graph
from chargen.exporting.reading import Texts, filled_with, read_texts, texts_of
from chargen.network.infiller import Infiller

_ROWS = 3
_TO_THE_END = 1 << 40


def graph_of_gaps(model: Infiller, newline: int, end: int) -> Graph:
    """Logits of each character of lines, given the others.

    Inputs: ``ids`` (B, S) int64, any piece for what is missing; ``gaps`` (B, S) bool, what is
    missing, filled in or not; ``lengths`` (B,) int64. Output: ``logits`` (B, S, |V|). Those of a
    gap have read what stands before it, gaps that are filled in as well, and after it all but gaps.
    """
    graph, known = Graph(), dict(model.named_parameters())
    ids = torch.zeros(_ROWS, 1, dtype=torch.int64)
    graph.input("ids", ids, varying=True)
    graph.input("gaps", ids.bool(), varying=True)
    texts = texts_of(graph, "ids", graph.input("lengths", ids[:, 0]))
    first = filled_with(graph, texts, ids, newline)
    before = graph.add("Concat", first, _part(graph, "ids", 0, -1), axis=1)
    later, hidden = _later(graph, texts, end)
    ahead, back = _tables(graph, model)
    x = graph.add("Gather", ahead, before)
    column = graph.add("Unsqueeze", hidden, graph.constant([-1]))
    m = graph.constant(model.m, "m")
    y = graph.add("Where", column, m, graph.add("Gather", back, later))
    if model.input_scale != 1:
        scale = graph.constant(model.input_scale)
        x, y = graph.add("Mul", x, scale), graph.add("Mul", y, scale)
    left, _ = read_texts(graph, model.ahead, [x], texts, known)
    right, _ = read_texts(graph, model.back, [y], texts, known, backwards=True)
    s = graph.add("Concat", left, right, axis=-1)
    for name, matrix in (("V", model.V), ("P", model.P)):
        if matrix is not None:
            s = _product(graph, s, graph.constant(matrix, name))
    if model.P is not None:
        s = _product(graph, s, graph.constant(model.table, "table"))
    if model.c is not None:
        s = graph.add("Add", s, graph.constant(model.c, "c"))
    example = model.table.new_zeros(_ROWS, 1, model.config.vocab_size)
    graph.output("logits", s, example, varying=True)
    return graph


def _later(graph: Graph, texts: Texts, end: int) -> tuple[str, str]:
    """What follows each character, (B, S), the end piece last; and which of it is a gap."""
    ids = torch.zeros(_ROWS, 1, dtype=torch.int64)
    last = graph.add("Sub", texts.lengths, graph.constant(1))
    at_end = graph.add("Equal", texts.places, last)
    pieces, gaps = (
        graph.add(
            "Concat",
            _part(graph, name, 1, _TO_THE_END),
            filled_with(graph, texts, example),
            axis=1,
        )
        for name, example in (("ids", ids), ("gaps", ids.bool()))
    )
    later = graph.add("Where", at_end, graph.constant(end), pieces)
    return later, graph.add("And", gaps, graph.add("Not", at_end))


def _tables(graph: Graph, model: Infiller) -> tuple[str, str]:
    """The rows of characters that each direction reads."""
    if model.config.embedding_size:
        table = graph.constant(model.table, "table")
        return table, table
    ahead, back = model.table.chunk(2, dim=1)
    return graph.constant(ahead, "table.ahead"), graph.constant(back, "table.back")


def _part(graph: Graph, value: str, start: int, end: int) -> str:
    """Some of the characters of (B, S)."""
    return graph.add("Slice", value, *(graph.constant([each]) for each in (start, end, 1)))


def _product(graph: Graph, x: str, matrix: str) -> str:
    return graph.add("MatMul", x, graph.add("Transpose", matrix, perm=[1, 0]))

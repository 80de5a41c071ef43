"""Vectors of texts: what a network knows when it has read them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chargen.corpus.batching import beginnings
from chargen.corpus.labels import Labels
from chargen.corpus.record_split import RecordSplit
from chargen.corpus.records import Record
from chargen.corpus.tokenizer import Tokenizer
from chargen.evaluation.texts import batches_of, in_chunks, split_of
from chargen.machine.precision import exact_float32
from chargen.network.base import Model
from chargen.options import EmbedConfig

Vectors = NDArray[np.float32]


def embeddings(
    network: Model, tokenizer: Tokenizer, records: Iterable[Record], wanted: EmbedConfig
) -> Iterator[tuple[list[Record], Vectors]]:
    """Yield some records at a time and their vectors, (n, M), in order.

    Each text is read from its beginning, a newline before it. Its vector doesn't depend on those
    of other texts, beyond rounding.

    Args:
        network: of any task.
        tokenizer: of its run.
        records: the texts; of a pair, the side that is read.
        wanted: pooling, and whether the vectors are scaled to length 1.
    """
    for chunk in in_chunks(records):
        split = split_of(chunk, tokenizer, Labels({}))
        yield chunk, embed_split(network, split, tokenizer.newline_id, wanted)


@exact_float32()
def embed_split(
    network: Model, split: RecordSplit, newline_id: int, wanted: EmbedConfig
) -> Vectors:
    """Return the vectors of the texts of a split, (n, M)."""
    found: Vectors | None = None
    device = network.table.device
    with torch.no_grad():
        for records in batches_of(split):
            ids, lengths = (
                torch.from_numpy(each).to(device) for each in beginnings(split, records, newline_id)
            )
            pooled = _pooled(network, network.outputs(ids, lengths), lengths, wanted.pooling)
            if wanted.normalize:
                pooled = torch.nn.functional.normalize(pooled, dim=-1)
            if found is None:
                found = np.zeros((len(split), pooled.shape[1]), np.float32)
            found[records] = pooled.float().cpu().numpy()
    return np.zeros((0, 0), np.float32) if found is None else found


def _pooled(network: Model, y: Tensor, lengths: Tensor, pooling: str) -> Tensor:
    if pooling == "last":
        return network.last(y, lengths)
    if pooling == "mean":
        within = torch.arange(len(y), device=y.device)[:, None] < lengths
        return (y * within[..., None]).sum(0) / lengths[:, None]
    return network.pooled(y, lengths)

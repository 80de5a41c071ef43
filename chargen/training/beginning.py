"""Where a run's weights begin: at what counting tells of its text, or at another run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from chargen.corpus.prepared import PreparedCorpus, piece_counts
from chargen.corpus.tokenizer import Ids, Tokenizer
from chargen.network.model import CharModel

if TYPE_CHECKING:
    from chargen.runs.folder import LoadedModel

_NEIGHBOURS = 1 << 22
"""Pieces whose neighbours are counted, at most: the beginning of the text."""
_SPARE, _ITERATIONS = 16, 3
"""Dimensions that are dropped in the end, and rounds, of the iteration that finds the vectors."""
_LENGTH = 1.4
"""Of the rows of a table that begins at its neighbours; random ones are about 1 long."""


def begin_weights(model: CharModel, corpus: PreparedCorpus, source: LoadedModel | None) -> None:
    """Complete the initial weights of ``model`` by what is known before training.

    No step is spent on what counting tells: the biases c begin at the frequencies of the pieces in
    the training text, and a table that serves input and output at vectors of their neighbours.
    Of a ``source`` it is what that one has learnt.
    """
    size = corpus.tokenizer.size
    model.expect(torch.from_numpy(piece_counts(corpus.train, size)).double())
    if source:
        adopt_weights(model, corpus.tokenizer, source)
    elif model.config.tie_weights:
        vectors = _LENGTH * neighbour_vectors(corpus.train, size, model.config.embedding_size)
        with torch.no_grad():
            model.table.copy_(torch.where(vectors.any(1, keepdim=True), vectors, model.table.cpu()))


def neighbour_vectors(ids: Ids, size: int, width: int) -> Tensor:
    """Vectors (|V|, width) of unit length, alike for pieces that stand beside alike ones.

    Of the positive pointwise mutual information of neighbours,
    M[x, y] = max(0, log[(n_xy + 1/2) / (n_x n_y / n + 1/2)]), the matrix (M, Mᵀ) is cut down to its
    ``width`` largest singular values, U S Vᵀ; the rows of U √S tell the pieces apart. A piece
    whose neighbours tell nothing has zeros.

    Sources: Levy and Goldberg, "Neural word embedding as implicit matrix factorization", NeurIPS
    2014; for the iteration, Halko, Martinsson and Tropp, "Finding structure with randomness", 2011.
    """
    text = np.asarray(ids[:_NEIGHBOURS], dtype=np.int64)
    pairs, together = np.unique(text[:-1] * size + text[1:], return_counts=True)
    x, y = np.divmod(pairs, size)
    alone = np.bincount(text, minlength=size)
    information = np.log((together + 0.5) / (alone[x] * alone[y] / len(text) + 0.5))
    x, y, information = (each[information > 0] for each in (x, y, information))
    both = torch.sparse_coo_tensor(
        torch.from_numpy(np.stack([np.append(x, y), np.append(y, x + size)])),
        torch.from_numpy(np.append(information, information)).float(),
        (size, 2 * size),
        check_invariants=True,
    )
    rank = min(width + _SPARE, size)
    U = torch.randn(size, rank, generator=torch.Generator().manual_seed(0))
    for _ in range(_ITERATIONS):
        Q = torch.linalg.qr(U).Q
        U = both @ (both.mT @ Q)
    squares, W = torch.linalg.eigh(Q.T @ U)
    vectors = Q @ W * squares.clamp(min=0) ** 0.25
    vectors = F.normalize(vectors[:, -width:])
    vectors[np.bincount(np.append(x, y), minlength=size) == 0] = 0
    return F.pad(vectors, (0, width - vectors.shape[1]))


@torch.no_grad()
def adopt_weights(model: CharModel, tokenizer: Tokenizer, source: LoadedModel) -> int:
    """Copy the weights of ``source`` into ``model``, whose vocabulary may differ.

    The layers are copied whole, so their shapes must agree; of the table, V and c, the rows of
    pieces that both have. Other rows keep what they are. Returns the number of pieces shared.
    """
    theirs = {source.tokenizer.piece(n): n for n in range(source.tokenizer.size)}
    pairs = [
        (theirs[piece], n) for n in range(tokenizer.size) if (piece := tokenizer.piece(n)) in theirs
    ]
    old = torch.tensor([a for a, _ in pairs])
    new = torch.tensor([b for _, b in pairs])
    given = source.model.state_dict()
    for name, tensor in model.state_dict().items():
        if name in ("table", "V", "c"):
            tensor[new] = given[name][old].to(tensor)
        else:
            tensor.copy_(given[name])
    return len(pairs)

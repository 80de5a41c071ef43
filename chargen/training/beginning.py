"""The initial weights of a run: from counts of its text, or from another run."""

from __future__ import annotations

import unicodedata
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from chargen.corpus.prepared import PreparedCorpus, piece_counts
from chargen.corpus.tokenizer import Ids, Tokenizer
from chargen.machine.devices import resolve_device
from chargen.machine.settings import TrainingSettings
from chargen.machine.team import Saved
from chargen.network.base import Model
from chargen.network.classifier import Classifier
from chargen.options import Recipe
from chargen.runs.config import RunConfig
from chargen.training.state import TrainingState

if TYPE_CHECKING:
    from chargen.runs.loaded import LoadedModel
    from chargen.training.plan import PreparedRun


def first_state(
    config: RunConfig, corpus: PreparedCorpus, source: LoadedModel | None
) -> TrainingState:
    """The state that a run begins with, made under the settings that it is trained under."""
    with closing(TrainingSettings(config.training.threads)) as settings, settings.block():
        state = TrainingState(config, resolve_device(config.training.device))
        begin_weights(state.model, corpus, source, config.recipe)
    return state


def take_first_state(state: TrainingState, run: PreparedRun, *, begins: bool) -> bool:
    """Let ``state`` be that of the newest checkpoint of a run; without one it begins.

    The leading process of the team reads it, and all others get its state.

    Args:
        state: that of ``run`` if this process has just made it, else a new one.
        run: which goes on.
        begins: this process has just made it.

    Returns:
        Whether there was a checkpoint to go on with; the same in all processes.
    """
    begun = begins

    def first() -> Saved:
        nonlocal begun
        saved = None if begun else run.folder.load_last()
        if saved is not None:
            return saved
        if not begun:
            begin_weights(state.model, run.plan.corpus, run.plan.source, run.plan.config.recipe)
        begun = True
        return state.saved()

    saved = state.team.spread(first)
    if saved is not None and not begun:
        state.restore(*saved)
    return state.team.any(begun) == (False,)


def begin_weights(
    model: Model, corpus: PreparedCorpus, source: LoadedModel | None, recipe: Recipe
) -> None:
    """Complete the initial weights of ``model`` with what is known before training.

    What can be counted need not be learnt: the biases c start at the frequencies of the pieces in
    the training text, and a table shared by input and output at vectors of the pieces' neighbours.
    Where there is a ``source``, its weights are the initial ones.
    """
    size = corpus.tokenizer.size
    model.expect(torch.from_numpy(piece_counts(corpus.train, size)).double())
    if isinstance(model, Classifier):
        _count_labels(model, corpus)
    if source:
        records = corpus.manifest.records
        same = dict(source.config.corpus.labels) == ({} if records is None else records.labels)
        adopt_weights(model, corpus.tokenizer, source, same_labels=same)
    elif model.begins_with_neighbours:
        vectors = neighbour_vectors(corpus.train, size, model.config.embedding_size, recipe)
        vectors = recipe.neighbour_length * vectors
        with torch.no_grad():
            model.table.copy_(torch.where(vectors.any(1, keepdim=True), vectors, model.table.cpu()))


def _count_labels(model: Classifier, corpus: PreparedCorpus) -> None:
    """Let a classifier count what the texts of each value hold, and how many have it.

    The texts are counted as they are read: after a newline, and without the end piece.
    """
    split, device = corpus.train_records, model.table.device
    lengths = split.lengths()
    starts = np.repeat(split.ends - lengths + 1, lengths)
    places = np.arange(len(split.tokens)) - starts
    ids = np.roll(np.asarray(split.tokens, np.int64), 1)
    ids[places == 0] = corpus.tokenizer.newline_id
    values = np.repeat(split.labels[:, 0].astype(np.int64) - 1, lengths)
    separates = np.array(
        [separates_verses(corpus.tokenizer.piece(id_)) for id_ in range(corpus.tokenizer.size)]
    )
    arrays = (ids, places, values, separates)
    model.learn_counts(*(torch.from_numpy(each).to(device) for each in arrays))


def separates_verses(piece: str) -> bool:
    """Whether a piece is a mark, a blank or a line end, by its Unicode category."""
    return len(piece) == 1 and unicodedata.category(piece)[0] in "PZC"


def neighbour_vectors(ids: Ids, size: int, width: int, recipe: Recipe) -> Tensor:
    """Vectors (|V|, width) of unit length, similar for pieces with similar neighbours.

    Of the positive pointwise mutual information of neighbours,
    M[x, y] = max(0, log[(n_xy + 1/2) / (n_x n_y / n + 1/2)]), the matrix (M, Mᵀ) is reduced to its
    ``width`` largest singular values, U S Vᵀ; the vectors are the rows of U √S. A piece whose
    neighbours carry no information gets zeros.

    Sources: Levy and Goldberg, "Neural word embedding as implicit matrix factorization", NeurIPS
    2014; for the iteration, Halko, Martinsson and Tropp, "Finding structure with randomness", 2011.
    """
    text = np.asarray(ids[: recipe.neighbour_pieces], dtype=np.int64)
    pairs, together = np.unique(text[:-1] * size + text[1:], return_counts=True)
    x, y = np.divmod(pairs, size)
    alone = np.bincount(text, minlength=size)
    information = np.log((together + 0.5) / (alone[x] * alone[y] / len(text) + 0.5))
    x, y, information = (each[information > 0] for each in (x, y, information))
    rank = min(width + recipe.neighbour_spare, size)
    U = torch.randn(size, rank, generator=torch.Generator().manual_seed(0))
    with torch.sparse.check_sparse_tensor_invariants():  # type: ignore[no-untyped-call]
        both = torch.sparse_coo_tensor(
            torch.from_numpy(np.stack([np.append(x, y), np.append(y, x + size)])),
            torch.from_numpy(np.append(information, information)).float(),
            (size, 2 * size),
        )
        for _ in range(recipe.neighbour_rounds):
            Q = torch.linalg.qr(U).Q
            U = both @ (both.mT @ Q)
    squares, W = torch.linalg.eigh(Q.T @ U)
    vectors = Q @ W * squares.clamp(min=0) ** 0.25
    vectors = F.normalize(vectors[:, -width:])
    vectors[np.bincount(np.append(x, y), minlength=size) == 0] = 0
    return F.pad(vectors, (0, width - vectors.shape[1]))


@torch.no_grad()
def adopt_weights(
    model: Model, tokenizer: Tokenizer, source: LoadedModel, *, same_labels: bool = False
) -> int:
    """Copy the weights of ``source`` into ``model``, whose vocabulary may differ.

    The layers are copied whole, so their shapes must agree. Of the table, V and c, the rows of
    pieces that both know are copied; the other rows stay as they are. So does what the source
    doesn't have, and R unless its labels are the same. Returns the number of pieces shared.
    """
    theirs = {source.tokenizer.piece(n): n for n in range(source.tokenizer.size)}
    pairs = [
        (theirs[piece], n) for n in range(tokenizer.size) if (piece := tokenizer.piece(n)) in theirs
    ]
    old = torch.tensor([a for a, _ in pairs])
    new = torch.tensor([b for _, b in pairs])
    given = model.given_by(source.network)
    for name, tensor in model.state_dict().items():
        if name not in given or (name in model.rows_of_labels and not same_labels):
            continue
        if name in model.rows_of_pieces:
            width = given[name][0].numel()  # one-hot input has more columns in both directions
            tensor.view(len(tensor), -1)[new, :width] = (
                given[name].view(len(given[name]), -1)[old].to(tensor)
            )
        else:
            tensor.copy_(given[name])
    return len(pairs)

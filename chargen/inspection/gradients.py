"""Vanishing and exploding gradients: how strongly a prediction depends on earlier states."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from chargen.cells.activations import ACTIVATIONS
from chargen.corpus.prepared import PreparedCorpus
from chargen.errors import CorpusError
from chargen.network.base import ModelState, map_state
from chargen.network.model import CharModel
from chargen.runs.finding import name_of
from chargen.runs.folder import RunFolder
from chargen.runs.loaded import LoadedModel
from chargen.runs.metrics import read_metrics

ROWS = 64
"""Positions that are measured at once."""
WARM_UP = 128
"""Characters that a row reads first, so that its state isn't an initial one."""
FLAT = 0.05
"""A unit is saturated if its slope is below this share of the steepest slope."""

_SLOPES = {each.function: (name, each.slope) for name, each in ACTIVATIONS.items()}
"""Name and relative slope, as a function of its value, of each non-linearity."""
QUANTILES = (0.1, 0.5, 0.9)
"""Quantiles of the norms over positions."""


@dataclass(frozen=True)
class Spectrum:
    """One gate's block of a layer's W, (H, H).

    Attributes:
        layer: from 0.
        gate: name of the block in the equations; ``a`` if there is only one.
        singular_values: the three largest, which bound how far W stretches a state in one step.
        spectral_radius: the largest absolute eigenvalue, which decides over many steps.
    """

    layer: int
    gate: str
    singular_values: tuple[float, ...]
    spectral_radius: float


@dataclass(frozen=True)
class Clipping:
    """Gradient norms during training, and how often gradients were clipped.

    Attributes:
        limit: largest norm allowed; 0: no clipping.
        steps: training step of each record.
        grad_norm: mean norm before clipping since the previous record.
        clipped: share of steps clipped since the previous record.
    """

    limit: float
    steps: tuple[int, ...]
    grad_norm: tuple[float, ...]
    clipped: tuple[float, ...]


@dataclass(frozen=True)
class GradientReport:
    """The result of ``measure_gradients``.

    Attributes:
        run: name of the run.
        positions: number of predictions that the norms are averaged over.
        norms: ‖∂L_t/∂s_{t−k}‖ for k = 0 … K, in nats per unit of state; s is the state of all
            layers; the mean over positions, which a few of them can dominate.
        quantiles: for each of ``QUANTILES``, that quantile of the norms over positions, by k.
        slopes: mean |f′| of each non-linearity f, by its name.
        window: steps through which training backpropagates.
        saturated: share of saturated values of each non-linearity, by its name.
        spectra: singular values and eigenvalues of every W.
        clipping: gradient norms during training.
    """

    run: str
    positions: int
    norms: tuple[float, ...]
    quantiles: tuple[tuple[float, ...], ...]
    slopes: Mapping[str, float]
    window: int
    saturated: Mapping[str, float]
    spectra: tuple[Spectrum, ...]
    clipping: Clipping

    @property
    def factor(self) -> float:
        """By how much the mean norm changes in one step back, a geometric mean over all lags."""
        if not self.norms[0]:
            return 0.0
        return float((self.norms[-1] / self.norms[0]) ** (1 / (len(self.norms) - 1)))

    def __repr__(self) -> str:
        last = len(self.norms) - 1
        return (
            f"<GradientReport of {self.run}: norm {self.norms[0]:.1e} at lag 0, "
            f"{self.norms[-1]:.1e} at lag {last}>"
        )

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def measure_gradients(path: Path, lags: int = 64, positions: int = 256) -> GradientReport:
    """Measure a run on the validation split of its corpus, or on the training split.

    Args:
        path: the run folder.
        lags: K, the largest lag.
        positions: number of predictions to average over, spread evenly over the text.

    Raises:
        CheckpointError: the run can't be read.
        CorpusError: its corpus is missing, was replaced, or is too short.
    """
    folder = RunFolder(path)
    loaded = folder.load_model(ngram=False)
    ids = _windows(folder, loaded, WARM_UP + lags + 2, positions)
    flat = _Flatness()
    batches = torch.split(torch.from_numpy(ids), ROWS)
    norms = torch.cat([_norms_by_lag(loaded.model, rows.T, lags, flat) for rows in batches], dim=1)
    levels = torch.tensor(QUANTILES, dtype=torch.float64)
    events = [line for line in read_metrics(path) if line["event"] == "step"]
    return GradientReport(
        run=name_of(path),
        positions=len(ids),
        norms=tuple(norms.mean(dim=1).tolist()),
        quantiles=tuple(tuple(row) for row in torch.quantile(norms, levels, dim=1).tolist()),
        slopes=flat.slopes(),
        window=loaded.config.training.seq_length,
        saturated=flat.shares(),
        spectra=tuple(_spectra(loaded.model)),
        clipping=Clipping(
            loaded.config.training.grad_clip,
            *(tuple(event[key] for event in events) for key in ("step", "grad_norm", "clipped")),
        ),
    )


def _windows(folder: RunFolder, loaded: LoadedModel, length: int, count: int) -> NDArray[np.int64]:
    """Read windows of consecutive pieces of the run's corpus, (≤ count, length)."""
    record, name = loaded.config.corpus, name_of(folder.path)
    remedy = (
        f"Prepare {', '.join(text.name for text in record.sources)} again, with the same settings, "
        "and resume the run with it."
    )
    place = folder.read_places().corpus
    if place is None:
        raise CorpusError(f"{name} doesn't record where its corpus {record.name} is.", remedy)
    if not place.is_dir():
        raise CorpusError(f"{place}, the corpus of {name}, is missing.", remedy)
    corpus = PreparedCorpus.open(place)
    if not record.is_of(corpus.manifest):
        raise CorpusError(f"{corpus.path} is not the corpus that {name} was trained on.", remedy)
    text = corpus.val if len(corpus.val) >= length else corpus.train
    if len(text) < length:
        raise CorpusError(
            f"The longer split of {corpus.path} has only {len(text)} pieces.",
            f"Measure fewer lags, or a run on a longer text: {length} pieces are needed.",
        )
    starts = np.unique(np.linspace(0, len(text) - length, count).astype(int))
    return np.stack([text[start : start + length] for start in starts]).astype(np.int64)


def _norms_by_lag(model: CharModel, ids: Tensor, lags: int, flat: _Flatness) -> Tensor:
    """Return ‖∂L_t/∂s_{t−k}‖ for k = 0 … K at the last step t, as (K + 1, B).

    The network reads all of ``ids`` (T, B) but the last, and predicts the last.
    """
    inputs, target = ids[:-1], ids[-1]
    table = model.input_table().detach()
    with torch.no_grad():
        _, state = model(inputs[: -lags - 1], model.initial_state(len(target)))
    state = map_state(state, lambda t: t.requires_grad_() if t.is_floating_point() else t)
    states: list[ModelState] = []
    with flat:
        for row in inputs[-lags - 1 :]:
            # Without memory, a state has a gradient only if the input has one.
            u = F.embedding(row, table).requires_grad_()
            s, state = model.step(u, state)
            states.append(state)
    loss = F.cross_entropy(model.logits(s), target, reduction="sum")
    carried = [[t for layer in state for t in layer if t.is_floating_point()] for state in states]
    flattened = [tensor for tensors in carried for tensor in tensors]
    found = iter(torch.autograd.grad(loss, flattened, materialize_grads=True, allow_unused=True))
    by_step = [torch.cat([next(found) for _ in tensors], dim=1) for tensors in carried]
    norms = torch.stack([grad.double().norm(dim=1) for grad in by_step])
    return norms.flip(0)


class _Flatness(TorchFunctionMode):
    """While active, counts values of each non-linearity, saturated ones, and sums slopes."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[str, int] = defaultdict(int)
        self._flat: dict[str, int] = defaultdict(int)
        self._slope: dict[str, float] = defaultdict(float)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        value = func(*args, **(kwargs or {}))
        if func in _SLOPES:
            name, slope = _SLOPES[func]
            self._seen[name] += value.numel()
            slopes = slope(value.detach())
            self._flat[name] += int((slopes < FLAT).sum())
            self._slope[name] += float(slopes.double().sum()) * ACTIVATIONS[name].steepest
        return value

    def slopes(self) -> dict[str, float]:
        return {name: self._slope[name] / seen for name, seen in self._seen.items()}

    def shares(self) -> dict[str, float]:
        return {name: self._flat[name] / seen for name, seen in self._seen.items()}


@torch.no_grad()
def _spectra(model: CharModel) -> list[Spectrum]:
    found = []
    for layer, cell in enumerate(model.cells):
        W = cell.recurrent_matrix()
        if W is None:
            continue
        for gate, matrix in zip(cell.gate_names, torch.split(W, cell.hidden_size), strict=True):
            values = torch.linalg.svdvals(matrix)[:3].tolist()
            radius = float(torch.linalg.eigvals(matrix).abs().max())
            found.append(Spectrum(layer, gate, tuple(values), radius))
    return found

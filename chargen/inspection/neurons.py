"""Activations of units on a text, and their correlation with properties of the text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from chargen.corpus.tokenizer import Tokenizer
from chargen.errors import CorpusError
from chargen.evaluation.scores import NATS_TO_BITS
from chargen.inspection.chance import shuffled_orders
from chargen.ngrams import preceded, states_before
from chargen.runs.finding import name_of
from chargen.runs.loaded import LoadedModel

ALTERNATIVES = 5
BEST = 8
"""Units listed for each property of the text."""
SHOWN = 4000
"""The most characters shown; units are ranked on the whole text."""
_CHUNK = 256
_COMMAS = ",，、；;"
_STOPS = ".。!！?？…"
_OPENING, _CLOSING = "“「『《‘«(（", "”」』》’»)）"

Array: TypeAlias = NDArray[np.float64]
Alternatives: TypeAlias = tuple[tuple[str, float], ...]
"""Pieces and their probabilities."""


@dataclass(frozen=True)
class Followed:
    """A property of the text, and the units that correlate with it more than chance would give.

    Attributes:
        name: description of the property.
        occurs: whether the text has it.
        chance: the largest absolute correlation of any unit with the property in other orders of
            the text; see ``shuffled_orders``.
        units: numbers of the units, best first.
        correlations: Pearson's correlation of each of these units with the property, −1 to 1.
    """

    name: str
    occurs: bool
    chance: float
    units: tuple[int, ...]
    correlations: tuple[float, ...]


@dataclass(frozen=True)
class NeuronReport:
    """The result of ``inspect_neurons``.

    Attributes:
        run: name of the run.
        characters: the text, N characters.
        bits: cost of each character, (N,).
        alternatives: the likeliest pieces at each of the M ≤ N characters that are shown.
        gates: the network's share of the mixture at each of these characters, and of the
            probability that the character itself had, (2, M); None in a run without counts.
        activations: outputs of the last layer after each of these characters, (M, H).
        followed: the units that follow each property, measured on the whole text.
    """

    run: str
    characters: str
    bits: Array
    alternatives: tuple[Alternatives, ...]
    gates: Array | None
    activations: Array
    followed: tuple[Followed, ...]

    def __repr__(self) -> str:
        shown, units = self.activations.shape
        return f"<NeuronReport of {self.run}: {units:,} units over {shown:,} characters>"

    def ranking(self) -> dict[str, Any]:
        """Return the units that follow each property, as JSON values."""
        return {
            "run": self.run,
            "characters": len(self.characters),
            "followed": [asdict(each) for each in self.followed],
        }


@torch.no_grad()
def inspect_neurons(loaded: LoadedModel, text: str, shown: int = SHOWN) -> NeuronReport:
    """Read ``text`` once from an initial state, and correlate units with properties of it.

    A text of a run with labels is read without any.

    Args:
        loaded: the run, on the CPU.
        text: N characters.
        shown: number of characters whose activations and alternatives are kept.

    Raises:
        CorpusError: the text is shorter than two characters.
    """
    if len(text) < 2:
        raise CorpusError(
            f"The text has only {len(text)} characters.", "Use a text of at least two characters."
        )
    tokenizer = loaded.tokenizer
    ids = torch.from_numpy(np.asarray(tokenizer.encode(text), dtype=np.int64))
    starts = np.flatnonzero(tokenizer.character_starts(ids.numpy()))
    edges = np.append(starts, len(ids))
    nats = np.empty(len(ids))
    sums = _Sums(tracks(text))
    activations: list[Array] = []
    alternatives: list[Alternatives] = []
    gates: list[Array] = []
    distributions = _Distributions(loaded, ids)
    for first, outputs in _outputs(loaded, ids):
        targets = ids[first : first + len(outputs)]
        logp, shares = distributions.after(first, outputs[: len(targets)])
        nats[first : first + len(targets)] = -logp.gather(1, targets[:, None])[:, 0].numpy()
        # The output at edges[n] has read character n - 1, and expects character n.
        low, high = np.searchsorted(edges, (first, first + len(outputs)))
        expecting = edges[low : min(high, shown, len(starts))] - first
        alternatives += _likeliest(tokenizer, logp[expecting])
        if shares is not None:
            gates.append(shares[:, expecting].double().numpy())
        after = outputs[edges[max(low, 1) : high] - first].double().numpy()
        read = max(low, 1) - 1
        sums.add(read, after)
        activations.append(after[: max(0, shown - read)].copy())  # a view would keep the chunk
    return NeuronReport(
        run=name_of(loaded.path),
        characters=text,
        bits=np.add.reduceat(nats, starts) * NATS_TO_BITS,
        alternatives=tuple(alternatives),
        gates=np.concatenate(gates, axis=1) if gates else None,
        activations=np.concatenate(activations),
        followed=sums.followed(),
    )


def _outputs(loaded: LoadedModel, ids: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Yield the outputs after a newline and after each of N pieces, N + 1 in all, in chunks.

    A chunk is the number of its first output and the outputs, (≤ _CHUNK, H).
    """
    inputs = torch.cat([torch.tensor([loaded.tokenizer.newline_id]), ids])
    state = loaded.model.initial_state(1)
    for first in range(0, len(inputs), _CHUNK):
        s, state = loaded.model(inputs[first : first + _CHUNK, None], state)
        yield first, s[:, 0]


class _Distributions:
    """What the model expects at each piece of a text ``ids`` (N,)."""

    def __init__(self, loaded: LoadedModel, ids: Tensor) -> None:
        self._model, self._ngram, self._ids = loaded.model, loaded.ngram, ids
        if loaded.ngram is not None:
            record = loaded.model.config.records
            self._read, self._before = preceded(loaded.ngram, ids.numpy(), record=record)

    def after(self, first: int, s: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return what is expected at the pieces from ``first`` on, after outputs s (C, H).

        Returns:
            The logarithms of the distributions, (C, |V|). With counts, also the network's share of
            the mixture, and of the probability of the piece that came, (2, C).
        """
        alone = torch.log_softmax(self._model.logits(s), dim=-1)
        if self._ngram is None:
            return alone, None
        at = np.arange(first, first + len(s))
        states = states_before(self._ngram, self._read, at + self._before)
        counted, gate = torch.from_numpy(self._ngram.row(states)), self._model.gate(s)
        mixture = gate * alone.exp() + (1 - gate) * counted
        came = self._ids[at, None]
        own = gate * alone.gather(1, came).exp() / mixture.gather(1, came)
        return mixture.log(), torch.cat([gate, own], dim=1).T


def _likeliest(tokenizer: Tokenizer, logp: Tensor) -> list[Alternatives]:
    """Return the likeliest pieces of each row of ``logp`` (C, |V|), with their probabilities."""
    top, best = logp.topk(min(ALTERNATIVES, logp.shape[1]), dim=-1)
    return [
        tuple((_named(tokenizer.piece(id_)), p) for id_, p in zip(ids, shares, strict=True))
        for ids, shares in zip(best.tolist(), top.exp().tolist(), strict=True)
    ]


def _named(piece: str) -> str:
    return "⏎" if piece == "\n" else piece


def tracks(text: str) -> Mapping[str, Array]:
    """Return properties of ``text`` that a unit may follow, as numbers per character, (N,)."""
    return {
        "position in the line": _since(text, "\n"),
        "distance to the last comma": _since(text, _COMMAS),
        "distance to the last end of a sentence": _since(text, _STOPS),
        "inside quotation marks or brackets": _inside(text),
        "end of a sentence": np.array([float(c in _STOPS) for c in text]),
        "end of a line": np.array([float(c == "\n") for c in text]),
    }


def _since(text: str, marks: str) -> Array:
    """Count characters since the last of ``marks`` or since the beginning, up to 50."""
    found, count = np.empty(len(text)), 0
    for n, character in enumerate(text):
        count = 0 if character in marks else count + 1
        found[n] = min(count, 50)
    return found


def _inside(text: str) -> Array:
    """Return 1 between opening and closing marks; straight quotation marks alternate."""
    found, depth, quoted = np.empty(len(text)), 0, False
    for n, character in enumerate(text):
        if character in _OPENING:
            depth += 1
        elif character in _CLOSING:
            depth = max(0, depth - 1)
        elif character == '"':
            quoted = not quoted
        found[n] = float(depth > 0 or quoted)
    return found


class _Sums:
    """Computes correlations of H units with K tracks over N characters, from sums over chunks.

    The first activation of each unit is subtracted from all, so that a constant unit has a variance
    of exactly 0, and the difference of the sums of squares loses few digits.
    """

    def __init__(self, tracks: Mapping[str, Array]) -> None:
        self._names = tuple(tracks)
        self._tracks = np.stack(list(tracks.values()))  # b, (K, N), of mean 0
        self._tracks -= self._tracks.mean(axis=1, keepdims=True)
        self._origin: Array | None = None
        self._a: Array | float = 0.0  # Σa, (H,)
        self._aa: Array | float = 0.0  # Σa², (H,)
        self._ba: Array | float = 0.0  # Σba, (K, H)
        self._orders = shuffled_orders(self._tracks.shape[1])
        self._by_chance = [np.zeros(())] * len(self._orders)  # Σba in each of them, (K, H)

    def add(self, first: int, values: Array) -> None:
        """Add the activations ``values`` (C, H) after the characters from ``first`` on."""
        if not len(values):
            return
        if self._origin is None:
            self._origin = values[0].copy()
        a = values - self._origin
        self._a = self._a + a.sum(axis=0)
        self._aa = self._aa + (a * a).sum(axis=0)
        self._ba = self._ba + self._tracks[:, first : first + len(a)] @ a
        for n, order in enumerate(self._orders):
            moved = self._tracks[:, order[first : first + len(a)]]
            self._by_chance[n] = self._by_chance[n] + moved @ a

    def followed(self) -> tuple[Followed, ...]:
        """Each property, with the units that correlate with it more than in any other order."""
        real = self._correlations(self._ba)
        others = [np.abs(self._correlations(each)).max(axis=1) for each in self._by_chance]
        chance = np.max(others, axis=0)
        occurs: NDArray[np.bool_] = np.any(self._tracks, axis=1)
        return tuple(
            _best(name, bool(there), float(limit), r)
            for name, there, limit, r in zip(self._names, occurs, chance, real, strict=True)
        )

    def _correlations(self, ba: Array | float) -> Array:
        """Correlation of each track with every unit, (K, H); 0 if either is constant."""
        b = self._tracks
        spread = np.maximum(self._aa - np.square(self._a) / b.shape[1], 0)
        scale = np.sqrt(np.outer(np.einsum("kn,kn->k", b, b), spread))
        r: Array = np.divide(ba, scale, out=np.zeros(scale.shape), where=scale > 1e-12)
        return r


def _best(name: str, occurs: bool, chance: float, r: Array) -> Followed:
    """Return the units with the largest correlation ``r`` (H,) with a track, above ``chance``."""
    units = np.argsort(-np.abs(r), kind="stable")[:BEST]
    units = units[np.abs(r[units]) > chance]
    return Followed(name, occurs, chance, tuple(units.tolist()), tuple(r[units].tolist()))

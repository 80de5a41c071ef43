"""Which unit does what: activations on a text, and what they follow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from chargen.checkpoint import LoadedModel
from chargen.errors import CorpusError
from chargen.evaluation import NATS_TO_BITS

ALTERNATIVES = 5
BEST = 8
"""Units that are listed for each thing that may be followed."""
_CHUNK = 256
_COMMAS = ",，、；;"
_STOPS = ".。!！?？…"
_OPENING, _CLOSING = "“「『《‘«(（", "”」』》’»)）"

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Followed:
    """A thing that units may follow.

    Attributes:
        name: what it is.
        units: the numbers of the units that follow it best.
        correlations: of each of these with it, −1 to 1.
    """

    name: str
    units: tuple[int, ...]
    correlations: tuple[float, ...]


@dataclass(frozen=True)
class NeuronReport:
    """A text as a network sees it.

    Attributes:
        run: name of the run's folder.
        characters: the text, N characters.
        bits: what each character cost, (N,).
        alternatives: what the network held likeliest instead, and how likely, for each.
        activations: outputs of the last layer after each character, (N, H).
        followed: what units follow, measured on the whole text.
    """

    run: str
    characters: str
    bits: Array
    alternatives: tuple[tuple[tuple[str, float], ...], ...]
    activations: Array
    followed: tuple[Followed, ...]

    def ranking(self) -> dict[str, Any]:
        """What units follow, for a report in JSON."""
        return {
            "run": self.run,
            "characters": len(self.characters),
            "followed": [asdict(each) for each in self.followed],
        }


def inspect_neurons(loaded: LoadedModel, text: str) -> NeuronReport:
    """Read ``text`` once, from a fresh state, and correlate every unit with what it may follow.

    Raises:
        CorpusError: the text is shorter than two characters.
    """
    if len(text) < 2:
        raise CorpusError("There is too little text to read.", "Give a file with more in it.")
    tokenizer = loaded.tokenizer
    ids = np.asarray(tokenizer.encode(text), dtype=np.int64)
    activations, nats, likeliest, shares = _read(loaded, ids)
    starts = np.flatnonzero(tokenizer.character_starts(ids))
    ends = np.append(starts[1:], len(ids)) - 1
    alternatives = tuple(
        tuple(
            (_named(tokenizer.piece(int(id_))), float(p))
            for id_, p in zip(likeliest[t], shares[t], strict=True)
        )
        for t in starts
    )
    values = activations[ends]
    return NeuronReport(
        run=loaded.path.name,
        characters=text,
        bits=np.add.reduceat(nats, starts) * NATS_TO_BITS,
        alternatives=alternatives,
        activations=values,
        followed=tuple(_rank(name, track, values) for name, track in tracks(text).items()),
    )


@torch.no_grad()
def _read(
    loaded: LoadedModel, ids: NDArray[np.int64]
) -> tuple[Array, Array, NDArray[np.int64], Array]:
    """Outputs after each of N pieces, (N, H); of its prediction nats, likeliest ids and shares."""
    model = loaded.model
    inputs = torch.from_numpy(np.append(loaded.tokenizer.newline_id, ids))
    state = model.initial_state(1)
    outputs, nats, likeliest, shares = [], [], [], []
    for start in range(0, len(ids), _CHUNK):
        part = slice(start, min(start + _CHUNK, len(ids)))
        s, state = model(inputs[part, None], state)
        logp = torch.log_softmax(model.logits(s[:, 0]), dim=-1)
        targets = inputs[part.start + 1 : part.stop + 1, None]
        nats.append(-logp.gather(1, targets)[:, 0])
        top, best = logp.topk(min(ALTERNATIVES, logp.shape[1]), dim=-1)
        outputs.append(s[:, 0])
        likeliest.append(best)
        shares.append(top.exp())
    s, _ = model(inputs[-1:, None], state)
    after = torch.cat([*outputs, s[:, 0]])[1:]
    return (
        after.double().numpy(),
        torch.cat(nats).double().numpy(),
        torch.cat(likeliest).numpy(),
        torch.cat(shares).double().numpy(),
    )


def _named(piece: str) -> str:
    return "⏎" if piece == "\n" else piece


def tracks(text: str) -> Mapping[str, Array]:
    """What a unit may follow, each a number after every character of ``text``, (N,)."""
    return {
        "position in the line": _since(text, "\n"),
        "distance to the last comma": _since(text, _COMMAS),
        "distance to the last end of a sentence": _since(text, _STOPS),
        "inside quotation marks or brackets": _inside(text),
        "end of a sentence": np.array([float(c in _STOPS) for c in text]),
        "end of a line": np.array([float(c == "\n") for c in text]),
    }


def _since(text: str, marks: str) -> Array:
    """Characters since the last of ``marks``, or since the beginning, but 50 at most."""
    found, count = np.empty(len(text)), 0
    for n, character in enumerate(text):
        count = 0 if character in marks else count + 1
        found[n] = min(count, 50)
    return found


def _inside(text: str) -> Array:
    """1 between marks that open and close; the straight quotation mark does both."""
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


def _rank(name: str, track: Array, activations: Array) -> Followed:
    """The units whose activations go along with ``track`` best, by absolute correlation."""
    a = activations - activations.mean(axis=0)
    b = track - track.mean()
    scale = np.sqrt((a * a).sum(axis=0) * (b * b).sum())
    r = np.divide(b @ a, scale, out=np.zeros(a.shape[1]), where=scale > 1e-12)
    units = np.argsort(-np.abs(r), kind="stable")[:BEST]
    return Followed(name, tuple(units.tolist()), tuple(r[units].tolist()))

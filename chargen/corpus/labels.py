"""The labels of records: keys, their values, and vectors that stand for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chargen.errors import ConfigError
from chargen.options.names import nearest

_SHOWN = 8


@dataclass(frozen=True)
class Labels:
    """The keys of a corpus, each with its values.

    v has a number a value, the values of all keys one after another: 1 where a text has it, else
    0. What is absent leaves the numbers of its key at 0.

    Attributes:
        values: for each key the values and how many texts have each, the most frequent first.
    """

    values: Mapping[str, Sequence[tuple[str, int]]]

    @cached_property
    def size(self) -> int:
        """L, the length of v."""
        return sum(len(values) for values in self.values.values())

    @cached_property
    def _firsts(self) -> dict[str, int]:
        """The place of each key's first value in v."""
        firsts, place = {}, 0
        for key, values in self.values.items():
            firsts[key] = place
            place += len(values)
        return firsts

    def names(self, key: str) -> list[str]:
        """The values of a key, in the order of v."""
        return [value for value, _ in self.values[key]]

    def places(self, key: str) -> slice:
        """Where the values of a key are in v."""
        first = self._firsts[key]
        return slice(first, first + len(self.values[key]))

    def vectors(self, numbers: NDArray[np.integer[Any]]) -> NDArray[np.float32]:
        """Vectors v, (B, L), of texts by the numbers of their values, (B, K); 0 is absent."""
        v = np.zeros((len(numbers), self.size), np.float32)
        for column, first in zip(numbers.T.astype(np.int64), self._firsts.values(), strict=True):
            rows = np.flatnonzero(column)
            v[rows, first + column[rows] - 1] = 1
        return v

    def numbers(self, labels: Mapping[str, str]) -> NDArray[np.uint16]:
        """The numbers of values, (K,), 0 for what is absent or not known."""
        found = np.zeros(len(self.values), np.uint16)
        for n, key in enumerate(self.values):
            names = self.names(key)
            if labels.get(key) in names:
                found[n] = 1 + names.index(labels[key])
        return found

    def wanted(self, asked: Sequence[str]) -> NDArray[np.float32]:
        """The vector v, (L,), that is asked for by lines such as ``author=李白``.

        Several values of a key are a mixture, each with its weight: ``author=李白:0.7,杜甫:0.3``;
        without weights they count alike.

        Raises:
            ConfigError: a key or a value isn't known; the nearest known ones are named.
        """
        if asked and not self.values:
            raise ConfigError(
                "`label` is given, but this run has no labels.",
                "Leave it out, or train a run with `label_key`.",
            )
        v, problems = np.zeros(self.size, np.float32), []
        for line in asked:
            key, equals, rest = line.partition("=")
            if not equals:
                problems.append(f"`label` is {line!r}, not KEY=VALUE")
            elif key not in self.values:
                problems.append(f"`label` has no key {key!r}{_meant(key, list(self.values))}")
            else:
                problems += self._mix(v, key, rest)
        if problems:
            raise ConfigError(f"{'; '.join(problems)}.", self._remedy())
        return v

    def _mix(self, v: NDArray[np.float32], key: str, asked: str) -> list[str]:
        """Add a mixture of a key's values to v; describe the problems."""
        names, problems = self.names(key), []
        weights: dict[str, float] = {}
        for part in [asked] if asked in names else asked.split(","):
            value, colon, number = part.rpartition(":")
            weight = _weight(number) if colon and part not in names else None
            value = part if weight is None else value
            if value not in names:
                problems.append(f"`label` has no {key} {value!r}{_meant(value, names)}")
            weights[value] = 1.0 if weight is None else weight
        total = sum(weights.values())
        if not problems and not total:
            problems.append(f"the weights of {key} in `label` are all 0")
        if not problems:
            for value, weight in weights.items():
                v[self._firsts[key] + names.index(value)] = weight / total
        return problems

    def _remedy(self) -> str:
        known = "; ".join(f"{key}: {_listed(self.names(key))}" for key in self.values)
        return f"The labels of this run: {known}."


def _weight(number: str) -> float | None:
    try:
        weight = float(number)
    except ValueError:
        return None
    return weight if 0 <= weight < float("inf") else None


def _meant(name: str, known: Sequence[str]) -> str:
    close = nearest(name, known) or next((each for each in known if name and name in each), None)
    return f" (did you mean {close!r}?)" if close else ""


def _listed(names: Sequence[str]) -> str:
    more = f", and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more

"""What a manifest says about the records of a corpus."""

from __future__ import annotations

from dataclasses import dataclass

MOST_VALUES = 0xFFFF
"""Most values of a label: a label is stored in 16 bits, and 0 means none."""


@dataclass(frozen=True)
class RecordsDescription:
    """The records that a corpus consists of.

    Attributes:
        kind: ``lines``, ``labels`` or ``pairs``.
        keys: the keys of labels.
        values: of each key, its values with their counts in the training split, the most
            frequent first. A label is stored as 1 + its number here; 0: the record has none.
        train, val: records of the two splits.
        longest: pieces of the longest text or answer, its end included.
        blanks_dropped: whether blanks between all characters of pairs were left out.
    """

    kind: str
    keys: tuple[str, ...]
    values: tuple[tuple[tuple[str, int], ...], ...]
    train: int
    val: int
    longest: int
    blanks_dropped: bool

    @property
    def count(self) -> int:
        """Records of both splits."""
        return self.train + self.val

    @property
    def sides(self) -> int:
        """Texts of a record: 2 of a pair, else 1."""
        return 2 if self.kind == "pairs" else 1

    @property
    def labels(self) -> dict[str, tuple[tuple[str, int], ...]]:
        """The values of each key, with their counts."""
        return dict(zip(self.keys, self.values, strict=True))

    def problems(self) -> list[str]:
        """What contradicts itself, one line each."""
        found = []
        if len(self.values) != len(self.keys) or (self.keys and self.kind != "labels"):
            found.append("records.values and records.keys contradict each other")
        for key, values in zip(self.keys, self.values, strict=False):
            if not 2 <= len({value for value, _ in values}) == len(values) <= MOST_VALUES:
                found.append(f"records.values of {key!r} are not 2 to {MOST_VALUES:,} different")
        if self.train < 1 or self.val < 0 or self.longest < 1:
            found.append("records.train, records.val or records.longest is too small")
        return found

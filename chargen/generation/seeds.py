"""The seeds of texts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator


def sample_seed(command_seed: int, key: int | str) -> int:
    """A sample's own seed, below 2⁵³, so that every reader of JSON keeps it exactly.

    Args:
        command_seed: the seed that was given to the command.
        key: what tells the sample from others: its number, or its job's id.
    """
    digest = hashlib.sha256(json.dumps([command_seed, key]).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 11


def text_seeds(seed: int, count: int) -> Iterator[int]:
    """The seed of each of ``count`` texts; the text that one gives alone is the same.

    A single text has the seed that was given. Of several, each has one derived from it and from
    its number.
    """
    return iter([seed]) if count == 1 else (sample_seed(seed, n) for n in range(count))

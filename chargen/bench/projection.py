"""What many machines would make of a measured step: a simulation of what they send each other.

A step on M machines takes the time that one machine was measured to take for its share of the
lanes, and the exchange of gradients, which nothing overlaps. A ring sends 2 (M − 1)/M of the
gradient's bytes through each machine's link, in 2 (M − 1) messages one after another: Patarasuk and
Yuan, "Bandwidth optimal all-reduce algorithms for clusters of workstations", 2009. Two small
agreements a step take 2 log₂ M messages each.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

MACHINES = (1, 2, 4, 8, 16, 32, 64)
LINKS = (1, 10)
"""Gbit/s."""
BYTES = {"float32": 4, "bfloat16": 2}
_MESSAGE_SECONDS = 1e-4
"""From one machine to another through a switch, by TCP."""
_OF_LINK = 0.9
"""Share of a link's rate that TCP leaves to data."""
WORTH = 1.2
"""Twice as many machines must be this much faster, or they no longer help."""


@dataclass(frozen=True)
class Projection:
    """Training on some machines.

    Attributes:
        preset: of the network.
        link: Gbit/s.
        sent_as: format of the gradients on their way.
        machines: how many.
        lanes: of each machine.
        chars_per_second: of all together.
        speedup: over one machine.
        exchange: share of the time of a step that the exchange takes.
    """

    preset: str
    link: int
    sent_as: str
    machines: int
    lanes: float
    chars_per_second: float
    speedup: float
    exchange: float


def exchange_seconds(parameters: int, machines: int, link: int, sent_as: str) -> float:
    """The time that machines take to sum a gradient and to agree twice."""
    if machines == 1:
        return 0.0
    sent = 2 * (machines - 1) / machines * parameters * BYTES[sent_as]
    messages = 2 * (machines - 1) + 4 * math.log2(machines)
    return sent * 8 / (link * 1e9 * _OF_LINK) + messages * _MESSAGE_SECONDS


def project(
    preset: str, parameters: int, seconds: Mapping[int, float], window: int, *, grows: bool
) -> tuple[Projection, ...]:
    """Project a step onto more machines.

    Args:
        preset: the network's.
        parameters: of the network.
        seconds: of a step on one machine, by its number of lanes.
        window: time steps of a lane.
        grows: each machine keeps all lanes, so that the batch grows; otherwise it is shared out.
    """
    lanes = max(seconds)
    alone = window * lanes / seconds[lanes]
    found = []
    for link in LINKS:
        for sent_as in BYTES:
            for machines in MACHINES:
                own = lanes if grows else lanes // machines
                if own not in seconds:
                    continue
                sending = exchange_seconds(parameters, machines, link, sent_as)
                step = seconds[own] + sending
                speed = window * own * machines / step
                each = preset, link, sent_as, machines, own, speed, speed / alone, sending / step
                found.append(Projection(*each))
    return tuple(found)


def last_worthwhile(rows: Sequence[Projection]) -> int:
    """The number of machines after which twice as many are no longer worth it.

    ``rows`` are those of one network and link, by rising number of machines.
    """
    for one, more in pairwise(rows):
        if more.chars_per_second < WORTH * one.chars_per_second:
            return one.machines
    return rows[-1].machines

"""Every cell of the table, with and without biases, and with the options that it has."""

from __future__ import annotations

from typing import Any

import pytest

from chargen.options import CELLS

VALUES: dict[str, tuple[Any, ...]] = {
    "activation": ("sigmoid", "relu"),
    "recurrent_init": ("identity",),
    "dt": (0.5,),
    "modules": (1, 3),
    "teacher_forcing": (True,),
}
"""Of each option, what is tried beside its default."""

MEMORYLESS = ("jordan", "feedforward")
"""Cells that remember the past through their predictions alone, or not at all."""

CASES = [
    pytest.param({"cell": name, "bias": bias}, id=f"{name}{'' if bias else '-unbiased'}")
    for name in CELLS
    for bias in (True, False)
] + [
    pytest.param({"cell": name, option: value}, id=f"{name}-{value}")
    for name, entry in CELLS.items()
    for option in entry.options
    for value in VALUES[option]
]
each_case = pytest.mark.parametrize("options", CASES)

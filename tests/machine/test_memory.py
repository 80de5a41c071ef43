from __future__ import annotations

import subprocess
import sys

import pytest

MIB = 1 << 20

CHILD = "from chargen.machine.memory import peak_bytes; print(peak_bytes())"
PARENT = """
import subprocess, sys
held = bytes(range(256)) * (300 << 12)  # 300 MiB
del held
print(subprocess.check_output([sys.executable, "-c", sys.argv[1]], text=True))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows doesn't tell")
def test_a_childs_peak_is_not_its_parents() -> None:
    shown = subprocess.check_output([sys.executable, "-c", PARENT, CHILD], text=True)
    assert MIB < int(shown) < 200 * MIB


@pytest.mark.skipif(sys.platform == "win32", reason="Windows doesn't tell")
def test_the_peak_stays_after_the_memory_is_given_back() -> None:
    code = """
from chargen.machine.memory import peak_bytes
before = peak_bytes()
held = bytes(range(256)) * (100 << 12)
del held
print(peak_bytes() - before)
"""
    shown = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert 90 * MIB < int(shown) < 120 * MIB

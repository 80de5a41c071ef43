from __future__ import annotations

import os
import subprocess
import sys

import pytest

FAULTS = """
import contextlib, resource, sys
import numpy as np
from chargen.machine.allocator import freed_memory_kept, freed_memory_returned

def faults(times=5, numbers=3 << 20):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        held = [np.ones(numbers, np.float32) for _ in range(8)]
        del held
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1])
"""
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC", "GLIBC"))}
PAGES = 8 * (3 << 20) * 4 // os.sysconf("SC_PAGESIZE") if sys.platform == "linux" else 0

only_glibc = pytest.mark.skipif(
    "CS_GNU_LIBC_VERSION" not in getattr(os, "confstr_names", {}), reason="needs glibc"
)


def numbers(code: str, **environment: str) -> list[int]:
    done = subprocess.run(
        [sys.executable, "-c", FAULTS + code],
        env={**ENVIRONMENT, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return [int(word) for word in done.stdout.split()]


@only_glibc
def test_memory_that_is_kept_is_not_asked_for_again() -> None:
    code = """
with freed_memory_kept():
    faults()
    print(faults())
    with freed_memory_returned():
        faults()
        print(faults())
    faults()
    print(faults())
"""
    kept, returned, kept_again = numbers(code)
    assert max(kept, kept_again) < PAGES / 10
    assert returned > 4 * PAGES / 10


@only_glibc
def test_afterwards_the_memory_is_given_back() -> None:
    before, inside, after = numbers("""
print(resident())
with freed_memory_kept():
    faults()
    print(resident())
print(resident())
""")
    assert inside - before > PAGES / 2
    assert after - before < PAGES / 10


@only_glibc
def test_what_the_user_has_set_stays() -> None:
    (ours,) = numbers(
        "with freed_memory_kept():\n    faults()\n    print(faults())",
        MALLOC_TRIM_THRESHOLD_="131072",
    )
    assert ours > 4 * PAGES / 10

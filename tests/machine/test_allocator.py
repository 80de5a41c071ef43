from __future__ import annotations

import os
import subprocess
import sys

import pytest

FAULTS = """
import contextlib, ctypes, resource, sys
import numpy as np
from chargen.machine import allocator
from chargen.machine.allocator import MemoryKeeper, freed_memory_kept, freed_memory_returned

def faults(times=5, numbers=3 << 20):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        held = [np.ones(numbers, np.float32) for _ in range(8)]
        del held
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1])

def threshold():
    "Found anew, whatever the blocks say."
    return allocator._glibc()._mmap_threshold()

def set_threshold(size):
    ctypes.CDLL(None).mallopt(-3, size)
"""
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC", "GLIBC"))}
PAGES = 8 * (3 << 20) * 4 // os.sysconf("SC_PAGESIZE") if sys.platform == "linux" else 0
MIB = 1 << 20

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
def test_memory_is_kept_from_one_block_of_a_keeper_to_the_next() -> None:
    first, second, between, after = numbers("""
start = resident()
with contextlib.closing(MemoryKeeper()) as keeper:
    with keeper.kept():
        faults()
        print(faults())
    with keeper.kept():
        print(faults())
    print(resident() - start)
print(resident() - start)
""")
    assert max(first, second) < PAGES / 10
    assert between > PAGES / 2
    assert after < PAGES / 10


@only_glibc
@pytest.mark.parametrize("mebibytes", [0.25, 3, 20, 32])
def test_the_threshold_for_mmap_is_found(mebibytes: float) -> None:
    size = int(mebibytes * MIB)
    found = numbers(f"set_threshold({size}); print(threshold(), threshold())")
    assert all(size <= each <= 1.1 * size for each in found)


@only_glibc
def test_a_hole_in_the_heap_does_not_hide_the_threshold() -> None:
    (found,) = numbers("""
libc = allocator._glibc()._library
set_threshold(16 << 20)
hole, _pin = libc.malloc(15 << 20), libc.malloc(100 << 10)
libc.free(hole)
set_threshold(2 << 20)
print(threshold())
""")
    assert 2 * MIB <= found <= 2.2 * MIB


@only_glibc
def test_the_threshold_is_afterwards_what_it_was() -> None:
    inside, *after = numbers("""
set_threshold(1 << 20)
with freed_memory_kept():
    print(threshold())
    faults()
    with freed_memory_returned():
        faults()
print(threshold())
with contextlib.suppress(KeyError), freed_memory_kept(), freed_memory_kept():
    raise KeyError
print(threshold())
one, two = MemoryKeeper(), MemoryKeeper()
for keeper in (one, two, one):
    with keeper.kept():
        faults()
one.close()
two.close()
print(threshold())
""")
    assert inside == 32 * MIB
    assert MIB <= after[0] <= 1.1 * MIB
    assert len(set(after)) == 1


@only_glibc
def test_what_the_user_has_set_stays() -> None:
    (ours,) = numbers(
        "with freed_memory_kept():\n    faults()\n    print(faults())",
        MALLOC_TRIM_THRESHOLD_="131072",
    )
    assert ours > 4 * PAGES / 10


@only_glibc
def test_what_others_free_between_the_blocks_takes_no_kept_memory_with_it() -> None:
    (again,) = numbers("""
libc = allocator._glibc()._library
with contextlib.closing(MemoryKeeper()) as keeper:
    with keeper.kept():
        faults(10)
    for size in (5_000, 100_000, 500_000):
        libc.free(libc.malloc(size))
    with keeper.kept():
        print(faults())
""")
    assert again < PAGES / 10

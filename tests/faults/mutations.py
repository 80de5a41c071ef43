"""Ways to damage a file, each a function of a path and a generator of random numbers."""

from __future__ import annotations

import json
import os
import random
import shutil
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Mutation = Callable[[Path, random.Random], None]

HOSTILE: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 3, 10**6, 10**9, 2**31, 2**63, 10**30, -(10**30)),
    *(0.5, -0.0, 1e-320, 1e308, "", "x", "lstm", "rnn,lstm", "../../x", "/dev/zero", "²", "\0"),
    *("A" * 5000, [], [[]], {}, {"x": 1}, ["x"], [1] * 50, "\ud800", "adamw", "\n", "uint32"),
)
RAW = (b"NaN", b"-Infinity", b"1e999", b"9" * 5000, b"[" * 100_000, b'"' + b"x" * 10, b"\xff", b"")


def flip(path: Path, rng: random.Random) -> None:
    """Flip a bit."""
    data = bytearray(path.read_bytes())
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


def cut(path: Path, rng: random.Random) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: rng.randrange(len(data) + 1)])


def zero(path: Path, rng: random.Random) -> None:
    """Zero a stretch, as a file system may after a power cut."""
    data = bytearray(path.read_bytes())
    first = rng.randrange(len(data) + 1)
    last = min(len(data), first + rng.choice([1, 8, 512, 4096, len(data)]))
    data[first:last] = bytes(last - first)
    path.write_bytes(data)


def garbage(path: Path, rng: random.Random) -> None:
    """Insert, append or put random bytes in the place of some."""
    data = path.read_bytes()
    first = rng.choice([0, rng.randrange(len(data) + 1), len(data)])
    last = rng.choice([first, min(len(data), first + 64), len(data)])
    path.write_bytes(data[:first] + rng.randbytes(rng.choice([1, 7, 64, 5000])) + data[last:])


def double(path: Path, rng: random.Random) -> None:
    """Write a stretch twice."""
    data = path.read_bytes()
    first = rng.randrange(len(data) + 1)
    last = rng.choice([len(data), min(len(data), first + 100)])
    path.write_bytes(data[:last] + data[first:])


def swap_lines(path: Path, rng: random.Random) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    if len(lines) > 1:
        a, b = rng.sample(range(len(lines)), 2)
        lines[a], lines[b] = lines[b], lines[a]
    path.write_bytes(b"".join(lines))


def remove(path: Path, rng: random.Random) -> None:
    path.unlink()


def sparse(path: Path, rng: random.Random) -> None:
    """Make it gigabytes long, of which few are on the disk."""
    with path.open("rb+") as file:
        file.truncate(rng.choice([1 << 28, 1 << 32, 1 << 36]))


def other_kind(path: Path, rng: random.Random) -> None:
    """Put something in its place that is no file: a folder, a pipe, a link, a loop of links."""
    path.unlink()
    text = next((p / "text.txt" for p in path.parents if (p / "text.txt").is_file()), "nothing")
    kind = rng.randrange(6)
    if kind == 0:
        path.mkdir()
    elif kind == 1:
        os.mkfifo(path)
    elif kind == 2:
        path.symlink_to(path.name)
    else:
        path.symlink_to(rng.choice([text, text, "/dev/zero", "/proc/self/mem", "nothing", "/"]))


def hostile_json(path: Path, rng: random.Random) -> None:
    """Change a value somewhere in some JSON, or a name, or put what is no JSON there."""
    lines = path.read_bytes().split(b"\n") if path.suffix == ".jsonl" else [path.read_bytes()]
    n = rng.randrange(len(lines))
    try:
        values = json.loads(lines[n])
    except ValueError:
        garbage(path, rng)
        return
    lines[n] = changed_json(values, rng)
    path.write_bytes(b"\n".join(lines))


def changed_json(values: Any, rng: random.Random) -> bytes:
    """JSON with one thing in it changed."""
    places = list(_places(values))
    holder, key = rng.choice(places) if places else ([values], 0)
    how = rng.randrange(10)
    if how == 0:
        del holder[key]
    elif how == 1 and isinstance(holder, dict):
        holder[rng.choice(["x", "step", "__class__", ""])] = rng.choice(HOSTILE)
    elif how == 2:
        holder[key] = "\x00RAW"
        text = json.dumps(values).encode()
        return text.replace(b'"\\u0000RAW"', rng.choice(RAW))
    elif how == 3 and isinstance(holder[key], (int, float)):
        holder[key] *= rng.choice([-1, 2, 0.5, 1000, 10**9])
    else:
        holder[key] = rng.choice(HOSTILE)
    return json.dumps(values, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")


def _places(values: Any) -> Any:
    """Every place in nested lists and dicts, as a holder and a key."""
    keys = (
        values
        if isinstance(values, dict)
        else range(len(values))
        if isinstance(values, list)
        else ()
    )
    for key in list(keys):
        yield values, key
        yield from _places(values[key])


def hostile_header(path: Path, rng: random.Random) -> None:
    """Change the header of a safetensors file, with lengths that fit."""
    data = path.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    try:
        header = json.loads(data[8 : 8 + length])
    except ValueError:
        garbage(path, rng)
        return
    if rng.random() < 0.1:
        path.write_bytes(struct.pack("<Q", rng.choice([0, 1, 2**40, 2**63, 2**64 - 1])) + data[8:])
        return
    if rng.random() < 0.3 and "__metadata__" in header:
        entry = json.loads(header["__metadata__"]["chargen"])
        header["__metadata__"]["chargen"] = changed_json(entry, rng).decode("utf-8", "replace")
        changed = json.dumps(header).encode()
    else:
        changed = changed_json(header, rng)
    path.write_bytes(struct.pack("<Q", len(changed)) + changed + data[8 + length :])


def from_another(path: Path, rng: random.Random) -> None:
    """Put another file of the same folder in its place."""
    others = [p for p in path.parent.iterdir() if p.is_file() and p != path]
    if others:
        shutil.copy(rng.choice(sorted(others)), path)


ANY: tuple[Mutation, ...] = (
    *(flip, cut, zero, garbage, double, remove, other_kind, from_another, sparse),
)
BY_SUFFIX: Mapping[str, tuple[Mutation, ...]] = {
    ".json": (hostile_json,) * 6,
    ".jsonl": (hostile_json, hostile_json, hostile_json, swap_lines),
    ".safetensors": (hostile_header,) * 4,
}


def mutate(path: Path, rng: random.Random) -> str:
    """Damage a file in some way, and say which."""
    mutation = rng.choice(ANY + BY_SUFFIX.get(path.suffix, ()))
    mutation(path, rng)
    return f"{mutation.__name__} {path.name}"

"""Tensors on disk: safetensors files that carry digests of all that is in them."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as tensors_to_bytes
from torch import Tensor, nn

from chargen.errors import CheckpointError
from chargen.files import sha256_of_values, write_bytes
from chargen.runs.reading import (
    COPY_AGAIN,
    MOST_VALUES_BYTES,
    STRICT,
    damaged,
    parse,
    regular_file,
    typed,
    unreadable,
)

_ENTRY = "chargen"
_MOST_TENSORS = 100_000
_MOST_HEADER_BYTES = 32 << 20
_DESCRIPTORS = Path("/dev/fd")
_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "U32": torch.uint32,
    "U16": torch.uint16,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


class Kind(NamedTuple):
    """The type and the shape of a tensor.

    A shape of None stands for any vector of at most ``_MOST_ANY`` numbers, a length of -1 for any
    length. Where ``narrow`` is true, float16 may stand for float32.
    """

    dtype: torch.dtype | str
    shape: tuple[int, ...] | None
    narrow: bool = False

    @classmethod
    def of(cls, tensor: Tensor) -> Kind:
        return cls(tensor.dtype, tuple(tensor.shape))

    def admits(self, other: Kind) -> bool:
        """Whether a tensor of the kind ``other`` may stand where this kind is wanted."""
        narrow = self.narrow and (self.dtype, other.dtype) == (torch.float32, torch.float16)
        if not (narrow or self.dtype == other.dtype) or other.shape is None:
            return False
        if self.shape is None:
            return len(other.shape) == 1 and other.shape[0] <= _MOST_ANY
        pairs = zip(self.shape, other.shape, strict=False)
        return len(self.shape) == len(other.shape) and all(a in (-1, b) for a, b in pairs)

    def __str__(self) -> str:
        shape = "a short vector" if self.shape is None else str(self.shape).replace("-1", "n")
        return f"{shape} of {str(self.dtype).removeprefix('torch.')}"


_MOST_ANY = 1 << 16


@dataclass(frozen=True)
class Facts:
    """What a file says of its tensors.

    Attributes:
        sha256: their digest, which identifies weights.
        step: training steps after which they were taken.
        bits_per_char: of weights, on the validation split.
        facts_sha256: of the others; None: chargen 0.1 wrote the file, which had no such digest.
    """

    __pydantic_config__: ClassVar[Any] = STRICT

    sha256: str
    step: int
    bits_per_char: float | None = None
    facts_sha256: str | None = None

    def __post_init__(self) -> None:
        if self.step < 0:
            raise ValueError(f"the step is {self.step}")

    def own_sha256(self) -> str:
        return sha256_of_values({**asdict(self), "facts_sha256": None})


def digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and numbers: what identifies a set of weights."""
    sha = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        sha.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        if tensor.numel():  # an empty one may have no stride by which it can be viewed
            sha.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return sha.hexdigest()


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], step: int, bits_per_char: float | None = None
) -> str:
    """Write tensors and facts to a file in one instant, and return the tensors' digest.

    The facts are one entry: safetensors writes several in any order, and the same tensors are to
    be the same file.
    """
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    facts = Facts(digest(whole), step, bits_per_char)
    entry = json.dumps({**asdict(facts), "facts_sha256": facts.own_sha256()})
    write_bytes(path, tensors_to_bytes(whole, metadata={_ENTRY: entry}))
    return facts.sha256


def read_tensors(
    run: Path, name: str, wanted: Mapping[str, Kind] | None = None
) -> tuple[dict[str, Tensor], Facts]:
    """Read a file by ``write_tensors``.

    The tensors are views of the mapped file. The file's header is compared with what is wanted
    before any is touched.

    Args:
        run: the run folder.
        name: of the file in it.
        wanted: the tensors that it must have, neither more nor fewer; None: any.

    Raises:
        CheckpointError: the file is missing, truncated, no safetensors, not what was written, has
            other tensors than those that are wanted, or a number in it is not finite.
    """
    path = run / name
    found = regular_file(run, name)
    try:
        with _opened(found) as file:
            facts = _facts(file, path)
            kinds = _kinds(file, path)
            if wanted is not None:
                require_fit(kinds, wanted, path)
            tensors = {name: file.get_tensor(name) for name in kinds}
    except OSError as error:
        raise unreadable(path, error) from error
    except (SafetensorError, ValueError, RuntimeError) as error:
        raise damaged(path, str(error)) from error
    if facts.sha256 != digest(tensors):
        raise damaged(path, "its digest differs")
    if wanted is not None:
        _require_finite(tensors, path)
    return tensors, facts


def require_header(run: Path, name: str, wanted: Mapping[str, Kind]) -> None:
    """Raise CheckpointError where a file has other tensors than wanted, by its header alone."""
    path = run / name
    try:
        with _opened(regular_file(run, name)) as file:
            require_fit(_kinds(file, path), wanted, path)
    except OSError as error:
        raise unreadable(path, error) from error
    except (SafetensorError, ValueError) as error:
        raise damaged(path, str(error)) from error


def read_facts(run: Path, name: str) -> Facts:
    """What a file by ``write_tensors`` says of its tensors, which stay unread."""
    path = run / name
    try:
        with _opened(regular_file(run, name)) as file:
            return _facts(file, path)
    except OSError as error:
        raise unreadable(path, error) from error
    except (SafetensorError, ValueError) as error:
        raise damaged(path, str(error)) from error


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """A safetensors file, open.

    The library takes no path that isn't UTF-8, and opens it twice, for the header and for the
    numbers; meanwhile another file may have taken its place. So it gets one that is open already.

    Raises:
        ValueError: it is longer than its header says; the library would map all of it first.
    """
    with path.open("rb") as file:
        _require_length(file, path)
        name = f"/dev/fd/{file.fileno()}" if _DESCRIPTORS.is_dir() else str(path)
        with safe_open(name, framework="pt") as tensors:
            yield tensors


def _require_length(file: BinaryIO, path: Path) -> None:
    """Raise ValueError where a file is longer than its header says; the rest is safetensors'."""
    size = int.from_bytes(file.read(8), "little")
    if size > _MOST_HEADER_BYTES:
        raise ValueError(f"its header has more than {_MOST_HEADER_BYTES:,} bytes")
    header = parse(file.read(size), path)
    length = os.fstat(file.fileno()).st_size
    try:
        ends = [each["data_offsets"][1] for name, each in header.items() if name != "__metadata__"]
        expected = 8 + size + max(ends, default=0)
    except (AttributeError, LookupError, TypeError):
        return
    if length > expected:
        raise ValueError(f"it has {length:,} bytes, not {expected:,}")


def _facts(file: Any, path: Path) -> Facts:
    entry = (file.metadata() or {}).get(_ENTRY)
    if entry is None:
        raise damaged(path, "chargen didn't write it")
    if len(entry) > MOST_VALUES_BYTES:
        raise damaged(path, "its description is too long")
    facts = typed(parse(entry.encode(), path), Facts, path)
    if facts.facts_sha256 not in (None, facts.own_sha256()):
        raise damaged(path, "the digest of its description differs")
    return facts


def _kinds(file: Any, path: Path) -> dict[str, Kind]:
    """The tensors of a file by their names, from its header alone."""
    names = file.keys()
    if len(names) > _MOST_TENSORS:
        raise damaged(path, f"it has {len(names):,} tensors")
    found = {}
    for name in names:
        header = file.get_slice(name)
        dtype = header.get_dtype()
        found[name] = Kind(_DTYPES.get(dtype, dtype), tuple(header.get_shape()))
    return found


def require_fit(found: Mapping[str, Kind], wanted: Mapping[str, Kind], where: Path | str) -> None:
    """Raise CheckpointError where tensors aren't those that are wanted; it names the first few."""
    problems = [f"{name} is missing" for name in wanted if name not in found]
    problems += [f"{name} is not of this network" for name in found if name not in wanted]
    problems += [
        f"{name} is {found[name]}, not {kind}"
        for name, kind in wanted.items()
        if name in found and not kind.admits(found[name])
    ]
    if problems:
        more = f"; and {len(problems) - 4} more" if len(problems) > 4 else ""
        shown = "; ".join(problem[:120] for problem in problems[:4])
        raise CheckpointError(f"{where} doesn't fit its config: {shown}{more}.", COPY_AGAIN)


def _require_finite(tensors: Mapping[str, Tensor], path: Path) -> None:
    for name, tensor in tensors.items():
        if not tensor.is_floating_point():
            continue
        # A finite sum has finite terms, and costs a fifth of looking at each.
        if not bool(torch.isfinite(tensor.sum())) and not bool(torch.isfinite(tensor).all()):
            raise damaged(path, f"{name} has numbers that are not finite")


def part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Those of ``tensors`` whose names begin with ``prefix.``, without it."""
    start = prefix + "."
    return {n.removeprefix(start): t for n, t in tensors.items() if n.startswith(start)}


def load_weights(network: nn.Module, tensors: Mapping[str, Tensor], where: Path | str) -> None:
    """Copy ``tensors`` into a network; CheckpointError names those that don't fit."""
    wanted = {name: Kind.of(tensor) for name, tensor in network.state_dict().items()}
    require_fit({name: Kind.of(tensor) for name, tensor in tensors.items()}, wanted, where)
    network.load_state_dict(dict(tensors))

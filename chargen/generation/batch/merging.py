"""The outputs of all shards of a batch, put together in the order of the jobs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from filelock import FileLock, Timeout

from chargen.errors import GenerationError, system_error_text
from chargen.files import (
    errors_about,
    flush,
    followed,
    is_special,
    open_in_place,
    open_regular,
)
from chargen.generation.batch.output import (
    SIDECAR,
    check_output,
    name_of_output,
    read_sidecar,
    sidecar_of,
    write_sidecar,
)
from chargen.generation.batch.written import MOST_LINE_BYTES, Written

_LISTED = 20
_BESIDE = (SIDECAR, f"{SIDECAR}.lock", f"{SIDECAR}.new")
_OWN = ("written", "lines", "shard")


@dataclass(frozen=True)
class _Shard:
    """The output of one shard, and what the file beside it records."""

    path: Path
    number: int
    count: int
    values: dict[str, Any]

    @property
    def common(self) -> dict[str, Any]:
        """What the shards of one batch share."""
        return {name: value for name, value in self.values.items() if name not in _OWN}


def merge(paths: Sequence[Path], out: Path, *, force: bool) -> int:
    """Join the outputs of all shards of a batch: the same file as of the batch as a whole.

    Args:
        paths: the outputs in any order; files that a batch leaves beside them are passed over.
        out: the file to write, or a device or pipe; see ``output_path``.
        force: replace an existing file.

    Returns:
        The number of lines.

    Raises:
        GenerationError: a shard is missing, there twice, unfinished, damaged, or of another batch.
        OSError: a file can't be read or written.
    """
    outputs = [path for path in paths if not path.name.endswith(_BESIDE) and path != out]
    shards = _all_shards([_described(path) for path in outputs])
    check_output("-", out, resume=False, force=True)
    if is_special(out):
        return _stream(shards, out)
    if out.exists():
        if not force:
            raise GenerationError(
                f"{out} exists already.", "Replace it with `force=True`, or choose another `out`."
            )
        if any(out.samefile(each.path) for each in shards):
            raise GenerationError(f"{out} is one of the shards.", "Choose another `out`.")
    target = followed(out)
    lock = Path(f"{sidecar_of(target)}.lock")
    try:
        with FileLock(lock, timeout=0):
            try:
                return _write(shards, target)
            finally:
                lock.unlink(missing_ok=True)
    except Timeout as error:
        raise GenerationError(
            f"{out} is being written by another process.", "Wait for it to end."
        ) from error


def _described(path: Path) -> _Shard:
    try:
        values = read_sidecar(sidecar_of(followed(path)))
        number, count = values["shard"]
        values["lines"] + number + count
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise GenerationError(
            f"{path} is not the output of a shard: the file {path.name}{SIDECAR} that describes it "
            "is missing, or says something else.",
            "Name the outputs of `chargen batch` with `shard`, and keep those files beside them.",
        ) from error
    return _Shard(path, number, count, values)


def _all_shards(found: list[_Shard]) -> list[_Shard]:
    """The shards in order; GenerationError unless each of one batch is there once."""
    if not found:
        raise GenerationError("No outputs of shards were given.", "Name all of them.")
    first = found[0]
    if not first.values.get("ordered"):
        raise GenerationError(
            f"{first.path} has its lines in the order of completion.",
            "Run the shards with `ordered=True`.",
        )
    by_number: dict[int, _Shard] = {}
    for each in found:
        if each.common != first.common or each.count != first.count:
            raise GenerationError(
                f"{first.path} and {each.path} are shards of different batches.",
                "Name the outputs of one job file, with one checkpoint, options and number of "
                "shards.",
            )
        other = by_number.setdefault(each.number, each)
        if other is not each:
            raise GenerationError(
                f"Shard {each.number} of {each.count} is there twice: {other.path} and "
                f"{each.path}.",
                "Name each once.",
            )
        there = (each.values.get("written") or {}).get("lines", 0)
        if there != each.values["lines"]:
            raise GenerationError(
                f"Shard {each.number} of {each.count}, {each.path}, is unfinished: it has "
                f"{there:,} of {each.values['lines']:,} lines.",
                "Complete it with `resume=True`.",
            )
    missing = [n for n in range(1, first.count + 1) if n not in by_number]
    if missing:
        listed = ", ".join(map(str, missing[:_LISTED])) + (", …" if len(missing) > _LISTED else "")
        noun = f"Shard {listed} is" if len(missing) == 1 else f"Shards {listed} are"
        raise GenerationError(
            f"{noun} missing: the batch has {first.count}, and {len(by_number)} were given.",
            "Run them, or name their outputs too.",
        )
    return [by_number[n] for n in sorted(by_number)]


def _stream(shards: Sequence[_Shard], out: Path) -> int:
    """Write all lines to what isn't a plain file, once all shards have proved whole."""
    count = sum(1 for _ in _lines(shards))
    with errors_about(Path(name_of_output(out))), open_in_place(out) as file:
        file.writelines(_lines(shards))
    return count


def _write(shards: Sequence[_Shard], target: Path) -> int:
    """Write beside the output, and put it into its place when all shards have proved whole."""
    written, new = Written(), target.with_name(target.name + ".new")
    try:
        with new.open("wb") as file:
            for line in _lines(shards):
                file.write(line)
                written.add(line)
        flush(new)
        values = {**shards[0].common, "shard": None}
        write_sidecar(
            sidecar_of(target), {**values, "lines": written.lines, "written": written.record()}
        )
        new.replace(target)
        flush(target.parent)
    except OSError as error:
        raise GenerationError(
            f"The output can't be written: {system_error_text(error)}.",
            "Free some space or correct the permissions, and merge again.",
        ) from error
    finally:
        new.unlink(missing_ok=True)
    return written.lines


def _lines(shards: Sequence[_Shard]) -> Iterator[bytes]:
    """Yield the lines of all shards in the order of the jobs."""
    with ExitStack() as stack:
        yield from _in_order(
            [
                _Reader(each, stack.enter_context(open_regular(each.path, links=True)))
                for each in shards
            ]
        )


def _in_order(readers: Sequence[_Reader]) -> Iterator[bytes]:
    """Yield the lines of the first job of each shard, then of the second, and so on."""
    while readers[0].ahead:
        for reader in readers:
            if not reader.ahead:
                break
            yield from reader.job()
    for reader in readers:
        reader.check()


class _Reader:
    """The lines of a shard, job by job, and whether they are what the batch wrote.

    Attributes:
        ahead: the next line; empty at the end.
    """

    def __init__(self, shard: _Shard, file: BinaryIO) -> None:
        self._shard, self._file = shard, file
        self._digest = hashlib.sha256()
        self.ahead = self._line()

    def job(self) -> Iterator[bytes]:
        """Yield the lines of a job: of its samples, those after the first have a number."""
        yield self.ahead
        self.ahead = self._line()
        while self.ahead and self._goes_on():
            yield self.ahead
            self.ahead = self._line()

    def check(self) -> None:
        """Raise GenerationError unless all lines were read, and are as the batch wrote them."""
        if self.ahead or self._digest.hexdigest() != self._shard.values["written"].get("sha256"):
            raise self._damaged()

    def _line(self) -> bytes:
        line = self._file.readline(MOST_LINE_BYTES)
        self._digest.update(line)
        return line

    def _goes_on(self) -> bool:
        try:
            return bool(json.loads(self.ahead).get("sample"))
        except (ValueError, AttributeError, RecursionError):
            raise self._damaged() from None

    def _damaged(self) -> GenerationError:
        shard = self._shard
        return GenerationError(
            f"Shard {shard.number} of {shard.count}, {shard.path}, is not as the batch wrote it.",
            "Run it again with `force=True`.",
        )

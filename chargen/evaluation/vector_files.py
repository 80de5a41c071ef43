"""Vectors written to a file as they come: NumPy's format, or JSON lines."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from chargen.corpus.records import Record
from chargen.errors import CorpusError
from chargen.evaluation.embedding import Vectors
from chargen.files import errors_about, flush, followed, is_special, open_in_place, unfinished_name

Found = Iterable[tuple[list[Record], Vectors]]


def write_vectors(found: Found, out: Path) -> tuple[int, int]:
    """Write vectors to a file, which appears when it is whole; return their number and length.

    A name that ends in ``.npy`` stands for NumPy's format, float32, a row a text; any other for
    JSON lines with ``id`` and ``vector``.

    Raises:
        CorpusError: there are no texts.
        OSError: the file can't be written.
    """
    with _whole_file(out) as file:
        count, width = (_as_array if out.suffix == ".npy" else _as_lines)(found, file)
        if not count:
            raise CorpusError("The file has no texts.", "Name one with at least one line.")
    return count, width


def lines_of(found: Found) -> Iterator[str]:
    """Yield each vector as a JSON object, on one line."""
    for records, vectors in found:
        for record, vector in zip(records, vectors.tolist(), strict=True):
            yield json.dumps({"id": record.id, "vector": vector}, ensure_ascii=False)


def _as_array(found: Found, file: BinaryIO) -> tuple[int, int]:
    count = width = 0
    for records, vectors in found:
        if not count:
            width = vectors.shape[1]
            _write_header(file, 0, width)  # numpy leaves room in it for any number of rows
        count += len(records)
        file.write(vectors.astype("<f4").tobytes())
    if count:
        file.seek(0)
        _write_header(file, count, width)
    return count, width


def _write_header(file: BinaryIO, count: int, width: int) -> None:
    facts = {"descr": "<f4", "fortran_order": False, "shape": (count, width)}
    np.lib.format.write_array_header_1_0(file, facts)


def _as_lines(found: Found, file: BinaryIO) -> tuple[int, int]:
    count = width = 0
    for records, vectors in found:
        count, width = count + len(records), vectors.shape[1]
        for line in lines_of([(records, vectors)]):
            file.write(f"{line}\n".encode())
    return count, width


@contextmanager
def _whole_file(out: Path) -> Iterator[BinaryIO]:
    """A file to write, which is put in its place, flushed, when the block ends without an error."""
    with errors_about(out):
        if is_special(out):
            with open_in_place(out) as file:
                yield file
            return
        target = followed(out)
        if target.is_dir():
            raise IsADirectoryError(21, "Is a directory", str(out))
        with tempfile.TemporaryDirectory(prefix=unfinished_name(target), dir=target.parent) as room:
            path = Path(room, "whole")
            with path.open("w+b") as file:
                yield file
            flush(path)
            path.replace(target)
            flush(target.parent)

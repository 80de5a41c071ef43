"""Characters to numbers and back: a SentencePiece model of single characters.

Encoding uses a table from code points to pieces, which is read from the model: it runs at the speed
of memory, and gives one ``<unk>`` for each unknown character, where SentencePiece's own encoder
merges a run of them into one. Otherwise both agree, with one exception: a space or U+2581 that has
no piece becomes its own bytes here, while SentencePiece doesn't distinguish the two.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chargen.corpus.pieces import END, byte_of, not_ours, read_model, train_model
from chargen.errors import CorpusError
from chargen.files import open_regular

CODE_POINTS = 0x110000
REPLACEMENT = "\ufffd"

# In a piece U+2581 means a space, and NUL ends a string: neither can be a piece itself.
UNENCODABLE = "\0\u2581"
_SPACE = "\u2581"
# All code points there are make a model of 20 MB.
_MOST_BYTES = 1 << 26
_AT_ONCE = 1 << 20

Ids = NDArray[np.integer[Any]]


class Tokenizer:
    """A character vocabulary, its encoder and its decoder.

    Attributes:
        size: |V|, the number of all pieces: characters, byte pieces and reserved ones.
        characters_kept: characters that have a piece.
        has_bytes: whether other characters become their UTF-8 bytes; otherwise each is one <unk>.
        unk_id, newline_id: ids of those pieces.
        end_id: the id of the piece that ends a record, or -1 where there is none.
        unk_extra_bits: what an <unk> is charged besides its own cost: log2 of the number of code
            points that it may stand for.
        never_sampled: (|V|,) bool, True for <unk> and the control pieces.
        byte_values: (|V|,) int16, the byte of a byte piece, otherwise -1.
        sha256: of the model file.
        dtype: that ids are stored as: little-endian uint16, or uint32 where |V| needs it.
    """

    def __init__(self, model: bytes, name: str = "the tokenizer") -> None:
        """Read a serialised model; CorpusError where it isn't one of characters.

        Args:
            model: the content of a ``.model`` file.
            name: what an error calls it.
        """
        self._model = model
        self.sha256 = hashlib.sha256(model).hexdigest()
        pieces, kinds = read_model(model, name)
        self.size = len(pieces)
        self.dtype = np.dtype("<u2" if self.size <= 1 << 16 else "<u4")
        self.unk_id = kinds.index("unknown")
        self.end_id = next(
            (i for i, piece in enumerate(pieces) if piece == END and kinds[i] == "control"), -1
        )
        self.never_sampled = np.array([kind in ("unknown", "control") for kind in kinds])
        self.byte_values = np.full(self.size, -1, np.int16)
        self._texts = [""] * self.size
        # (0x110000,) int32: the piece of each character, or -1.
        self._id_of = np.full(CODE_POINTS, -1, np.int32)
        for id_, (piece, kind) in enumerate(zip(pieces, kinds, strict=True)):
            if kind == "byte":
                self.byte_values[id_] = byte_of(piece, name)
            elif kind == "character":
                self._texts[id_] = " " if piece == _SPACE else piece
                self._id_of[ord(self._texts[id_])] = id_
        self.characters = tuple(self._texts)
        self._texts[self.unk_id] = REPLACEMENT
        self.newline_id = int(self._id_of[ord("\n")])
        self.characters_kept = kinds.count("character")
        self.has_bytes = "byte" in kinds
        self.unk_extra_bits = math.log2(CODE_POINTS - self.characters_kept)
        # (256,) int32: the piece of each byte.
        self._id_of_byte = np.full(256, -1, np.int32)
        self._id_of_byte[self.byte_values[self.byte_values >= 0]] = np.flatnonzero(
            self.byte_values >= 0
        )
        self._check(name)
        # (|V|,) uint32: the code point of each piece that is a character, else 0.
        self._point_of = np.array([ord(text or "\0") for text in self._texts], "<u4")
        self._utf8, self._utf8_length = self._utf8_tables()
        self._starts = ~((self.byte_values >= 0x80) & (self.byte_values < 0xC0))
        self._starts &= np.array([kind != "control" for kind in kinds])
        if self.end_id >= 0:
            self._starts[self.end_id] = True

    @classmethod
    def load(cls, path: str | Path) -> Tokenizer:
        """Read a ``.model`` file; CorpusError where it is missing or damaged."""
        try:
            with open_regular(Path(path), links=True) as file:
                model = file.read(_MOST_BYTES + 1)
        except FileNotFoundError as error:
            raise CorpusError(f"{path} is missing.", "Check the path.") from error
        except OSError as error:
            raise CorpusError(
                f"{path} can't be read: {error.strerror or error}.",
                "Check the path and its permissions.",
            ) from error
        if len(model) > _MOST_BYTES:
            raise not_ours(str(path), f"it is longer than {_MOST_BYTES:,} bytes")
        return cls(model, str(path))

    @classmethod
    def train(
        cls, counts: Mapping[str, int], vocab_size: int, oov: str, *, end: bool = False
    ) -> Tokenizer:
        """Make a vocabulary of the most frequent characters.

        Args:
            counts: how often each character occurs in the text.
            vocab_size: characters to keep, the newline always among them. Of equally frequent
                characters, the one with the lower code point is kept.
            oov: ``bytes`` or ``unk`` for the others; ``auto`` is ``bytes`` if there are any. NUL
                and U+2581 can't be kept, so they are always among the others.
            end: whether there is a piece that ends a record.

        Raises:
            CorpusError: nothing but line ends and tabs would be kept.
        """
        kept = kept_characters(counts, vocab_size)
        if oov == "auto":
            seen = {c for c, n in counts.items() if n}
            oov = "unk" if seen <= set(kept) else "bytes"
        return cls(train_model(kept, counts, oov == "bytes", end))

    def save(self, path: str | Path) -> None:
        """Write the ``.model`` file."""
        Path(path).write_bytes(self._model)

    def to_bytes(self) -> bytes:
        """The content of the ``.model`` file."""
        return self._model

    def encode(self, text: str) -> NDArray[np.int32]:
        """Encode ``text`` as piece ids, (n,) int32; CorpusError for a lone surrogate."""
        points = code_points(text)
        ids = self._id_of[points]
        missing = np.flatnonzero(ids < 0)
        if not missing.size:
            return ids
        if not self.has_bytes:
            ids[missing] = self.unk_id
            return ids
        data, lengths = _utf8_of(points[missing])
        spread = np.ones(len(ids), np.intp)
        spread[missing] = lengths
        ids = np.repeat(ids, spread)
        ids[ids < 0] = self._id_of_byte[data]
        return ids

    def decode(self, ids: Sequence[int] | Ids) -> str:
        """Decode ids to text; bytes that aren't valid UTF-8, and each <unk>, become U+FFFD."""
        array = np.asarray(ids, np.intp)
        points = self._point_of[array]
        if (points > 0).all():
            return points.tobytes().decode("utf-32-le")
        used = np.arange(4, dtype=np.int8) < self._utf8_length[array][:, None]
        return self._utf8[array][used].tobytes().decode("utf-8", "replace")

    def utf8_size(self, ids: Ids) -> int:
        """The bytes of a text in UTF-8, counted in little memory."""
        parts = range(0, len(ids), _AT_ONCE)
        return sum(int(self._utf8_length[ids[n : n + _AT_ONCE]].sum(dtype=int)) for n in parts)

    def piece(self, id_: int) -> str:
        """Show a piece: its character, ``<0xE4>`` for a byte, ``<unk>`` or ``</s>``."""
        if self.never_sampled[id_]:
            return "<unk>" if id_ == self.unk_id else END if id_ == self.end_id else ""
        byte = int(self.byte_values[id_])
        return f"<0x{byte:02X}>" if byte >= 0 else self._texts[id_]

    def unseen(self, text: str) -> list[str]:
        """List the characters of ``text`` that have no piece of their own, in order, once each."""
        missing = self._id_of[code_points(text)] < 0
        return list(dict.fromkeys(text[i] for i in np.flatnonzero(missing)))

    def character_starts(self, ids: Sequence[int] | Ids) -> NDArray[np.bool_]:
        """Whether each piece begins a character or is an end, (n,) bool."""
        return self._starts[np.asarray(ids, np.intp)]

    def _check(self, name: str) -> None:
        bytes_found = int((self._id_of_byte >= 0).sum())
        if self.newline_id < 0 or bytes_found not in (0, 256):
            raise not_ours(name, "the newline or a byte has no piece")

    def _utf8_tables(self) -> tuple[NDArray[np.uint8], NDArray[np.int8]]:
        """The UTF-8 bytes of each piece, (|V|, 4) uint8, and how many there are, (|V|,) int8."""
        table = np.zeros((self.size, 4), np.uint8)
        length = np.zeros(self.size, np.int8)
        for id_, text in enumerate(self._texts):
            byte = int(self.byte_values[id_])
            data = bytes([byte]) if byte >= 0 else text.encode()
            table[id_, : len(data)] = list(data)
            length[id_] = len(data)
        return table, length


def kept_characters(counts: Mapping[str, int], vocab_size: int) -> list[str]:
    """The ``vocab_size`` most frequent characters, in that order; the newline is among them."""
    seen = (c for c, n in counts.items() if n and c not in UNENCODABLE)
    ranked = sorted(seen, key=lambda c: (-counts[c], c))
    if "\n" not in ranked[:vocab_size]:
        ranked = [*[c for c in ranked if c != "\n"][: max(vocab_size - 1, 0)], "\n"]
    return ranked[: max(vocab_size, 1)]


def code_points(text: str) -> NDArray[np.uint32]:
    """The code points of ``text``, (n,) uint32, read-only; CorpusError for a lone surrogate."""
    try:
        return np.frombuffer(text.encode("utf-32-le"), "<u4")
    except UnicodeEncodeError as error:
        code = ord(text[error.start])
        raise CorpusError(
            f"Character {error.start} of the text is the lone surrogate U+{code:04X}, "
            "which is not a character.",
            "Remove it, or read the text again from its file in the right encoding.",
        ) from error


def _utf8_of(points: NDArray[np.uint32]) -> tuple[NDArray[np.uint8], NDArray[np.intp]]:
    """The UTF-8 bytes of all ``points``, one after the other, and how many each has."""
    data = points.astype("<u4").tobytes().decode("utf-32-le").encode()
    bounds = np.array([0x80, 0x800, 0x10000], np.uint32)
    lengths = np.searchsorted(bounds, points, side="right") + 1
    return np.frombuffer(data, np.uint8), lengths

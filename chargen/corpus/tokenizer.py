"""Characters to numbers and back: a SentencePiece model of single characters.

Encoding goes through a table from code points to pieces, read from the model's own list: it is as
fast as memory, and gives one ``<unk>`` for each unknown character, where SentencePiece's encoder
merges a run of them into one. Elsewhere both agree, with one exception: a space or U+2581 without
a piece becomes its own bytes here, while SentencePiece takes either for the other.
"""

from __future__ import annotations

import hashlib
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chargen.errors import CorpusError, system_error_text

CODE_POINTS = 0x110000
REPLACEMENT = "\ufffd"

# U+2581 stands for the space in a piece, and NUL ends a string: neither can be a piece.
UNENCODABLE = "\0\u2581"
# SentencePiece uses these itself when it counts, so they come as user-defined symbols.
_USER_DEFINED = "\n\t\x1f\u2585"
_SPACE = "\u2581"

Ids = NDArray[np.integer[Any]]


class Tokenizer:
    """A character vocabulary, its encoder and its decoder.

    Attributes:
        size: |V|, pieces in all: characters, byte pieces and reserved ones.
        characters_kept: characters that have a piece.
        has_bytes: whether other characters become their UTF-8 bytes; else each is one <unk>.
        unk_id, newline_id: ids of those pieces.
        unk_extra_bits: what one <unk> is charged besides its own cost, log2 of the number of
            code points that it may stand for.
        never_sampled: (|V|,) bool, <unk> and the control pieces.
        byte_values: (|V|,) int16, the byte of a byte piece, -1 elsewhere.
        sha256: of the model file.
    """

    def __init__(self, model: bytes, name: str = "the tokenizer") -> None:
        """Read a serialised model; CorpusError, with ``name`` in it, where it is none of ours."""
        self._model = model
        self.sha256 = hashlib.sha256(model).hexdigest()
        pieces, kinds = _read_model(model, name)
        self.size = len(pieces)
        self.unk_id = kinds.index("unknown")
        self.never_sampled = np.array([kind in ("unknown", "control") for kind in kinds])
        self.byte_values = np.full(self.size, -1, np.int16)
        self._texts = [""] * self.size
        # (0x110000,) int32: the piece of each character, or -1.
        self._id_of = np.full(CODE_POINTS, -1, np.int32)
        for id_, (piece, kind) in enumerate(zip(pieces, kinds, strict=True)):
            if kind == "byte":
                self.byte_values[id_] = int(piece[3:5], 16)
            elif kind == "character":
                self._texts[id_] = " " if piece == _SPACE else piece
                self._id_of[ord(self._texts[id_])] = id_
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
        # (|V|,) uint32: the code point of each piece that is one, else 0.
        self._point_of = np.array([ord(text or "\0") for text in self._texts], "<u4")
        self._utf8, self._utf8_length = self._utf8_tables()
        self._starts = ~((self.byte_values >= 0x80) & (self.byte_values < 0xC0))
        self._starts &= np.array([kind != "control" for kind in kinds])

    @classmethod
    def load(cls, path: str | Path) -> Tokenizer:
        """Read a ``.model`` file; CorpusError where it's missing or damaged."""
        try:
            model = Path(path).read_bytes()
        except OSError as error:
            raise CorpusError(
                f"Can't read a tokenizer: {system_error_text(error)}.", "Check the path."
            ) from error
        return cls(model, str(path))

    @classmethod
    def train(cls, counts: Mapping[str, int], vocab_size: int, oov: str) -> Tokenizer:
        """A vocabulary of the most frequent characters.

        Args:
            counts: how often each character occurs in the text.
            vocab_size: characters to keep; the newline is one of them always. Of equally
                frequent ones the lower code point is kept.
            oov: ``bytes`` or ``unk`` for the others; ``auto`` is ``bytes`` where there are any.
                NUL and U+2581 can't be kept, so they are always among the others.

        Raises:
            CorpusError: no character is left besides line ends and tabs.
        """
        kept = kept_characters(counts, vocab_size)
        if oov == "auto":
            seen = {c for c, n in counts.items() if n}
            oov = "unk" if seen <= set(kept) else "bytes"
        return cls(_train_model(kept, counts, oov == "bytes"))

    def save(self, path: str | Path) -> None:
        """Write the ``.model`` file; errors of the operating system pass through."""
        Path(path).write_bytes(self._model)

    def to_bytes(self) -> bytes:
        """The ``.model`` file's content."""
        return self._model

    def encode(self, text: str) -> NDArray[np.int32]:
        """The pieces of ``text``, (n,) int32; CorpusError for a lone surrogate."""
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
        """The text of ``ids``; bytes that are no UTF-8, and each <unk>, become U+FFFD."""
        array = np.asarray(ids, np.intp)
        points = self._point_of[array]
        if (points > 0).all():
            return points.tobytes().decode("utf-32-le")
        used = np.arange(4, dtype=np.int8) < self._utf8_length[array][:, None]
        return self._utf8[array][used].tobytes().decode("utf-8", "replace")

    def piece(self, id_: int) -> str:
        """The text of one piece: a character, ``<0xE4>`` for a byte, ``<unk>``."""
        if self.never_sampled[id_]:
            return "<unk>" if id_ == self.unk_id else ""
        byte = int(self.byte_values[id_])
        return f"<0x{byte:02X}>" if byte >= 0 else self._texts[id_]

    def unseen(self, text: str) -> list[str]:
        """The characters of ``text`` that have no piece of their own, in order, each once."""
        missing = self._id_of[code_points(text)] < 0
        return list(dict.fromkeys(text[i] for i in np.flatnonzero(missing)))

    def character_starts(self, ids: Sequence[int] | Ids) -> NDArray[np.bool_]:
        """(n,) bool, True where a piece begins a character, and False inside one's bytes."""
        return self._starts[np.asarray(ids, np.intp)]

    def _check(self, name: str) -> None:
        bytes_found = int((self._id_of_byte >= 0).sum())
        if self.newline_id < 0 or bytes_found not in (0, 256):
            raise _not_ours(name, "the newline or a byte has no piece")

    def _utf8_tables(self) -> tuple[NDArray[np.uint8], NDArray[np.int8]]:
        """(|V|, 4) uint8 and (|V|,) int8: the UTF-8 bytes of each piece, and how many."""
        table = np.zeros((self.size, 4), np.uint8)
        length = np.zeros(self.size, np.int8)
        for id_, text in enumerate(self._texts):
            byte = int(self.byte_values[id_])
            data = bytes([byte]) if byte >= 0 else text.encode()
            table[id_, : len(data)] = list(data)
            length[id_] = len(data)
        return table, length


def kept_characters(counts: Mapping[str, int], vocab_size: int) -> list[str]:
    """The ``vocab_size`` most frequent characters, the newline among them, likeliest first."""
    seen = (c for c, n in counts.items() if n and c not in UNENCODABLE)
    ranked = sorted(seen, key=lambda c: (-counts[c], c))
    if "\n" not in ranked[:vocab_size]:
        ranked = [*[c for c in ranked if c != "\n"][: max(vocab_size - 1, 0)], "\n"]
    return ranked[: max(vocab_size, 1)]


def code_points(text: str) -> NDArray[np.uint32]:
    """(n,) uint32, read-only; CorpusError for a lone surrogate, which no encoding can write."""
    try:
        return np.frombuffer(text.encode("utf-32-le"), "<u4")
    except UnicodeEncodeError as error:
        code = ord(text[error.start])
        raise CorpusError(
            f"Character {error.start} of the text is the lone surrogate U+{code:04X}, "
            "which is no character.",
            "Remove it, or read the text again from its file in the right encoding.",
        ) from error


def _utf8_of(points: NDArray[np.uint32]) -> tuple[NDArray[np.uint8], NDArray[np.intp]]:
    """The UTF-8 bytes of all ``points`` in a row, and how many each has."""
    data = points.astype("<u4").tobytes().decode("utf-32-le").encode()
    bounds = np.array([0x80, 0x800, 0x10000], np.uint32)
    lengths = np.searchsorted(bounds, points, side="right") + 1
    return np.frombuffer(data, np.uint8), lengths


def _train_model(kept: Sequence[str], counts: Mapping[str, int], with_bytes: bool) -> bytes:
    import sentencepiece

    ordinary = [c for c in kept if c not in _USER_DEFINED]
    if not ordinary:
        raise CorpusError(
            f"Of {len(kept)} characters kept, none is more than a line end or tab.",
            "Raise --vocab-size, or add text.",
        )
    rows: Iterator[str] = (f"{c}\t{counts[c]}" for c in ordinary)
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=rows,
        model_writer=model,
        input_format="tsv",
        model_type="char",
        vocab_size=len(kept) + 257,
        hard_vocab_limit=False,
        # Without it the rarest characters of a long text fall off: the covered share is a
        # 32-bit float, and reaches 1 before the last of them.
        use_all_vocab=True,
        character_coverage=1.0,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        add_dummy_prefix=False,
        max_sentence_length=1 << 20,
        user_defined_symbols=[c for c in _USER_DEFINED if c in kept],
        byte_fallback=with_bytes,
        unk_id=0,
        bos_id=-1,
        eos_id=-1,
        pad_id=-1,
        minloglevel=4,
    )
    return model.getvalue()


def _read_model(model: bytes, name: str) -> tuple[list[str], list[str]]:
    """Pieces and their kinds: ``character``, ``byte``, ``unknown`` or ``control``."""
    import sentencepiece

    try:
        processor = sentencepiece.SentencePieceProcessor(model_proto=model)
    except RuntimeError as error:
        raise _not_ours(name, "SentencePiece can't read it") from error
    count = processor.vocab_size()
    pieces = [processor.id_to_piece(i) for i in range(count)]
    kinds = []
    for i, piece in enumerate(pieces):
        if processor.is_unknown(i):
            kinds.append("unknown")
        elif processor.is_byte(i):
            kinds.append("byte")
        elif processor.is_control(i) or processor.is_unused(i):
            kinds.append("control")
        elif len(piece) == 1:
            kinds.append("character")
        else:
            raise _not_ours(name, f"its piece {piece!r} is not one character")
    if kinds.count("unknown") != 1:
        raise _not_ours(name, "it has no <unk>")
    return pieces, kinds


def _not_ours(name: str, why: str) -> CorpusError:
    return CorpusError(
        f"{name} is not a character vocabulary, or is damaged: {why}.",
        "Prepare the corpus again, or copy the file again from where it came.",
    )

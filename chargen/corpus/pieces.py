"""The file of a vocabulary, a SentencePiece model of single characters: make it, and read it."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence

from chargen.errors import CorpusError

# SentencePiece uses these itself when it counts, so they are given as user-defined symbols.
_USER_DEFINED = "\n\t\x1f\u2585"
END = "</s>"
"""The control piece that ends a record."""


def train_model(
    kept: Sequence[str], counts: Mapping[str, int], with_bytes: bool, with_end: bool
) -> bytes:
    """Make a model of the characters ``kept``, which occur as ``counts`` says.

    With ``with_end`` it has the control piece END as well.

    Raises:
        CorpusError: they are nothing but line ends and tabs.
    """
    import sentencepiece

    ordinary = [c for c in kept if c not in _USER_DEFINED]
    if not ordinary:
        raise CorpusError(
            f"The {len(kept)} characters kept are only line ends and tabs.",
            "Raise `vocab_size`, or add text.",
        )
    rows: Iterator[str] = (f"{c}\t{counts[c]}" for c in ordinary)
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=rows,
        model_writer=model,
        input_format="tsv",
        model_type="char",
        vocab_size=len(kept) + 257 + with_end,
        hard_vocab_limit=False,
        # Without it the rarest characters of a long text are lost: the share covered is a 32-bit
        # float, which reaches 1 before the last of them.
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
        eos_id=1 if with_end else -1,
        pad_id=-1,
        minloglevel=4,
    )
    return model.getvalue()


def read_model(model: bytes, name: str) -> tuple[list[str], list[str]]:
    """Read the pieces and their kinds: ``character``, ``byte``, ``unknown`` or ``control``.

    Args:
        model: the content of a model file.
        name: what an error calls it.

    Raises:
        CorpusError: it isn't a model of characters.
    """
    import sentencepiece

    try:
        processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        pieces = [processor.id_to_piece(i) for i in range(processor.vocab_size())]
    except (RuntimeError, UnicodeDecodeError) as error:  # a message may not be UTF-8 either
        raise not_ours(name, "SentencePiece can't read it") from error
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
            raise not_ours(name, f"its piece {piece!r} is not one character")
    if kinds.count("unknown") != 1:
        raise not_ours(name, "it has no <unk>")
    return pieces, kinds


def byte_of(piece: str, name: str) -> int:
    """The value of a byte piece, which is written ``<0xE4>``."""
    if not re.fullmatch("<0x[0-9A-F]{2}>", piece):
        raise not_ours(name, f"its piece {piece!r} is not a byte")
    return int(piece[3:5], 16)


def not_ours(name: str, why: str) -> CorpusError:
    """The error for a file that isn't such a model."""
    return CorpusError(
        f"{name} is not a character vocabulary, or is damaged: {why}.",
        "Prepare the corpus again, or copy the file again from its source.",
    )

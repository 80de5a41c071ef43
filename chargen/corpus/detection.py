"""Detect the encoding of a file: by certain signs first, then by statistics on a sample.

Certain signs are a byte order mark, a whole file of valid UTF-8, and the escape sequences of
ISO 2022. Otherwise charset-normalizer guesses, and the guess is tried on the whole file: a codec
that can't decode all of it is replaced by a wider one of its family (GBK by GB18030, Big5 by its
supplements, and so on).
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from chargen.corpus.western import WESTERN, is_western
from chargen.errors import CorpusError
from chargen.options.corpus import is_text_encoding

SAMPLE_BYTES = 1 << 16
CHUNK_BYTES = 1 << 20

# The mark of UTF-32 comes before that of UTF-16, which it begins with.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (b"\x84\x31\x95\x33", "gb18030"),
)

# Codecs that share their common characters; they are tried in this order.
FAMILIES = (
    ("gb18030", "gbk", "gb2312"),
    ("big5", "cp950", "big5hkscs"),
    ("cp932", "shift_jis", "shift_jis_2004", "shift_jisx0213"),
    ("euc_jp", "euc_jis_2004", "euc_jisx0213"),
    ("euc_kr", "cp949"),
)

_SEVEN_BIT = ("iso2022_jp", "iso2022_jp_2", "iso2022_jp_2004", "iso2022_kr")

# Line ends, spaces and full stops, which a text in the wrong byte order doesn't have.
_SEPARATORS = re.compile("[\n\r \u3000\u3001\u3002\uff0c]")
_PLAUSIBLE = re.compile(
    "[\t\n\r -~\xa0-\u06ff\u2000-\u206f\u3000-\u30ff\u4e00-\u9fff\uac00-\ud7a3\uff00-\uffef]"
)
_HAN = re.compile("[\u2010-\u2027\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]")
_ENOUGH_BYTES = 200


@dataclass(frozen=True)
class Detected:
    """A detected encoding, and how certain it is.

    Attributes:
        codec: the name of a Python codec.
        sure: False where another encoding is possible.
        note: how it was determined, in a few words.
    """

    codec: str
    sure: bool
    note: str


@dataclass
class _Scan:
    """What one pass over the bytes of a file found."""

    bad_offset: int | None = None  # of the first byte that isn't UTF-8
    high_offset: int | None = None  # of the first byte above 127
    has_escapes: bool = False
    has_tildes: bool = False
    nuls: int = 0
    size: int = 0


VALID_UTF8 = Detected("utf-8", True, "valid UTF-8")


def codec_of_mark(head: bytes) -> str | None:
    """Return the codec of the byte order mark that a file begins with; None: it has none."""
    return next((codec for mark, codec in _MARKS if head.startswith(mark)), None)


def check_codec(name: str) -> str:
    """Return ``name`` if it is a Python codec for text; otherwise raise CorpusError."""
    if not is_text_encoding(name):
        raise CorpusError(
            f"There is no text encoding called {name!r:.60}.",
            'Use `encoding="auto"`, or a name such as utf-8, gb18030, big5, utf-16 or shift_jis.',
        )
    return name


def detect(path: Path, on_bytes: Callable[[int], None] | None = None) -> Detected | None:
    """Detect the encoding of a file; None if it doesn't look like text at all.

    Args:
        path: a plain file; it is read one or more times, in bounded memory.
        on_bytes: called with the number of bytes of each chunk in the first pass.
    """
    with path.open("rb") as file:
        head = file.read(SAMPLE_BYTES)
    if marked := codec_of_mark(head):
        if on_bytes:
            on_bytes(path.stat().st_size)
        return Detected(marked, True, "byte order mark")
    scan = _scan(path, on_bytes)
    wide = _utf16(head) if scan.nuls else None
    if scan.bad_offset is None:
        # Latin text in UTF-16 is also valid UTF-8, with NUL as every other character.
        if wide and scan.nuls > scan.size // 5:
            return wide
        return _seven_bit(path, scan) or VALID_UTF8
    return wide or _damaged_utf8(path, scan.bad_offset) or _by_statistics(path, scan)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


def _scan(path: Path, on_bytes: Callable[[int], None] | None) -> _Scan:
    scan = _Scan()
    utf8 = codecs.getincrementaldecoder("utf-8")()
    for chunk in _chunks(path):
        if scan.high_offset is None and not chunk.isascii():
            first = re.search(rb"[\x80-\xff]", chunk)
            scan.high_offset = scan.size + first.start() if first else None
        if scan.high_offset is None:
            scan.has_escapes |= b"\x1b$" in chunk
            scan.has_tildes |= b"~{" in chunk
        scan.nuls += chunk.count(0)
        scan.size += len(chunk)
        if scan.bad_offset is None:
            scan.bad_offset = _utf8_error(utf8, chunk, scan.size)
        if on_bytes:
            on_bytes(len(chunk))
    if scan.bad_offset is None:
        scan.bad_offset = _utf8_error(utf8, b"", scan.size, final=True)
    return scan


def _utf8_error(
    decoder: codecs.IncrementalDecoder, chunk: bytes, end: int, final: bool = False
) -> int | None:
    try:
        decoder.decode(chunk, final)
    except UnicodeDecodeError as error:
        # The error's object is what was left over from the chunk before, followed by this chunk.
        return end - len(error.object) + error.start
    return None


def _utf16(head: bytes) -> Detected | None:
    """Recognise UTF-16 without a mark: one byte order has more line ends, spaces, full stops."""
    readings = {}
    for codec in ("utf-16-le", "utf-16-be"):
        try:
            text, _ = codecs.getdecoder(codec)(head[: len(head) // 2 * 2], "strict")
        except UnicodeDecodeError as error:
            # A surrogate pair may be cut by the end of the sample.
            if error.start < len(head) - 4:
                continue
            text = head[: error.start].decode(codec)
        plausible = len(_PLAUSIBLE.findall(text)) > 0.97 * len(text)
        readings[codec] = len(_SEPARATORS.findall(text)) if plausible else 0
    best = max(readings, key=lambda codec: readings[codec], default=None)
    if best is None or readings[best] == 0 or len(set(readings.values())) < len(readings):
        return None
    return Detected(best, False, "it has zero bytes as in UTF-16, but no byte order mark")


def _seven_bit(path: Path, scan: _Scan) -> Detected | None:
    """Recognise ISO 2022 and HZ, which write Chinese, Japanese and Korean in ASCII bytes."""
    if scan.high_offset is not None:
        return None
    if scan.has_escapes:
        for codec in _SEVEN_BIT:
            if _decodes(path, codec):
                return Detected(codec, True, "escape sequences of ISO 2022")
    if scan.has_tildes and _decodes(path, "hz"):
        with path.open("rb") as file:
            text = file.read(SAMPLE_BYTES).decode("hz", "ignore")
        wide = [character for character in text if character > "\x7f"]
        if wide and len(_HAN.findall("".join(wide))) == len(wide):
            return Detected("hz", False, "it has escape sequences as in HZ")
    return None


def _damaged_utf8(path: Path, bad_offset: int) -> Detected | None:
    """Recognise damaged UTF-8: around the first bad byte, most sequences are valid."""
    start = max(0, bad_offset - SAMPLE_BYTES // 2)
    with path.open("rb") as file:
        file.seek(start)
        sample = file.read(SAMPLE_BYTES)
    if start:
        sample = sample.lstrip(bytes(range(0x80, 0xC0)))
    text, _ = codecs.utf_8_decode(sample, "replace", False)
    bad = text.count("\ufffd")
    good = len(text) - len(text.encode("ascii", "ignore")) - bad
    if good < 4 * max(bad, 1):
        return None
    return Detected("utf-8", False, "most of it is valid UTF-8")


def _by_statistics(path: Path, scan: _Scan) -> Detected | None:
    sample = _sample(path, scan.high_offset or 0)
    found = _matches(sample)
    if not found:
        return None
    if is_western(sample) and _decodes(path, WESTERN):
        return Detected(WESTERN, False, "a guess from its letters, those of Western Europe")
    families = [family_of(codec) for codec in found]
    codec = next((c for c in families[0] if _decodes(path, c)), families[0][0])
    high = sum(byte > 0x7F for byte in sample)
    if len(families[0]) == 1:
        return Detected(codec, False, "a guess from the frequencies of its bytes")
    if len(set(families)) > 1:
        others = sorted({family[0] for family in families[1:]} - {families[0][0]})
        return Detected(codec, False, f"a guess: its bytes fit {', '.join(others)} too")
    if high < _ENOUGH_BYTES:
        return Detected(codec, False, "a guess from few bytes")
    return Detected(codec, True, "the frequencies of its bytes")


def _sample(path: Path, high_offset: int) -> bytes:
    """Whole lines from the first one that isn't pure ASCII, so that no character is cut."""
    start = max(0, high_offset - 4096)
    with path.open("rb") as file:
        file.seek(start)
        sample = file.read(SAMPLE_BYTES)
    if start:
        # Everything before the first high byte is ASCII, so no character is cut there.
        before = sample[: high_offset - start]
        sample = sample[before.rfind(b"\n") + 1 :]
    end = sample.rfind(b"\n")
    return sample[: end + 1] if end > len(sample) // 2 else sample


def _matches(sample: bytes) -> list[str]:
    """Codecs by charset-normalizer, likeliest first; the sample may end inside a character."""
    from charset_normalizer import from_bytes

    for size in (len(sample), len(sample) // 4):
        for cut in range(4):
            found = [match.encoding for match in from_bytes(sample[: size - cut])]
            # Texts in UTF-16 contain NUL, and were recognised before.
            found = [c for c in found if not c.startswith(("utf_16", "utf_32", "utf_8", "utf_7"))]
            if found:
                return found
    return []


def family_of(codec: str) -> tuple[str, ...]:
    """The codecs that share the common characters of one, in the order to try them in."""
    for family in FAMILIES:
        if codec in family:
            return family
    return (codec,)


def _decodes(path: Path, codec: str) -> bool:
    decoder = codecs.getincrementaldecoder(codec)()
    try:
        for chunk in _chunks(path):
            decoder.decode(chunk)
        decoder.decode(b"", True)
    except UnicodeDecodeError:
        return False
    return True

"""Modern readings of Chinese characters: their tones and rhymes, from pypinyin's data."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from types import ModuleType

from chargen.errors import MissingExtraError

LEVEL, OBLIQUE = "平", "仄"

# The eighteen rhymes of 中华新韵 (1941), as finals of pinyin. They are finer than the fourteen of
# 2005 and the thirteen of northern opera: characters that rhyme here also rhyme there.
_RHYMES: Mapping[str, str] = {
    "麻": "a ia ua",
    "波": "o uo",
    "歌": "e",
    "皆": "ie ve ê",
    "支": "-i",
    "儿": "er",
    "齐": "i",
    "微": "ei uei",
    "开": "ai uai",
    "模": "u",
    "鱼": "v",
    "侯": "ou iou",
    "豪": "ao iao",
    "寒": "an ian uan van",
    "痕": "en in uen vn",
    "唐": "ang iang uang",
    "庚": "eng ing ueng",
    "东": "ong iong",
}
_RHYME_OF = {final: rhyme for rhyme, finals in _RHYMES.items() for final in finals.split()}
_LEAST_SHARE = 0.1
_SANDHI = {("一", "yí"): "yī", ("一", "yì"): "yī", ("不", "bú"): "bù"}
"""Tones that change beside another, as pypinyin's phrases write them, and the original ones."""
_BUZZING = frozenset(("zh", "ch", "sh", "r", "z", "c", "s"))


@dataclass(frozen=True)
class Reading:
    """A reading of a character.

    Attributes:
        rhyme: its rhyme group, or an empty string if the syllable has none.
        tone: 平 (first and second tone), 仄 (third and fourth), or empty for the neutral tone.
    """

    rhyme: str
    tone: str


UNKNOWN = Reading("", "")


def _pypinyin() -> ModuleType:
    try:
        import pypinyin
    except ImportError as error:
        raise MissingExtraError("pypinyin", "poetry", "Hearing rhymes and tones") from error
    return pypinyin


def _read_in(character: str, marked: str) -> Reading:
    """As ``_read``, by the tone that a character has alone, which is what verse goes by."""
    return _read(_SANDHI.get((character, marked), marked))


@cache
def _read(marked: str) -> Reading:
    """Return the reading of a syllable of pinyin with its tone mark."""
    from pypinyin.contrib.tone_convert import to_finals, to_initials, to_tone3

    syllable = to_tone3(marked)
    final = to_finals(syllable, strict=True)
    if final == "i" and to_initials(syllable, strict=True) in _BUZZING:
        final = "-i"
    tone = {"1": LEVEL, "2": LEVEL, "3": OBLIQUE, "4": OBLIQUE}.get(syllable[-1:], "")
    return Reading(_RHYME_OF.get(final, ""), tone)


def readings(characters: Iterable[str], *, rare: bool = False) -> dict[str, tuple[Reading, ...]]:
    """Return the readings of each character that are in use, or with ``rare`` all, possibly none.

    pypinyin lists all readings in dictionaries, many of which are obsolete. In use are the first
    reading in a character's list, and those in at least a tenth of pypinyin's phrases with it.

    Raises:
        MissingExtraError: pypinyin is not installed.
    """
    _pypinyin()
    return {c: _in_use(c, 0.0 if rare else _LEAST_SHARE) for c in characters}


@cache
def _in_use(character: str, least_share: float) -> tuple[Reading, ...]:
    listed = _pypinyin().constants.PINYIN_DICT.get(ord(character), "").split(",")
    counts = Counter(listed[:1])
    counts.update(_in_phrases().get(character, {}))
    if not least_share:
        counts.update(listed)
    first, *others = counts
    least = least_share * counts.total()
    used = [first, *(other for other in others if counts[other] >= least)]
    return tuple(dict.fromkeys(_read_in(character, each) for each in used if each))


@cache
def _in_phrases() -> Mapping[str, Counter[str]]:
    """How often each character is read in each way in pypinyin's phrases, in their order."""
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for phrase, syllables in _pypinyin().constants.PHRASES_DICT.items():
        for character, syllable in zip(phrase, syllables, strict=False):
            found[character][syllable[0]] += 1
    return found


def heard(verse: str) -> tuple[Reading, ...]:
    """Return the reading of each character of a verse, as pypinyin reads the verse as a whole.

    A character that pypinyin doesn't know has neither rhyme nor tone.

    Raises:
        MissingExtraError: pypinyin is not installed.
    """
    found = _pypinyin().pinyin(verse, errors=lambda unknown: [""] * len(unknown))
    return tuple(
        _read_in(character, syllable) if syllable else UNKNOWN
        for character, (syllable,) in zip(verse, found, strict=True)
    )


def phrases(characters: Iterable[str], longest: int) -> dict[str, tuple[Reading, ...]]:
    """Return what pypinyin knows to read: single characters, and phrases of them.

    Args:
        characters: that occur.
        longest: characters of a phrase, at most.

    Raises:
        MissingExtraError: pypinyin is not installed.
    """
    constants, known = _pypinyin().constants, frozenset(characters)
    found: dict[str, tuple[Reading, ...]] = {}
    for c in known:
        first, *_ = constants.PINYIN_DICT.get(ord(c), "").split(",")
        found[c] = (_read(first) if first else UNKNOWN,)
    for phrase, syllables in constants.PHRASES_DICT.items():
        if len(phrase) <= longest and known.issuperset(phrase) and len(syllables) == len(phrase):
            each = zip(phrase, syllables, strict=True)
            found[phrase] = tuple(
                _read_in(character, syllable) for character, (syllable, *_) in each
            )
    return found

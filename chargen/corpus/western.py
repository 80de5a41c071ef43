"""Western European bytes, of which charset-normalizer takes some for Central European ones.

Where it finds several codecs equally good it returns the first by name, and cp1250 comes before
cp1252: å is read as ĺ, ã as ă, £ as Ł. What tells them apart is whether the letters are those of
one language.
"""

from __future__ import annotations

import re

WESTERN = "cp1252"
_CENTRAL = "cp1250"
_ALPHABETS = {
    WESTERN: (
        "äöüß",  # German
        "åäöé",  # Swedish, Finnish
        "æøåéòôó",  # Danish, Norwegian
        "áðéíóúýþæö",  # Icelandic
        "õäöüšž",  # Estonian
        "àâæçéèêëîïôœùûüÿ",  # French
        "áéíñóúü",  # Spanish
        "áâãàçéêíóôõúü",  # Portuguese
        "àèéìíîòóùú",  # Italian
        "àçèéíïòóúü",  # Catalan
        "áéèêëíïîóôöúûü",  # Dutch, Afrikaans
    ),
    _CENTRAL: (
        "áčďéěíňóřšťúůýž",  # Czech
        "áäčďéíĺľňóôŕšťúýž",  # Slovak
        "ąćęłńóśźż",  # Polish
        "áéíóöőúüű",  # Hungarian
        "ăâîşţ",  # Romanian
        "čćđšž",  # Croatian, Slovene
    ),
}
"""The letters beyond ASCII of languages that are written in each codec."""
_OF_LOANS = "áàâäãåæçéèêëíîïñóôöøúûü"
_MOST_LOANS = 0.005  # share of letters
_LEAST = 0.95  # share of the characters beyond ASCII that one language explains

_ABOVE_ASCII = re.compile(r"[^\x00-\x7f]")
_LETTER = re.compile(r"[^\W\d_]")
_MARK = re.compile(
    r"[’–—…]|[«»“”„‚‘‹›\xa0](?![a-z])|(?<![a-z])[«“„‚‘‹›]"
    r"|(?<![a-z])[¿¡•·°§©®™€£¥ªº½¼¾×†‡](?![^\x00-\x7f\w])|[°ªº™®©†‡](?![\w\x80-\xff])"
)
"""A mark where it may stand: within a word or beside another one it is a letter of other codecs."""


def is_western(sample: bytes) -> bool:
    """Whether the bytes above 127 are letters of one language of Western Europe, and marks.

    Those that make as good a language of Central Europe have the same meaning in both.
    """
    western = _explained(sample, WESTERN)
    return western >= _LEAST and western >= _explained(sample, _CENTRAL)


def _explained(sample: bytes, codec: str) -> float:
    """The share of the characters beyond ASCII that one language explains, the best of several."""
    text = sample.decode(codec, "replace").lower()
    found = _ABOVE_ASCII.findall(text)
    letters = len(_LETTER.findall(text))
    if not found or letters < 3 * len(found):  # as in Chinese, whose bytes are all above 127
        return 0.0
    marks = len(_MARK.findall(text))
    alphabets = _ALPHABETS[codec]
    if codec == WESTERN and len(found) - marks <= _MOST_LOANS * letters:
        alphabets = (*alphabets, _OF_LOANS)
    of_one = max(sum(map(frozenset(alphabet).__contains__, found)) for alphabet in alphabets)
    return (of_one + marks) / len(found)

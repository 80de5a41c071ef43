"""The text of an EPUB: its chapters in reading order, a paragraph a line."""

from __future__ import annotations

import codecs
import posixpath
import re
import zipfile
from collections.abc import Callable, Iterator
from html import entities
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from chargen.corpus.archives import read_part
from chargen.corpus.detection import family_of
from chargen.errors import CorpusError

_BLOCKS = frozenset(
    tag
    for tags in (
        "address article aside blockquote dd div dl dt figcaption figure footer h1 h2 h3 h4 h5 h6",
        "header hr li main nav ol p pre section table td th tr ul",
    )
    for tag in tags.split()
)
_SILENT = frozenset(("head", "script", "style", "svg", "rt", "rp"))
"""Elements whose text isn't part of the book; ``rt`` is the reading above Chinese characters."""
_MOST_BYTES = 1 << 24  # of a page, unpacked: its elements may take 40 times as much
_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
_ENCODING = re.compile(rb"""^\s*<\?xml[^>]*\sencoding\s*=\s*["']([A-Za-z0-9._:-]+)["']""")
_ENTITY = re.compile(r"&(?!(?:amp|lt|gt|quot|apos);)([A-Za-z][A-Za-z0-9]*);")
_SPACES = re.compile(r"[ \t\r\n]+")
_SPACES_WITHIN_LINES = re.compile(r"[ \t\r]+")


def chapters(path: Path, replaced: Callable[[int], None] | None) -> Iterator[str]:
    """Yield the text of each chapter; ``replaced`` as of ``documents.read_document``.

    Raises:
        ImportError: lxml is not installed.
        CorpusError: a page is too large, or has bytes that can't be decoded and aren't replaced.
        KeyError, ValueError, zipfile.BadZipFile: the book is damaged.
    """
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, recover=True)
    with zipfile.ZipFile(path) as book:
        container = etree.fromstring(_read(book, "META-INF/container.xml"), parser)
        [package, *_] = container.xpath("//*[local-name()='rootfile']/@full-path")
        content = etree.fromstring(_read(book, package), parser)
        folder = posixpath.dirname(package)
        places = {
            item.get("id"): posixpath.normpath(posixpath.join(folder, unquote(item.get("href"))))
            for item in content.xpath("//*[local-name()='manifest']/*[local-name()='item']")
        }
        spine = content.xpath("//*[local-name()='spine']/*[local-name()='itemref']/@idref")
        for place in dict.fromkeys(places[number] for number in spine):
            text = _decoded(_read(book, place), f"{place} in {path}", replaced)
            page = etree.fromstring(_as_xml(text), parser)
            if page is not None:
                yield text_of(page)


def _read(book: zipfile.ZipFile, place: str) -> bytes:
    return read_part(book, place, _MOST_BYTES)


def _as_xml(text: str) -> bytes:
    """A page in UTF-8, without the entities that only HTML knows."""
    text = _DECLARATION.sub("", text)
    return _ENTITY.sub(lambda match: entities.html5.get(f"{match[1]};", ""), text).encode()


def _decoded(data: bytes, name: str, replaced: Callable[[int], None] | None) -> str:
    first: UnicodeDecodeError | None = None
    for codec in _codecs_of(data):
        try:
            return data.decode(codec)
        except UnicodeDecodeError as error:
            first = first or error
    assert first is not None  # there is always a codec
    if replaced is not None:
        text = data.decode(first.encoding, "replace")
        replaced(text.count("\ufffd"))
        return text
    bad = data[first.start : first.end].hex(" ")
    raise CorpusError(
        f"{name} doesn't decode as {first.encoding}: {bad} at byte offset {first.start}.",
        'Read such bytes as U+FFFD with `errors="replace"`, or convert the book to plain text.',
    )


def _codecs_of(data: bytes) -> tuple[str, ...]:
    """The codecs that a page says it has, or may mean; UTF-8 where it says nothing that can be."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return ("utf-16",)
    try:
        found = _ENCODING.match(data)
        codec = codecs.lookup(found[1].decode()).name if found else "utf-8"
        if codec != "utf-8" and b"<?xml".decode(codec) == "<?xml":  # else it can't be what it says
            # Many pages are UTF-8 whatever they declare, and hardly any other text is valid UTF-8.
            return family_of(codec) if data.isascii() else ("utf-8", *family_of(codec))
    except (LookupError, UnicodeError, ValueError):
        pass
    return ("utf-8-sig",)


def text_of(element: Any) -> str:
    """The text of an element of HTML: white space collapsed, blocks on lines of their own."""
    lines = "".join(_pieces(element)).split("\n")
    return "\n".join(line.strip(" ") for line in lines if line.strip())


def _pieces(element: Any, spaces: re.Pattern[str] = _SPACES) -> Iterator[str]:
    tag = element.tag.rpartition("}")[2].lower() if isinstance(element.tag, str) else ""
    if tag and tag not in _SILENT:  # a comment has no tag
        yield "\n" if tag in _BLOCKS or tag == "br" else ""
        inner = _SPACES_WITHIN_LINES if tag == "pre" else spaces
        yield inner.sub(" ", element.text or "")
        for child in element:
            yield from _pieces(child, inner)
        yield "\n" if tag in _BLOCKS else ""
    yield spaces.sub(" ", element.tail or "")

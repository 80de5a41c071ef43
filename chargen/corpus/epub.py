"""The text of an EPUB: its chapters in reading order, a paragraph a line."""

from __future__ import annotations

import codecs
import posixpath
import re
import zipfile
from collections.abc import Iterator
from html import entities
from pathlib import Path
from typing import Any
from urllib.parse import unquote

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
_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
_ENTITY = re.compile(r"&(?!(?:amp|lt|gt|quot|apos);)([A-Za-z][A-Za-z0-9]*);")
_SPACES = re.compile(r"[ \t\r\n]+")


def chapters(path: Path) -> Iterator[str]:
    """Yield the text of each chapter.

    Raises:
        ImportError: lxml is not installed.
        KeyError, ValueError, zipfile.BadZipFile: the book is damaged.
    """
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, recover=True)
    with zipfile.ZipFile(path) as book:
        container = etree.fromstring(book.read("META-INF/container.xml"), parser)
        [package, *_] = container.xpath("//*[local-name()='rootfile']/@full-path")
        content = etree.fromstring(book.read(package), parser)
        folder = posixpath.dirname(package)
        places = {
            item.get("id"): posixpath.normpath(posixpath.join(folder, unquote(item.get("href"))))
            for item in content.xpath("//*[local-name()='manifest']/*[local-name()='item']")
        }
        for number in content.xpath("//*[local-name()='spine']/*[local-name()='itemref']/@idref"):
            page = etree.fromstring(_as_xml(book.read(places[number])), parser)
            if page is not None:
                yield text_of(page)


def _as_xml(data: bytes) -> bytes:
    """A page in UTF-8, without the entities that only HTML knows."""
    codec = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    text = _DECLARATION.sub("", data.decode(codec, "replace"))
    return _ENTITY.sub(lambda match: entities.html5.get(f"{match[1]};", ""), text).encode()


def text_of(element: Any) -> str:
    """The text of an element of HTML: white space collapsed, blocks on lines of their own."""
    lines = "".join(_pieces(element)).split("\n")
    return "\n".join(line.strip(" ") for line in lines if line.strip())


def _pieces(element: Any) -> Iterator[str]:
    tag = element.tag.rpartition("}")[2].lower() if isinstance(element.tag, str) else ""
    if tag and tag not in _SILENT:  # a comment has no tag
        yield "\n" if tag in _BLOCKS or tag == "br" else ""
        yield _SPACES.sub(" ", element.text or "")
        for child in element:
            yield from _pieces(child)
        yield "\n" if tag in _BLOCKS else ""
    yield _SPACES.sub(" ", element.tail or "")

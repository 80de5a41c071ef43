"""The text of a DOCX: a paragraph a line, a row of a table a line with tabs.

It is read with all changes accepted: content controls and tracked insertions are text, tracked
deletions are not (but the ends of paragraphs stay), a merged cell is there once.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chargen.corpus.archives import open_part

_DOCUMENT = "word/document.xml"
_MOST_BYTES = 1 << 26  # of the document, unpacked, without its pictures
_NAMESPACES = frozenset(
    (
        "http://schemas.openxmlformats.org/wordprocessingml/2006/main",
        "http://purl.oclc.org/ooxml/wordprocessingml/main",
    )
)
_SIGNS = {"tab": "\t", "ptab": "\t", "cr": "\n", "noBreakHyphen": "-"}
_LEFT_OUT = frozenset(
    (
        *("del", "moveFrom", "rt"),  # rt: the reading above Chinese characters
        *("pPr", "rPr", "sdtPr", "sdtEndPr", "tblPr", "tblGrid", "trPr", "tcPr", "sectPr"),
    )
)
_SECOND_COPY = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"


def blocks(path: Path) -> Iterator[str]:
    """Yield each paragraph and each row of a table; only one of them is in memory.

    Raises:
        ImportError: lxml is not installed.
        CorpusError: the document is too large.
        KeyError, lxml.etree.XMLSyntaxError, zipfile.BadZipFile: it is damaged.
    """
    from lxml import etree

    with zipfile.ZipFile(path) as archive, open_part(archive, _DOCUMENT, _MOST_BYTES) as part:
        within = 0
        for event, element in etree.iterparse(
            part, ("start", "end"), tag=("{*}p", "{*}tbl"), resolve_entities=False, no_network=True
        ):
            within += 1 if event == "start" else -1
            if within == 0:
                if not any(map(_is_left_out, element.iterancestors())):
                    yield from _block(element)
                element.clear(keep_tail=True)
                while element.getprevious() is not None:
                    del element.getparent()[0]


def _name(element: Any) -> str:
    """The name of an element of WordprocessingML; empty for others."""
    if not isinstance(element.tag, str):  # a comment
        return ""
    namespace, _, name = element.tag[1:].partition("}")
    return name if namespace in _NAMESPACES else ""


def _is_left_out(element: Any) -> bool:
    return _name(element) in _LEFT_OUT or element.tag == _SECOND_COPY


def _block(element: Any) -> Iterator[str]:
    """The text of a paragraph, of the rows of a table, or of such below another element."""
    name = _name(element)
    if name == "p":
        boxes: list[Any] = []
        yield "".join(_runs(element, boxes))
        for box in boxes:
            yield from _block(box)
    elif name == "tbl":
        for row in _below(element, "tr"):
            cells = [cell for cell in _below(row, "tc") if not _goes_on(cell)]
            yield "\t".join("\n".join(_block(cell)) for cell in cells)
    elif not _is_left_out(element):
        for child in element:
            yield from _block(child)


def _below(element: Any, wanted: str) -> Iterator[Any]:
    """The rows of a table, or the cells of a row; some are in content controls."""
    for child in element:
        name = _name(child)
        if name == wanted:
            yield child
        elif name not in _LEFT_OUT:
            yield from _below(child, wanted)


def _goes_on(cell: Any) -> bool:
    """Whether a cell continues the one above it."""
    for properties in cell:
        for merge in properties if _name(properties) == "tcPr" else ():
            if _name(merge) == "vMerge":
                return all(value != "restart" for value in merge.attrib.values())
    return False


def _runs(element: Any, boxes: list[Any]) -> Iterator[str]:
    """The text below a paragraph; text boxes in it are added to ``boxes``."""
    for child in element:
        name = _name(child)
        if name == "t":
            yield child.text or ""
        elif name in _SIGNS:
            yield _SIGNS[name]
        elif name == "br":
            yield "\n" if set(child.attrib.values()) <= {"textWrapping"} else ""
        elif name == "txbxContent":
            boxes.append(child)
        elif name not in _LEFT_OUT and child.tag != _SECOND_COPY:
            yield from _runs(child, boxes)

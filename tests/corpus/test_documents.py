"""Documents are recognised by their first bytes, and read or refused."""

from __future__ import annotations

import gzip
import subprocess
import sys
import tracemalloc
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from chargen.corpus.documents import READABLE, is_html, kind_of
from chargen.corpus.preparing import prepare
from chargen.corpus.reading import open_source, read_sources
from chargen.corpus.sources import find_sources
from chargen.errors import CorpusError
from chargen.options import CorpusConfig
from tests.corpus.texts import CHINESE, ENGLISH, text_of, write
from tests.support import the_error

LINES = [f"Line {n} of the book: the fog went over the water." for n in range(40)]


def pdf(path: Path, lines: list[str]) -> Path:
    """A PDF written by hand, two pages of lines in Helvetica."""
    half = len(lines) // 2
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Kids[3 0 R 4 0 R]/Count 2>>"]
    for number in (6, 7):
        objects.append(
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents %d 0 R"
            b"/Resources<</Font<</F1 5 0 R>>>>>>" % number
        )
    objects.append(b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>")
    for part in (lines[:half], lines[half:]):
        shown = "".join(f"({line}) Tj T* " for line in part)
        stream = f"BT /F1 10 Tf 14 TL 50 750 Td {shown}ET".encode()
        objects.append(b"<</Length %d>>stream\n%s\nendstream" % (len(stream), stream))
    data, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    start = len(data)
    data += b"xref\n0 %d\n0000000000 65535 f \n%s" % (size, table)
    data += b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (size, start)
    path.write_bytes(data)
    return path


W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
MC = "http://schemas.openxmlformats.org/markup-compatibility/2006"


def docx(path: Path, lines: list[str]) -> Path:
    return docx_of(path, "".join(f"<w:p><w:r><w:t>{line}</w:t></w:r></w:p>" for line in lines))


def docx_of(path: Path, body: str) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr(
            "word/document.xml",
            '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
            f'<w:document xmlns:w="{W}" xmlns:mc="{MC}">'
            f"<w:body>{body}<w:sectPr/></w:body></w:document>",
        )
    return path


def epub(path: Path, pages: Sequence[str | bytes]) -> Path:
    items = "".join(f'<item id="p{n}" href="text/p%20{n}.xhtml"/>' for n in range(len(pages)))
    spine = "".join(f'<itemref idref="p{n}"/>' for n in range(len(pages)))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as book:
        book.writestr("mimetype", "application/epub+zip")
        book.writestr(
            "META-INF/container.xml",
            '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
            '<rootfile full-path="OPS/book.opf"/></rootfiles></container>',
        )
        book.writestr(
            "OPS/book.opf",
            f'<package xmlns="http://www.idpf.org/2007/opf"><manifest>{items}</manifest>'
            f"<spine>{spine}</spine></package>",
        )
        for n, page in enumerate(pages):
            book.writestr(f"OPS/text/p {n}.xhtml", page)
    return path


def prepared_text(path: Path, folder: Path) -> str:
    return text_of(prepare([path], folder / "corpus", CorpusConfig(unwrap="no")))


def test_a_pdf_is_read_page_by_page(tmp_path: Path) -> None:
    pytest.importorskip("pypdf")
    assert prepared_text(pdf(tmp_path / "book.pdf", LINES), tmp_path).split("\n") == [*LINES, ""]


def test_a_word_document_is_read_paragraph_by_paragraph(tmp_path: Path) -> None:
    lines = CHINESE.splitlines()
    assert prepared_text(docx(tmp_path / "book.docx", lines), tmp_path) == "\n".join(lines) + "\n"


def run(text: str) -> str:
    return f"<w:r><w:t>{text}</w:t></w:r>"


def test_content_controls_and_insertions_are_text_and_deletions_are_not(tmp_path: Path) -> None:
    pytest.importorskip("lxml")
    body = (
        "<w:p><w:pPr><w:tabs><w:tab/></w:tabs></w:pPr>"
        f"{run('a')}<w:ins>{run('b')}</w:ins><w:del><w:r><w:delText>no</w:delText></w:r></w:del>"
        f"<w:moveFrom>{run('no')}</w:moveFrom><w:moveTo>{run('c')}</w:moveTo>"
        f"<w:sdt><w:sdtPr/><w:sdtContent>{run('d')}</w:sdtContent></w:sdt>"
        f"<w:hyperlink>{run('e')}</w:hyperlink><w:r><w:tab/><w:t>f</w:t><w:br/><w:t>g</w:t></w:r></w:p>"
        f"<w:sdt><w:sdtContent><w:p>{run('h')}</w:p><w:p>{run('i')}</w:p></w:sdtContent></w:sdt>"
        "<w:p><w:r><w:ruby><w:rt><w:r><w:t>hua</w:t></w:r></w:rt><w:rubyBase><w:r><w:t>花</w:t></w:r>"
        "</w:rubyBase></w:ruby></w:r><mc:AlternateContent><mc:Choice><w:txbxContent>"
        f"<w:p>{run('box')}</w:p></w:txbxContent></mc:Choice><mc:Fallback><w:txbxContent>"
        f"<w:p>{run('box')}</w:p></w:txbxContent></mc:Fallback></mc:AlternateContent>{run('j')}</w:p>"
    )
    body += (
        f"<mc:AlternateContent><mc:Choice><w:p>{run('k')}</w:p></mc:Choice>"
        f"<mc:Fallback><w:p>{run('k')}</w:p></mc:Fallback></mc:AlternateContent>"
        f"<w:moveFrom><w:p>{run('no')}</w:p></w:moveFrom>"
    )
    found = prepared_text(docx_of(tmp_path / "book.docx", body), tmp_path)
    assert found == "abcde\tf\ng\nh\ni\n花j\nbox\nk\n"


def test_a_merged_cell_of_a_table_is_there_once(tmp_path: Path) -> None:
    pytest.importorskip("lxml")

    def cell(text: str, properties: str = "") -> str:
        return f"<w:tc><w:tcPr>{properties}</w:tcPr><w:p>{run(text)}</w:p></w:tc>"

    wide, down = '<w:gridSpan w:val="2"/>', "<w:vMerge/>"
    rows = (
        cell("wide", wide) + cell("x"),
        cell("tall", '<w:vMerge w:val="restart"/>') + cell("y") + cell("z"),
        cell("", down) + f"<w:sdt><w:sdtContent>{cell('u')}</w:sdtContent></w:sdt>" + cell("v"),
        f"<w:tc><w:tbl><w:tr>{cell('in')}</w:tr></w:tbl><w:p/></w:tc>" + cell("w", wide),
    )
    table = "".join(f"<w:tr>{row}</w:tr>" for row in rows)
    found = prepared_text(docx_of(tmp_path / "book.docx", f"<w:tbl>{table}</w:tbl>"), tmp_path)
    assert found == "wide\tx\ntall\ty\tz\nu\tv\nin\n\tw\n"


@pytest.mark.parametrize("codec", ["gb2312", "big5", "iso-8859-1", "utf-16", "utf-8-sig"])
def test_pages_of_an_epub_are_decoded_as_they_say(tmp_path: Path, codec: str) -> None:
    pytest.importorskip("lxml")
    text = "café" if codec.startswith("iso") else "春眠不覺曉" if codec == "big5" else "春眠镕"
    said = codec.removesuffix("-sig")
    page = f"<?xml version='1.0' encoding='{said}'?><html><body><p>{text}</p></body></html>"
    data = page.encode("gbk" if codec == "gb2312" else codec)
    assert prepared_text(epub(tmp_path / "book.epub", [data]), tmp_path) == f"{text}\n"


@pytest.mark.parametrize("said", ["iso-8859-1", "us-ascii", "gb2312"])
def test_a_page_in_utf_8_is_read_as_such_whatever_it_says(tmp_path: Path, said: str) -> None:
    pytest.importorskip("lxml")
    page = f"<?xml version='1.0' encoding='{said}'?><html><body><p>café “春”</p></body></html>"
    assert prepared_text(epub(tmp_path / "book.epub", [page]), tmp_path) == "café “春”\n"


def test_a_page_of_an_epub_that_cant_be_decoded_is_an_error(tmp_path: Path) -> None:
    pytest.importorskip("lxml")
    page = "<html><body><p>春眠不觉晓</p></body></html>".encode("gbk")
    with pytest.raises(
        CorpusError, match=r"OPS/text/p 0\.xhtml.*doesn't decode as utf-8: b4 at"
    ) as e:
        prepared_text(epub(tmp_path / "book.epub", [page]), tmp_path)
    assert 'errors="replace"' in e.value.remedy
    corpus = prepare(
        [tmp_path / "book.epub"], tmp_path / "replaced", CorpusConfig(errors="replace", val_frac=0)
    )
    assert corpus.manifest.replacements > 0


def test_lines_of_preformatted_text_stay_lines(tmp_path: Path) -> None:
    pytest.importorskip("lxml")
    page = "<html><body><p>a\nb</p><pre>春眠\n  <b>不觉晓\n</b>处处</pre><p>c\nd</p></body></html>"
    found = prepared_text(epub(tmp_path / "book.epub", [page]), tmp_path)
    assert found == "a b\n春眠\n不觉晓\n处处\nc d\n"


def test_what_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("lxml")
    page = epub(tmp_path / "book.epub", ["<html>" + "<b/>" * (1 << 22) + "a</html>"])
    text = docx_of(tmp_path / "book.docx", " " * (1 << 26))
    for path in (page, text):
        with pytest.raises(CorpusError, match=r"unpacks to .* bytes, more than") as error:
            prepare([path], tmp_path / "corpus", CorpusConfig())
        assert "plain text" in error.value.remedy


def test_an_epub_is_read_in_the_order_of_its_spine(tmp_path: Path) -> None:
    pytest.importorskip("lxml")
    head = (
        '<?xml version="1.0" encoding="utf-8"?><!DOCTYPE html>'
        '<html xmlns="http://www.w3.org/1999/xhtml"><head><title/><style>p {}</style></head><body>'
    )
    pages = [
        f"{head}<h1>第一章</h1><p>春眠不觉晓，<br/>处处闻 啼鸟&mdash;&amp;。</p></body></html>",
        f"{head}<div><p>  夜来\n  <b>风</b>雨声<!-- no --></p><p><ruby>花<rt>hua</rt></ruby>落</p>"
        "</div></body></html>",
    ]
    found = prepared_text(epub(tmp_path / "book.epub", pages), tmp_path)
    assert found == "第一章\n春眠不觉晓，\n处处闻 啼鸟—&。\n夜来 风雨声\n花落\n"


def test_a_document_is_recorded_as_such_whatever_encoding_is_named(tmp_path: Path) -> None:
    path = docx(tmp_path / "book.docx", ENGLISH.splitlines())
    config = CorpusConfig(encoding="gb18030")
    (source,) = prepare([path], tmp_path / "corpus", config).manifest.sources
    assert (source.encoding, source.byte_count) == ("docx", path.stat().st_size)
    assert "Word" in source.encoding_note
    again = prepare([path], tmp_path / "corpus", config)  # the same corpus, not an error
    assert again.manifest.sources == (source,)


def test_only_the_paragraph_at_hand_is_in_memory(tmp_path: Path) -> None:
    pytest.importorskip("lxml")
    path = docx(tmp_path / "book.docx", ["x" * 1000] * 4000)
    [file] = find_sources([path])
    config = CorpusConfig(unwrap="no")
    tracemalloc.start()
    try:
        source = open_source(file, config)
        assert sum(map(len, read_sources([source], config))) == 1001 * 4000
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()
    assert source.byte_count == path.stat().st_size


def test_documents_in_a_folder_are_taken(tmp_path: Path) -> None:
    write(tmp_path / "a.txt", ENGLISH)
    pdf(tmp_path / "b.pdf", LINES)
    assert [file.name for file in find_sources([tmp_path])] == ["a.txt", "b.pdf"]


def archive(path: Path, part: str) -> Path:
    with zipfile.ZipFile(path, "w") as made:
        made.writestr(part, "x" * 99)
    return path


def refused(tmp_path: Path) -> dict[str, Path]:
    """Files that are no texts, by the command that makes texts of them."""
    (tmp_path / "a.gz").write_bytes(gzip.compress(ENGLISH.encode()))
    (tmp_path / "a.doc").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 99)
    (tmp_path / "a b.rtf").write_bytes(b"{\\rtf1 text}")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 99)
    (tmp_path / "a.mobi").write_bytes(b"\0" * 60 + b"BOOKMOBI")
    return {
        "unzip a.zip": archive(tmp_path / "a.zip", "novel.txt"),
        "pandoc -t plain a.odt -o a.txt": archive(tmp_path / "a.odt", "content.xml"),
        "LibreOffice": archive(tmp_path / "a.xlsx", "xl/workbook.xml"),
        "gunzip -k a.gz": tmp_path / "a.gz",
        "Save it as plain text": tmp_path / "a.doc",
        "pandoc -t plain 'a b.rtf' -o 'a b.txt'": tmp_path / "a b.rtf",
        "ebook-convert a.mobi a.txt": tmp_path / "a.mobi",
        "Name a text file.": tmp_path / "a.png",
    }


@pytest.mark.parametrize("encoding", ["auto", "latin-1"])
def test_what_is_no_text_is_refused_with_the_command_that_helps(
    encoding: str, tmp_path: Path
) -> None:
    for command, path in refused(tmp_path).items():
        with pytest.raises(CorpusError, match="not a text") as error:
            prepare([path], tmp_path / "corpus", CorpusConfig(encoding=encoding))
        assert command in error.value.remedy
    assert not (tmp_path / "corpus").exists()


@pytest.mark.parametrize("kind", READABLE)
def test_a_damaged_document_is_a_clear_error(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("pypdf")
    make = {"pdf": pdf, "docx": docx, "epub": lambda path, _: epub(path, ["<html/>"])}[kind]
    whole = make(tmp_path / f"whole.{kind}", LINES)
    path = tmp_path / f"book.{kind}"
    for cut in (30, 200):
        path.write_bytes(whole.read_bytes()[:cut])
        with pytest.raises(CorpusError, match=r"can't be read|not a text|no text"):
            prepare([path], tmp_path / "corpus", CorpusConfig())


def test_a_document_without_text_says_so(tmp_path: Path) -> None:
    pytest.importorskip("lxml")
    path = epub(tmp_path / "book.epub", ["<html><body><img/></body></html>"])
    with pytest.raises(CorpusError, match="has no text in it"):
        prepare([path], tmp_path / "corpus", CorpusConfig())


def test_without_the_extra_both_ways_out_are_told(here: Path) -> None:
    pdf(here / "book.pdf", LINES)
    code = (
        "import sys; sys.modules['pypdf'] = None; sys.argv[1:] = ['prepare', 'book.pdf'];"
        "from chargen.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert "needs the package pypdf" in done.stderr
    assert "pip install '.[documents]'" in done.stderr
    assert "`pdftotext book.pdf book.txt`" in done.stderr


def test_a_page_in_html_is_warned_of(tmp_path: Path) -> None:
    for n, begin in enumerate(("<!DOCTYPE html>\n<html>", "\ufeff\n<HTML lang='zh'>")):
        path = write(tmp_path / f"{n}.txt", f"{begin}<p>{CHINESE}</p></html>\n")
        assert is_html(path)
        manifest = prepare([path], tmp_path / str(n), CorpusConfig()).manifest
        (warning,) = manifest.warnings
        assert f"pandoc -t plain {n}.txt -o {n}-text.txt" in warning


def test_texts_are_not_taken_for_documents(tmp_path: Path) -> None:
    for n, text in enumerate(("PK is a team", "BZh", "%PD", "<htmlish", "", "GIF8", CHINESE)):
        path = write(tmp_path / f"{n}.txt", text)
        assert kind_of(path) is None
        assert not is_html(path)


def test_the_command_line_doesnt_advise_an_encoding(here: Path) -> None:
    archive(here / "a.zip", "novel.txt")
    error = the_error("train", "a.zip", "--preset", "tiny")
    assert "a.zip is a ZIP archive" in error
    assert "--encoding" not in error

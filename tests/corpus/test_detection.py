from __future__ import annotations

import codecs
import gzip
import random
from pathlib import Path

import pytest

from chargen.corpus.detection import check_codec, detect
from chargen.corpus.western import is_western
from chargen.errors import CorpusError
from tests.corpus.texts import CHINESE, ENGLISH, JAPANESE, KOREAN, TRADITIONAL


def write(folder: Path, data: bytes) -> Path:
    path = folder / "text.txt"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("text", "codec"),
    [
        (CHINESE, "utf-8"),
        (CHINESE, "utf-8-sig"),
        (CHINESE, "utf-16"),
        (CHINESE, "gb18030"),
        (CHINESE, "gbk"),
        (CHINESE + "\U00020000𝄞", "gb18030"),
        (TRADITIONAL, "big5"),
        (TRADITIONAL + "碁銹裏墻恒粧嫺", "cp950"),
        (TRADITIONAL + "\U0002010c", "big5hkscs"),
        (JAPANESE, "cp932"),
        (JAPANESE, "euc_jp"),
        (JAPANESE, "iso2022_jp"),
        (KOREAN, "euc_kr"),
        (ENGLISH, "ascii"),
        (ENGLISH * 2000 + CHINESE, "gb18030"),
        (CHINESE.replace("\n", ""), "gb18030"),
    ],
)
def test_an_encoding_is_recognised_and_reads_as_its_utf8_twin(
    tmp_path: Path, text: str, codec: str
) -> None:
    found = detect(write(tmp_path, text.encode(codec)))
    assert found is not None
    data = text.encode(codec)
    assert data.decode(found.codec).removeprefix("\ufeff") == text


@pytest.mark.parametrize(
    ("text", "codec"),
    [
        (ENGLISH + "It cost £5.\n" + ENGLISH, "latin-1"),
        ((ENGLISH * 250).replace(", ", "—"), "cp1252"),
        (ENGLISH * 20 + "“The café’s naïve,” he said.\n", "cp1252"),
        ("Den gamle mannen gick långsamt ner till sjön, där två små båtar låg på ängen.\n" * 8, ""),
        ("O velho desceu à margem de manhã, e percebeu que não havia ninguém na estação.\n", ""),
        (
            "Den gamle mand gik langsomt ned til åen; små både lå på vandet, og æblerne er røde.\n",
            "",
        ),
        ("Le vieil homme descendit où l’œuvre était amarrée. « Ça va ? », dit-elle.\n", ""),
        ("Perché non è venuto? La città è già lontana, però più bella di così.\n", ""),
        ("¿Dónde está el niño? Él miró al cielo y comprendió que llovería mañana.\n", ""),
        ("Starý muž šel pomalu dolů k řece. Příliš žluťoučký kůň úpěl ďábelské ódy.\n", "cp1250"),
        (
            "Stary człowiek poszedł nad rzekę i zrozumiał, że będzie padać. Zażółć gęślą.\n",
            "cp1250",
        ),
        ("Az öreg ember lement a folyóhoz, és tudta, hogy eső lesz. Árvíztűrő tükör.\n", "cp1250"),
        ("Bătrânul a coborât încet spre râu şi înţelese că va ploua în oraş mâine.\n", "cp1250"),
        ("Stari čovjek je sišao do rijeke i shvatio da će padati. Đak uči žestoko.\n", "cp1250"),
    ],
    ids=lambda value: value[:12],
)
def test_letters_of_western_and_of_central_europe_are_told_apart(
    tmp_path: Path, text: str, codec: str
) -> None:
    data = text.encode(codec or "cp1252")
    found = detect(write(tmp_path, data))
    assert found is not None
    assert data.decode(found.codec) == text
    assert not found.sure


def test_few_bytes_of_chinese_are_not_western() -> None:
    assert not is_western("中".encode("gbk"))
    assert not is_western(("Go，" * 9 + "好").encode("gbk"))


@pytest.mark.parametrize("text", [CHINESE, ENGLISH, "你好，世界。\n再见。"])
@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
def test_utf16_without_a_mark_is_recognised_but_not_sure(
    tmp_path: Path, text: str, codec: str
) -> None:
    found = detect(write(tmp_path, text.encode(codec)))
    assert found is not None
    assert (found.codec, found.sure) == (codec, False)


def test_long_gbk_is_sure_and_a_few_bytes_are_not(tmp_path: Path) -> None:
    long = detect(write(tmp_path, (CHINESE * 4).encode("gbk")))
    short = detect(write(tmp_path, CHINESE[:6].encode("gbk")))
    assert long is not None
    assert long.sure
    assert short is not None
    assert not short.sure


def test_utf8_cut_between_reads_is_still_utf8(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chargen.corpus.detection.CHUNK_BYTES", 7)
    found = detect(write(tmp_path, CHINESE.encode()))
    assert found is not None
    assert (found.codec, found.sure) == ("utf-8", True)


def test_damaged_utf8_is_utf8_but_not_sure(tmp_path: Path) -> None:
    data = bytearray(CHINESE.encode())
    data[1000] = 0xFF
    for damaged in (bytes(data), CHINESE.encode()[:-2]):
        found = detect(write(tmp_path, damaged))
        assert found is not None
        assert (found.codec, found.sure) == ("utf-8", False)


def test_nuls_in_utf8_do_not_make_it_utf16(tmp_path: Path) -> None:
    found = detect(write(tmp_path, CHINESE.replace("，", "\0").encode()))
    assert found is not None
    assert (found.codec, found.sure) == ("utf-8", True)


def test_hz_is_recognised_and_tildes_in_latex_are_not_hz(tmp_path: Path) -> None:
    hz = detect(write(tmp_path, CHINESE.encode("hz")))
    latex = detect(write(tmp_path, b"See Fig.~{3} and Tab.~{x}; a~b.\n" * 20))
    assert hz is not None
    assert hz.codec == "hz"
    assert latex is not None
    assert latex.codec == "utf-8"


def test_binary_data_is_like_no_text(tmp_path: Path) -> None:
    noise = random.Random(0).randbytes(50_000)
    assert detect(write(tmp_path, noise)) is None
    assert detect(write(tmp_path, gzip.compress(noise))) is None


@pytest.mark.parametrize("name", ["klingon", "hex", "rot13", "", "utf-8\0"])
def test_a_name_that_is_no_text_encoding_is_an_error(name: str) -> None:
    with pytest.raises(CorpusError) as error:
        check_codec(name)
    assert "gb18030" in error.value.remedy


def test_every_family_member_is_a_codec() -> None:
    from chargen.corpus.detection import _SEVEN_BIT, FAMILIES

    for codec in (*(c for family in FAMILIES for c in family), *_SEVEN_BIT):
        assert codecs.lookup(codec)

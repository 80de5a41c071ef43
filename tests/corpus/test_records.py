"""Records are read one at a time, from every format, and what is wrong is said in one line."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from chargen.corpus.records import LONGEST, Record, read_records
from chargen.errors import CorpusError
from chargen.options import CorpusConfig
from tests.corpus.texts import any_text, write

LABELS = CorpusConfig(label_key=("author",))
ALL = CorpusConfig(records="labels")
PAIRS = CorpusConfig(records="pairs")
LINES = CorpusConfig(records="lines")
JSON = (
    '{"id": 7, "text": "山雨\\n欲来", "author": "甲"}\n\n'
    '{"id": "b", "text": "江水", "author": "乙"}\n'
    '{"text": "无名", "author": null}\n'
)

in_a_file = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
some_text = any_text.map(lambda text: text.replace("\r", "")).filter(
    lambda text: bool(text.strip()) and len(text) < 1000
)
cell = some_text.filter(lambda text: "\0" not in text)


def records(path: Path, config: CorpusConfig = LABELS, *more: Path) -> list[Record]:
    return list(read_records([path, *more], config))


def jsonl(*values: Any) -> str:
    return "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values)


def table(delimiter: str, *rows: tuple[str, ...]) -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return out.getvalue()


def test_json_lines_have_texts_labels_places_and_ids(tmp_path: Path) -> None:
    assert records(write(tmp_path / "a.jsonl", JSON)) == [
        Record("山雨\n欲来", {"author": "甲"}, None, "a.jsonl, line 1", 7),
        Record("江水", {"author": "乙"}, None, "a.jsonl, line 3", "b"),
        Record("无名", {}, None, "a.jsonl, line 4", None),
    ]


@pytest.mark.parametrize("name", ["a.csv", "a.txt"])
def test_tables_have_quoted_fields_of_several_lines(tmp_path: Path, name: str) -> None:
    rows = [("author", "text"), ("甲", '一,"二"\n三'), ("乙", "四")]
    found = records(write(tmp_path / name, table(",", *rows).replace("\n", "\r\n")))
    assert [(each.text, dict(each.labels)) for each in found] == [
        ('一,"二"\n三', {"author": "甲"}),
        ("四", {"author": "乙"}),
    ]
    assert [each.place for each in found] == [f"{name}, line 2", f"{name}, line 4"]


def test_labels_of_fasttext_are_under_the_key_label(tmp_path: Path) -> None:
    file = write(tmp_path / "a.txt", "__label__good 天气 真好\nno label\n\n__label__bad 下雨\n")
    expected = [("天气 真好", {"label": "good"}), ("no label", {}), ("下雨", {"label": "bad"})]
    for config in (ALL, CorpusConfig(label_key=("label",))):
        assert [(each.text, dict(each.labels)) for each in records(file, config)] == expected


def test_lines_are_records_but_for_blank_ones(tmp_path: Path) -> None:
    found = records(write(tmp_path / "a.txt", "一 \n\n \t\n二\n三"), LINES)
    assert [(each.text, each.place) for each in found] == [
        ("一 ", "a.txt, line 1"),
        ("二", "a.txt, line 4"),
        ("三", "a.txt, line 5"),
    ]


@pytest.mark.parametrize("names", [("src", "trg"), ("source", "target"), ("SRC", "tgt")])
def test_pairs_are_found_by_the_names_of_their_sides(
    tmp_path: Path, names: tuple[str, str]
) -> None:
    rows = [("n", *names), ("1", "问", "答"), ("2", "来", "去")]
    objects = [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]
    files = [
        write(tmp_path / "a.tsv", table("\t", *rows)),
        write(tmp_path / "a.csv", table(",", *rows)),
        write(tmp_path / "a.jsonl", jsonl(*objects)),
    ]
    for file in files:
        assert [each.sides for each in records(file, PAIRS)] == [("问", "答"), ("来", "去")]
        swapped = CorpusConfig(records="pairs", reverse=True)
        assert [each.sides for each in records(file, swapped)] == [("答", "问"), ("去", "来")]


def test_two_files_are_pairs_line_by_line(tmp_path: Path) -> None:
    one, other = write(tmp_path / "a", "一\n\n二\n"), write(tmp_path / "b", "甲\r\n\r\n乙")
    assert [(each.sides, each.place) for each in records(one, PAIRS, other)] == [
        (("一", "甲"), "a and b, line 1"),
        (("二", "乙"), "a and b, line 3"),
    ]


def test_two_files_of_whole_pairs_are_read_one_after_the_other(tmp_path: Path) -> None:
    one = write(tmp_path / "a.tsv", "src\ttrg\n一\t甲\n")
    other = write(tmp_path / "b.jsonl", jsonl({"src": "二", "trg": "乙"}))
    assert [each.sides for each in records(one, PAIRS, other)] == [("一", "甲"), ("二", "乙")]


def test_characters_separated_by_blanks_are_joined(tmp_path: Path) -> None:
    couplets = [("晚 风 摇 树 ", "晨 露 润 花 "), ("一", "二")] * 40
    spaced = write(tmp_path / "a.tsv", "src\ttrg\n" + "".join(f"{s}\t{t}\n" for s, t in couplets))
    assert [each.sides for each in records(spaced, PAIRS)][:2] == [
        ("晚风摇树", "晨露润花"),
        ("一", "二"),
    ]
    mixed = couplets[:20] + [("good morning", "早上好")] * 20
    kept = write(tmp_path / "b.tsv", "src\ttrg\n" + "".join(f"{s}\t{t}\n" for s, t in mixed))
    assert [each.sides for each in records(kept, PAIRS)] == mixed


def test_a_line_of_tsv_may_have_quotes_as_characters(tmp_path: Path) -> None:
    text = 'src\ttrg\n"Go away," he said.\t«Va-t\'en.»\nI said "no".\tnon\n"a\tb"\t"c""d"\n'
    assert [each.sides for each in records(write(tmp_path / "a.tsv", text), PAIRS)] == [
        ('"Go away," he said.', "«Va-t'en.»"),
        ('I said "no".', "non"),
        ("a\tb", 'c"d'),
    ]


def test_quotes_of_speech_in_tsv_are_neither_lost_nor_join_lines(tmp_path: Path) -> None:
    text = (
        'src\ttrg\n"Come here,\tKomm her,\nhe said"\tsagte er\n"Stop."\tHalt.\n5" disk\tDiskette\n'
        '"Go!"\t"Geh!"\n"a, ""b"\tc\n"open\tauf\n\n"first,\tsecond"\n'
    )
    assert [each.sides for each in records(write(tmp_path / "a.tsv", text), PAIRS)] == [
        ('"Come here,', "Komm her,"),
        ('he said"', "sagte er"),
        ('"Stop."', "Halt."),
        ('5" disk', "Diskette"),
        ('"Go!"', '"Geh!"'),
        ('a, "b', "c"),
        ('"open', "auf"),
        ('"first,', 'second"'),
    ]


def test_a_quoted_header_of_tsv_says_that_fields_are_quoted(tmp_path: Path) -> None:
    text = '"src"\t"trg"\n"Stop."\t"Halt."\nplain\t"a ""b"""\n'
    assert [each.sides for each in records(write(tmp_path / "a.tsv", text), PAIRS)] == [
        ("Stop.", "Halt."),
        ("plain", 'a "b"'),
    ]


def test_a_quote_of_tsv_that_nothing_closes_is_a_character(tmp_path: Path) -> None:
    text = 'src\ttrg\n"' + "a\tb\n" * 100_000
    found = read_records([write(tmp_path / "a.tsv", text)], PAIRS)
    assert next(iter(found)).sides == ('"a', "b")
    assert sum(1 for _ in found) == 99_999


@pytest.mark.parametrize(
    ("value", "label"),
    [(5, "5"), (1.5, "1.5"), (True, "true"), (False, "false"), (" 甲\n 乙 ", "甲 乙"), ("", None)],
)
def test_labels_become_strings(tmp_path: Path, value: Any, label: str | None) -> None:
    file = write(tmp_path / "a.jsonl", jsonl({"text": "一", "k": value}, {"text": "二", "k": "x"}))
    found = records(file, CorpusConfig(label_key=("k",)))
    assert found[0].labels.get("k") == label


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "gb18030"])
def test_encodings_and_line_ends_are_those_of_texts(tmp_path: Path, codec: str) -> None:
    text = jsonl(*[{"text": f"第{n}首诗，写山水", "author": "甲乙"[n % 2]} for n in range(40)])
    twin = records(write(tmp_path / "a.jsonl", text))
    file = write(tmp_path / "b.jsonl", text.replace("\n", "\r\n"), codec)
    assert [(each.text, each.labels) for each in records(file)] == [
        (each.text, each.labels) for each in twin
    ]


def test_texts_are_converted_and_labels_are_not(tmp_path: Path) -> None:
    pytest.importorskip("opencc")
    file = write(tmp_path / "a.jsonl", '{"text": "\\u6f22\\u8a9e", "author": "劉"}\n')
    [found] = records(file, CorpusConfig(label_key=("author",), convert="t2s"))
    assert (found.text, found.labels) == ("汉语", {"author": "劉"})


def test_lines_of_records_are_never_unwrapped(tmp_path: Path) -> None:
    wrapped = "the old man went down to the sea with his\nboat and his nets and waited there for\n"
    found = records(write(tmp_path / "a.txt", wrapped * 200), LINES)
    assert len(found) == 400


@in_a_file
@given(texts=st.lists(some_text, min_size=1, max_size=5))
@example(texts=["\u2028a\x85b\x0cc\x1cd", "\ufeffx"])
def test_any_text_comes_back_from_json_lines(tmp_path: Path, texts: list[str]) -> None:
    for ascii_only in (True, False):
        lines = (json.dumps({"text": text}, ensure_ascii=ascii_only) for text in texts)
        file = write(tmp_path / "a.jsonl", "\n".join(lines))
        config = CorpusConfig(records="labels", encoding="utf-8")
        assert [each.text for each in records(file, config)] == texts


@in_a_file
@given(rows=st.lists(st.tuples(cell, cell), min_size=1, max_size=4))
def test_any_pair_comes_back_from_a_table(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    one_line = [tuple(side.replace("\n", " ") for side in row) for row in rows]
    for delimiter, name, pairs in (("\t", "a.tsv", one_line), (",", "a.csv", rows)):
        file = write(tmp_path / name, table(delimiter, ("src", "trg"), *pairs, ("多 个", "some")))
        config = CorpusConfig(records="pairs", encoding="utf-8")
        assert [each.sides for each in records(file, config)][:-1] == pairs


LONG = "长" * (LONGEST + 1)
BAD: dict[str, tuple[CorpusConfig, str, str, str]] = {
    # what is wrong: the settings, the file's name, its content, the message
    "no JSON": (LABELS, "a.jsonl", JSON + "{oops}\n", r"a\.jsonl, line 5: .*not JSON .*column 2"),
    "NaN": (LABELS, "a.jsonl", '{"text": "a", "n": NaN}', r"line 1: .*NaN is not a JSON number"),
    "nested": (LABELS, "a.jsonl", '{"a":' + "[" * 100_000, "line 1: .*nested too deeply"),
    "a number": (LABELS, "a.jsonl", JSON + "5\n", "line 5: .*not an object"),
    "an array": (LABELS, "a.json", '[{"text": "a"}]', "line 1: .*not an object"),
    "printed": (LABELS, "a.json", '{\n "text": "a"\n}', "line 1: .*not JSON"),
    "no text key": (LABELS, "a.jsonl", '{"body": "a", "author": "b"}', "no 'text'.*body, author"),
    "no text column": (LABELS, "a.csv", "body,author\na,b\n", "no column 'text'.*body, author"),
    "no column": (LABELS, "a.txt", "书\t作者\na\tb\n", "no column 'text'.*书, 作者"),
    "no label key": (LABELS, "a.jsonl", '{"text": "a", "by": "b"}', "key 'author'.*text, by"),
    "no label column": (LABELS, "a.csv", "text,by\na,b\n", "key 'author'; there are text, by"),
    "no fastText key": (LABELS, "a.txt", "__label__x a\n", "key 'author'; there are label, text"),
    "empty labels": (LABELS, "a.csv", "text,author\na,\n", "label 'author' is empty in every"),
    "list": (LABELS, "a.jsonl", '{"text": "a", "author": ["b", "c"]}', "line 1: .*'author' is a l"),
    "object": (LABELS, "a.jsonl", '{"text": "a", "author": {}}', "line 1: .*'author' is an object"),
    "two labels": (ALL, "a.txt", "__label__a x\n__label__a __label__b y\n", "line 2: .*more than"),
    "late label": (ALL, "a.txt", "__label__a x\n__label__a y __label__b\n", "line 2: .*more than"),
    "long label": (LABELS, "a.jsonl", jsonl({"text": "a", "author": LONG}), "line 1: .*more than"),
    "empty text": (LABELS, "a.jsonl", JSON + '{"text": " \\n"}', "line 5: the text is empty"),
    "null text": (LABELS, "a.jsonl", JSON + '{"text": null}', "line 5: the text is empty"),
    "empty cell": (LABELS, "a.csv", "author,text\nb,a\nb\n", "line 3: the text is empty"),
    "text 5": (LABELS, "a.jsonl", '{"text": 5}', "line 1: the text is a number, not a string"),
    "surrogate": (LABELS, "a.jsonl", '{"text": "\\ud800"}', r"line 1: .*surrogate U\+D800"),
    "long text": (LABELS, "a.jsonl", jsonl({"text": LONG}), "line 1: .*4,097 char.*at most 4,096"),
    "long line": (LINES, "a.txt", "短\n" + LONG, "line 2: .*4,097 characters"),
    "endless": (LINES, "a.txt", "短\n" + "x" * (1 << 20) + "x\n", "line 2: .*more than 1,048,576"),
    "long side": (PAIRS, "a.tsv", f"src\ttrg\na\t{LONG}\n", "line 2: .*4,097 characters"),
    "no source": (PAIRS, "a.tsv", "src\ttrg\n \tb\n", "line 2: src is empty"),
    "no answer": (PAIRS, "a.tsv", "src\ttrg\na\n", "line 2: trg is empty"),
    "no sides": (PAIRS, "a.tsv", "left\tright\na\tb\n", "no columns src and trg: .*left, right"),
    "no pairs": (PAIRS, "a.txt", "上联\n下联\n", "no columns src and trg: .*neither a header"),
    "no keys": (PAIRS, "a.jsonl", '{"q": "a", "a": "b"}', "line 1: it has no src and trg.*q, a"),
    "a text": (LABELS, "novel.txt", "从前有座山，山里有座庙。\n", "is not a file of records"),
    "many fields": (
        LABELS,
        "a.csv",
        "text,author\na,b,c\n",
        "line 2: .*3 fields.*header 2",
    ),
    "twice": (LABELS, "a.csv", "text,x,x\na,b,c\n", "line 1: .*occurs twice: text, x, x"),
    "quotes": (LABELS, "a.csv", 'text,author\n"a" b,c\n', "line 2: its fields can't be read"),
    "open quote": (LABELS, "a.csv", 'text,author\n"a,b\n', "line 2: its fields can't be read"),
    "lines": (PAIRS, "a.tsv", 'src\ttrg\na\tb\n"c\nd"\te\n', "line 3: .*several lines"),
    "last lines": (PAIRS, "a.tsv", 'src\ttrg\na\t"b\n\nc"\n', "line 2: .*several lines"),
}


@pytest.mark.parametrize("wrong", BAD)
def test_a_record_that_cant_be_used_is_one_line_with_a_remedy(tmp_path: Path, wrong: str) -> None:
    config, name, content, message = BAD[wrong]
    with pytest.raises(CorpusError, match=message) as error:
        records(write(tmp_path / name, content), config)
    assert name in error.value.message
    assert "\n" not in error.value.message + error.value.remedy
    assert error.value.remedy.endswith(".")


@pytest.mark.parametrize(
    ("one", "other", "message"),
    [
        ("一\n二\n三\n", "甲\n", "b ends after line 1, and a goes on: its line 2 has no partner"),
        ("一\n", "甲\n乙\n", "a ends after line 1, and b goes on: its line 2"),
        ("一\n\n", "甲\n乙\n", "a, line 2: the line is empty"),
        ("一\n二\n", "src\ttrg\n甲\t乙\n", "a has no columns src and trg"),
    ],
)
def test_sides_without_partners_are_named(
    tmp_path: Path, one: str, other: str, message: str
) -> None:
    with pytest.raises(CorpusError, match=message) as error:
        records(write(tmp_path / "a", one), PAIRS, write(tmp_path / "b", other))
    assert error.value.remedy


def test_damage_may_be_replaced(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    file.write_bytes('{"text": "山\\ud800'.encode() + b'\xff"}')
    [found] = records(file, CorpusConfig(records="labels", encoding="utf-8", errors="replace"))
    assert found.text == "山\ufffd\ufffd"


def test_labels_may_all_be_missing_where_they_arent_needed(tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", '{"text": "a"}\n')
    [found] = read_records([file], LABELS, all_labels=False)
    assert found.labels == {}


def test_records_are_read_before_the_file_ends(tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", JSON * 40_000 + "no JSON\n")
    found = read_records([file], LABELS)
    assert next(found).text == "山雨\n欲来"

from __future__ import annotations

import pytest

from chargen.terminal.words import wrapped


@pytest.mark.parametrize(
    ("line", "width", "shown"),
    [
        ("Type a line", 40, "Type a line"),
        ("Type a line, and go on.", 12, "Type a line,\nand go on."),
        ("a /very/long/path/to.txt b", 10, "a\n/very/long/path/to.txt\nb"),
        ("小狗 小猫 小羊", 9, "小狗 小猫\n小羊"),
        ("  /keep [FILE]   Append the text", 38, "  /keep [FILE]   Append the text"),
        ("  /keep [FILE]   Append a text to a file", 36, "  /keep [FILE]   Append a text to a\n"
         "                 file"),
        ("  /keep [FILE]   Append it", 20, "  /keep [FILE]\nAppend it"),
        ("", 10, ""),
    ],
)  # fmt: skip
def test_lines_break_between_words(line: str, width: int, shown: str) -> None:
    assert [each.rstrip() for each in wrapped(line, width).split("\n")] == shown.split("\n")

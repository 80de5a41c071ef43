"""Makes .github/terminal.svg: a short training run's last view, by rich's own export.

    python .github/picture.py

The run is real: it trains on the shipped stories for a minute, in a temporary folder.
"""

from __future__ import annotations

import io
import os
import re
import tempfile
from html import unescape
from pathlib import Path

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from chargen import api
from chargen.terminal.dashboard import Dashboard
from chargen.terminal.watched import Watched
from chargen.terminal.words import visible

WIDTH, HEIGHT = 96, 28
_TEXT = re.compile(r'textLength="([\d.]+)" [^>]*>([^<]+)</text>')


def main() -> None:
    target = Path(__file__).resolve().with_name("terminal.svg")
    console = Console(
        record=True, width=WIDTH, height=HEIGHT, file=io.StringIO(), force_terminal=True
    )
    watched = Watched()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        run = api.train(max_minutes=1, on_event=watched.note)
        text = run.load().generate("小兔", length=150, temperature=0.7, seed=1)[0]
    console.print(Text("$ chargen train --max-minutes 1", style="bold green"))
    console.print(Dashboard(watched))
    console.print(Text("$ chargen sample -p 小兔 -n 150 --temp 0.7 --seed 1", style="bold green"))
    console.print(Text("小兔" + visible(text)))
    target.write_text(_mended(console.export_svg(title="chargen")), "utf-8")


def _mended(svg: str) -> str:
    """The picture with wide characters at their width, and without fonts from elsewhere.

    Rich sets a text's length by its number of characters, which squeezes Chinese to half.
    """
    width = max(
        float(length) / len(unescape(text).replace("\xa0", " "))
        for length, text in _TEXT.findall(svg)
        if text.isascii()
    )

    def widened(match: re.Match[str]) -> str:
        length = width * cell_len(unescape(match[2]))
        return f'textLength="{length:.1f}"' + match[0][match[0].index('" ') + 1 :]

    return re.sub(r"@font-face \{.*?\}\s*", "", _TEXT.sub(widened, svg), flags=re.S)


if __name__ == "__main__":
    main()

"""Makes .github/terminal.svg: a short training run's last view, by rich's own export.

    python .github/picture.py

The run is real: it trains on the shipped prose for a minute, in a temporary folder.
"""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

from chargen import api
from chargen.cli.console import LiveView, visible

WIDTH = 96


def main() -> None:
    target = Path(__file__).resolve().with_name("terminal.svg")
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    view = LiveView(lambda _: None, lambda: WIDTH)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        run = api.train(max_minutes=1, on_event=view.event)
        text = run.load().generate("春天", length=150, seed=1)[0]
    console.print(Text("$ chargen train --max-minutes 1", style="bold green"))
    console.print(view.render())
    console.print(Text("$ chargen sample -p 春天 -n 150 --seed 1", style="bold green"))
    console.print(Text("春天" + visible(text)))
    console.save_svg(str(target), title="chargen")


if __name__ == "__main__":
    main()

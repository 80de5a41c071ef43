"""The README says what the program says. After a change of options: python -m tests.test_readme"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from chargen.training.presets import PRESETS

README = Path(__file__).resolve().parent.parent / "README.md"
BLOCK = re.compile(
    r"(<details><summary><code>chargen (?P<command>[a-z ]+) --help</code></summary>\n\n```text\n)"
    r"(?P<help>.*?)(\n```\n\n</details>)",
    re.S,
)
COMMANDS = (
    *("prepare", "train", "sample", "batch", "novelty", "eval", "inspect", "compare", "plot"),
    *("experiment cells", "experiment clockwork", "experiment gradients", "experiment clipping"),
    *("bench generate", "bench train"),
)


def real_helps() -> dict[str, str]:
    """What every command's --help prints, at a fixed width and without colours."""
    script = (
        "import json, sys\n"
        "from typer.testing import CliRunner\n"
        "from chargen.cli.app import app\n"
        "run = CliRunner().invoke\n"
        "print(json.dumps({c: run(app, [*c.split(), '--help'], prog_name='chargen').output\n"
        "                  for c in sys.argv[1:]}))\n"
    )
    plain = {"TERMINAL_WIDTH": "96", "NO_COLOR": "1", "TERM": "dumb", "PYTHONUTF8": "1"}
    kept = {k: v for k, v in os.environ.items() if k not in ("FORCE_COLOR", "GITHUB_ACTIONS", "CI")}
    done = subprocess.run(
        [sys.executable, "-c", script, *COMMANDS],
        env={**kept, **plain},
        capture_output=True,
        text=True,
        check=True,
        encoding="utf-8",
    )
    helps: dict[str, str] = json.loads(done.stdout)
    return {command: _tidy(text) for command, text in helps.items()}


def _tidy(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip("\n").split("\n"))


def test_every_help_block_is_the_real_one() -> None:
    blocks = {b["command"]: b["help"] for b in BLOCK.finditer(README.read_text("utf-8"))}
    assert blocks == real_helps()


def test_the_presets_are_all_there() -> None:
    text = README.read_text("utf-8")
    assert [name for name in PRESETS if f"| `{name}` | {PRESETS[name].summary} |" not in text] == []


def test_the_first_two_blocks_are_a_newcomers_commands() -> None:
    main, tests = re.findall(r"^```sh\n(.*?)^```$", README.read_text("utf-8"), re.M | re.S)[:2]
    assert "chargen train" in main
    assert "chargen sample" in main
    assert "pytest" in tests
    assert all("venv" in block and "-c .ci/constraints.txt" in block for block in (main, tests))


if __name__ == "__main__":
    helps = real_helps()
    README.write_text(
        BLOCK.sub(lambda m: m[1] + helps[m["command"]] + m[4], README.read_text("utf-8")), "utf-8"
    )

"""The reference of the commands is what they say.

After a change of options: python -m tests.cli.test_reference
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from chargen.cli.app import BENCHES, EXPERIMENTS, PANELS, app_for

REFERENCE = Path(__file__).parents[2] / "chargen" / "cli" / "README.md"
WIDTH = 96
HEAD = """\
# The commands

The `--help` of every command. This page is generated, and a test compares it with the program.
After a change of options, run `python -m tests.cli.test_reference`.
"""
_SCRIPT = """
import json, sys
from typer.testing import CliRunner
from chargen.cli.app import app_for
helps = {}
for command in sys.argv[1:]:
    asked = CliRunner().invoke(app_for(None), [*command.split(), "--help"], prog_name="chargen")
    assert asked.exit_code == 0, asked.output
    helps[command] = asked.output
print(json.dumps({"helps": helps, "modules": sorted(sys.modules)}))
"""


def panels() -> dict[str, list[str]]:
    """The commands of each panel of ``chargen --help``, and ``""`` for the program itself."""
    named = {panel: list(commands) for panel, commands in PANELS.items()}
    both = [f"experiment {name}" for name in EXPERIMENTS] + [f"bench {name}" for name in BENCHES]
    return {"": [""], **named, "Experiments and benchmarks": both}


def commands() -> list[str]:
    """Every command, without ``chargen`` before it."""
    return [command for members in panels().values() for command in members if command]


@cache
def _asked() -> tuple[dict[str, str], frozenset[str]]:
    """The helps, at a fixed width and without colours, and what was imported for them."""
    plain = {"TERMINAL_WIDTH": str(WIDTH), "NO_COLOR": "1", "TERM": "dumb", "PYTHONUTF8": "1"}
    kept = {k: v for k, v in os.environ.items() if k not in ("FORCE_COLOR", "GITHUB_ACTIONS", "CI")}
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, "", *commands()],
        env={**kept, **plain},
        capture_output=True,
        text=True,
        check=True,
        encoding="utf-8",
    )
    found = json.loads(done.stdout)
    return {c: _tidy(text) for c, text in found["helps"].items()}, frozenset(found["modules"])


def real_helps() -> dict[str, str]:
    """What every command's --help prints; that of ``chargen`` itself is under ``""``."""
    return _asked()[0]


def written_helps() -> dict[str, str]:
    """What the reference says, by command."""
    text = REFERENCE.read_text("utf-8")
    return dict(re.findall(r"^### chargen ([^\n]+)\n\n```text\n(.*?)\n```$", text, re.M | re.S))


def flags_of(text: str) -> set[str]:
    """The flags that a help text lists: those at the beginning of a row of a panel."""
    rows = re.findall(r"^│ (?:\*| ) *(-.*?)(?:  +<|│)", text.replace("│ -", "│   -"), re.M)
    return {flag for row in rows for flag in re.split(r"[,\s]+", row.strip())}


def _tidy(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.split("\n")).strip("\n")


def written() -> str:
    """The page as it must be."""
    return HEAD + "".join(_sections())


def _sections() -> Iterator[str]:
    helps = real_helps()
    for panel, members in panels().items():
        if panel:
            yield f"\n## {panel}\n"
        for command in members:
            if command:
                yield f"\n### chargen {command}\n"
            yield f"\n```text\n{helps[command]}\n```\n"


def test_the_reference_is_what_the_commands_say() -> None:
    assert REFERENCE.read_text("utf-8") == written()


def test_every_command_is_in_a_panel() -> None:
    app = app_for(None)
    known = [command.name for command in app.registered_commands]
    known += [
        f"{group.name} {command.name}"
        for group in app.registered_groups
        if group.typer_instance
        for command in group.typer_instance.registered_commands
    ]
    assert sorted(commands()) == sorted(map(str, known))
    overview = real_helps()[""]
    for panel, members in panels().items():
        if not panel:
            continue
        assert f"─ {panel} ─" in overview
        assert all(re.search(rf"^│ {command.split()[0]} ", overview, re.M) for command in members)


def test_no_help_needs_torch() -> None:
    heavy = {"torch", "numpy", "sentencepiece", "matplotlib", "safetensors"}
    assert heavy & _asked()[1] == set()


def test_every_command_has_the_common_options() -> None:
    for command in commands():
        assert {"--quiet", "-q", "--debug", "--help", "-h"} <= flags_of(real_helps()[command])


if __name__ == "__main__":
    REFERENCE.write_text(written(), "utf-8")

"""What a shell suggests on Tab."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chargen.generation.poems.forms import FORMS
from chargen.options import CELLS
from chargen.training.presets import PRESETS

HEAVY = ("torch", "numpy", "sentencepiece", "matplotlib")
_SCRIPT = f"""
import json, os, sys
import typer.main, chargen.cli.app
from chargen.cli import main
typer.main.get_command(chargen.cli.app.app_for(None))
for asked in map(json.loads, sys.stdin):
    pid = os.fork()
    if not pid:
        os.chdir(asked.pop("cwd"))
        os.environ |= asked
        try:
            main()
        finally:
            sys.stdout.flush()
            print("loaded", *(m for m in {HEAVY!r} if m in sys.modules), file=sys.stderr)
            os._exit(0)
    os.waitpid(pid, 0)
    print("end", flush=True)
"""


@pytest.fixture(scope="module")
def asking() -> Iterator[subprocess.Popen[str]]:
    """A process that has imported what every command needs, and forks one for each question."""
    with subprocess.Popen(
        [sys.executable, "-c", _SCRIPT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    ) as process:
        yield process


Suggested = Callable[..., list[str]]


@pytest.fixture
def suggested(asking: subprocess.Popen[str], here: Path) -> Suggested:
    """Says what is suggested after a beginning of a command line, as a shell's script asks."""

    def suggest(line: str, shell: str = "bash", **env: str) -> list[str]:
        words = line.split(" ")
        asked = {
            "_CHARGEN_COMPLETE": f"complete_{shell}",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(words) - 1),
            "_TYPER_COMPLETE_ARGS": line,
            "_TYPER_COMPLETE_FISH_ACTION": "get-args",
            "cwd": str(here),
        }
        assert asking.stdin is not None
        assert asking.stdout is not None
        asking.stdin.write(json.dumps({**asked, **env}) + "\n")
        asking.stdin.flush()
        *shown, loaded = iter(asking.stdout.readline, "end\n")
        assert loaded == "loaded\n"
        return [line for line in map(str.strip, shown) if line]

    return suggest


@pytest.fixture
def runs(here: Path, trained: Path) -> Path:
    """A folder with runs, one of which has a name in Chinese, and a text."""
    for name in ("novel-lstm-1", "novel-gru-1", "红楼梦-lstm-1"):
        shutil.copytree(trained, here / "checkpoints" / name)
    (here / "checkpoints" / "nothing").mkdir()
    (here / "novel.txt").write_text("text", encoding="utf-8")
    return here


def test_runs_are_suggested_by_name(runs: Path, suggested: Suggested) -> None:
    every = {"novel-lstm-1", "novel-gru-1", "红楼梦-lstm-1"}
    shipped = {"stories", "verse"}
    assert set(suggested("chargen sample ")) == every | shipped
    assert set(suggested("chargen eval novel")) == {"novel-lstm-1", "novel-gru-1"}
    assert suggested("chargen batch jobs --checkpoint 红") == ["红楼梦-lstm-1"]
    assert suggested("chargen compare novel-gru-1 novel") == ["novel-lstm-1"]
    assert set(suggested("chargen train --resume --name ")) == every
    (runs / "checkpoints").rename(runs / "elsewhere")
    assert set(suggested("chargen sample ")) == shipped
    assert set(suggested("chargen sample --runs elsewhere ")) == every | shipped
    assert set(suggested("chargen sample ", CHARGEN_RUNS="elsewhere")) == every | shipped


def test_values_are_suggested(runs: Path, suggested: Suggested) -> None:
    assert suggested("chargen train --preset ") == list(PRESETS)
    assert suggested("chargen train --preset s") == ["small"]
    assert suggested("chargen train --cell ") == list(CELLS)
    assert suggested("chargen train --cell lstm,min") == ["lstm,mingru", "lstm,minlstm"]
    assert suggested("chargen sample --form ") == list(FORMS)
    assert suggested("chargen sample --oov-prompt ") == ["error", "skip"]
    assert suggested("chargen compare --over m") == ["minutes"]


def test_texts_are_shipped_ones_and_files(runs: Path, suggested: Suggested) -> None:
    (runs / "riverbed.txt").write_text("text", encoding="utf-8")
    assert suggested("chargen train river") == ["riverside", "riverbed.txt"]
    assert suggested("chargen inspect checkpoints/nov") == [
        "checkpoints/novel-gru-1/",
        "checkpoints/novel-lstm-1/",
    ]


def test_commands_and_flags_are_suggested(suggested: Suggested) -> None:
    assert suggested("chargen no") == ["novelty"]
    assert set(suggested("chargen train --pre")) == {"--preset", "--precision"}


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_meanings_too(shell: str, suggested: Suggested) -> None:
    shown = "\n".join(suggested("chargen train --preset ", shell))
    for name, preset in PRESETS.items():
        assert name in shown
        assert preset.summary.split(":")[0].split(",")[0].replace("'", "’") in shown


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_with_the_script(runs: Path) -> None:
    (runs / "chargen").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m chargen "$@"\n')
    (runs / "chargen").chmod(0o755)
    script = """
        source <(chargen --show-completion bash)
        COMP_WORDS=(chargen sample novel-g) COMP_CWORD=2
        $(complete -p chargen | sed 's/.*-F \\([^ ]*\\).*/\\1/') chargen
        echo "${COMPREPLY[@]}"
    """
    done = subprocess.run(
        ["bash", "-c", script],
        env={**os.environ, "PATH": f"{runs}:{os.environ['PATH']}",
             "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.stdout.split() == ["novel-gru-1"], done.stderr

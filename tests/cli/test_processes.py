"""The commands as processes: signals, pipes, terminals, encodings."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from subprocess import PIPE
from typing import Any

import pytest
from rich.cells import cell_len

import chargen
from chargen.cli import main
from chargen.machine.waiting import VARIABLE
from chargen.runs.folder import RunFolder
from tests.processes import command, shell, start
from tests.support import LEARNABLE, call, last_state, train_tiny

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals and terminals of POSIX")


@pytest.fixture
def controls(tmp_path: Path) -> Path:
    """A run that knows control characters."""
    path = tmp_path / "controls.txt"
    path.write_text("\x1b[31mred\x1b[0m\x07 bell\x9b and 字\u202e\n" * 60, encoding="utf-8")
    corpus = chargen.prepare(path, tmp_path / "controls")
    return train_tiny(corpus, tmp_path, max_steps=5).path


def started(*arguments: object, cwd: Path) -> Any:
    """A process that trains for as long as it is let, once it has made some steps."""
    options = ("--preset", "tiny", "--max-steps", 10**6, "--name", "run", "--device", "cpu")
    process = start(
        "train", *arguments, *options, "--threads", 1, cwd=cwd, stdout=PIPE, stderr=PIPE, text=True
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("step "):
            return process
    raise AssertionError("no step was made")


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["int", "term"]
)
def test_a_signal_saves_and_leaves(
    number: signal.Signals, status: int, corpus: Path, tmp_path: Path
) -> None:
    with started(corpus, cwd=tmp_path) as process:
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == status
    assert out == ""
    assert "Interrupted; continue with --resume" in err
    assert "Traceback" not in err
    folder = RunFolder(tmp_path / "checkpoints" / "run")
    assert folder.verify() == []
    step = folder.last_step()
    assert step > 0
    whole = train_tiny(corpus, tmp_path / "whole", max_steps=10**6, stop=_after(step))
    one, other = last_state(folder.path), last_state(whole.path)
    assert one["model.table"] == other["model.table"]


def _after(steps: int) -> object:
    asked = iter(range(10**9))
    return lambda: next(asked) >= steps


def test_a_signal_while_a_text_is_prepared_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "long.txt").write_text(LEARNABLE * 20000, encoding="utf-8")
    process = start("train", "long.txt", cwd=tmp_path, stderr=PIPE, text=True)
    with process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("Preparing")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130
    assert [path.name for path in tmp_path.iterdir()] == ["long.txt"]


def test_a_broken_pipe_is_quiet(trained: Path) -> None:
    line = " ".join(command("sample", trained, "-n", 200000, "-q", "--seed", 1))
    done = subprocess.run(
        f"{line} | head -c 10", shell=True, capture_output=True, timeout=60, check=False
    )
    assert done.stderr == b""
    assert len(done.stdout) == 10


def test_data_is_utf_8_whatever_the_locale(trained: Path, tmp_path: Path) -> None:
    """An interpreter of its own: it reads these when it starts."""
    arguments = ("sample", trained, "-p", "春", "-n", 10, "--seed", 1)
    odd = subprocess.run(
        command(*arguments),
        cwd=tmp_path,
        env={**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert odd.returncode == 0, odd.stderr
    assert odd.stdout.decode("utf-8").startswith("春")
    assert odd.stdout.decode("utf-8") == call(*arguments).stdout


def test_a_name_that_is_no_utf_8_is_shown(tmp_path: Path) -> None:
    name = b"\xff.txt"
    (tmp_path / os.fsdecode(name)).write_text("aaaa")
    done = subprocess.run(
        [sys.executable, "-m", "chargen", "prepare", name],
        cwd=tmp_path,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert b"one distinct character" in done.stderr
    assert b"Traceback" not in done.stderr


def test_debug_shows_the_traceback_of_an_error(tmp_path: Path) -> None:
    done = shell("prepare", "missing.txt", "--debug", cwd=tmp_path)
    assert done.returncode == 1
    assert b"Traceback" in done.stderr


def on_a_terminal(
    *arguments: object, cwd: Path, size: tuple[int, int] = (80, 30), resized: bool = False
) -> str:
    """What a command writes to a terminal of some columns and rows, both streams together.

    Args:
        *arguments: the command.
        cwd: where it runs.
        size: of the terminal.
        resized: whether the terminal gets half its columns with the first output.
    """
    import fcntl
    import struct
    import termios

    def set_size(columns: int, rows: int) -> None:
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    master, slave = pty.openpty()
    set_size(*size)
    environment = {**os.environ, "TERM": "xterm-256color"}
    for name in ("COLUMNS", "LINES"):  # which would hide the size of the terminal
        environment.pop(name, None)
    with start(
        *arguments, cwd=cwd, stdin=slave, stdout=slave, stderr=slave, env=environment
    ) as process:
        output, end = b"", time.monotonic() + 90
        while time.monotonic() < end:
            if select.select([master], [], [], 0.5)[0]:
                try:
                    found = os.read(master, 65536)
                except OSError:  # the other side is closed
                    break
                if not found:
                    break
                output += found
                if resized:
                    set_size(size[0] // 2, size[1])
                    resized = False
            elif process.poll() is not None:
                break
        process.wait(timeout=30)
        os.close(slave)
    os.close(master)
    assert process.returncode == 0, output
    return output.decode("utf-8")


class Typist:
    """Someone at a terminal at which ``chargen write`` runs."""

    def __init__(self, home: Path) -> None:
        self._master, self.terminal = pty.openpty()
        self.env = {**os.environ, "TERM": "xterm-256color", "HOME": str(home)}
        self.env["PROMPT_TOOLKIT_NO_CPR"] = "1"  # a question to terminals, which this one ignores

    def type_(self, keys: str, seen: str = ">") -> None:
        """Type, once the terminal shows what the pattern ``seen`` matches."""
        shown, end = "", time.monotonic() + 60
        while not re.search(seen, shown):
            assert select.select([self._master], [], [], end - time.monotonic())[0], shown
            shown += os.read(self._master, 65536).decode("utf-8", "replace")
        os.write(self._master, keys.encode())

    def __enter__(self) -> Typist:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.terminal)
        os.close(self._master)


def test_a_quiet_session_shows_its_errors(trained: Path, tmp_path: Path) -> None:
    with Typist(tmp_path) as typist:
        terminal = dict.fromkeys(("stdin", "stdout", "stderr"), typist.terminal)
        with start("write", trained, "-q", cwd=tmp_path, env=typist.env, **terminal) as process:
            typist.type_("/sing\r")
            typist.type_("\x04", r"error: There is no /sing\.[^>]*>")
            assert process.wait(timeout=60) == 0


def test_an_interrupt_ends_a_session_through_pipes(trained: Path, tmp_path: Path) -> None:
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), PIPE)
    with start("write", trained, "-n", 10**6, cwd=tmp_path, text=True, **streams) as process:
        process.stdin.write("春\n")
        process.stdin.close()
        assert process.stdout.read(1)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in error


@pytest.mark.parametrize("drawing", [True, False])
def test_an_interrupt_ends_a_session_whose_texts_go_elsewhere(
    drawing: bool, trained: Path, tmp_path: Path
) -> None:
    with Typist(tmp_path) as typist:
        streams = {"stdin": typist.terminal, "stdout": PIPE, "stderr": typist.terminal}
        options = ("-n", 10**6, "--end", "none")
        with start("write", trained, *options, cwd=tmp_path, env=typist.env, **streams) as process:
            typist.type_("春\r" if drawing else "\x03")
            if drawing:
                assert process.stdout.read(1)
                process.send_signal(signal.SIGINT)
            assert process.wait(timeout=60) == 130


def test_control_characters_are_visible_on_a_terminal_only(controls: Path) -> None:
    arguments = ("sample", controls, "-p", "\x1b[31m\x07\x9b\u202e字", "-n", 0, "-q")
    shown = on_a_terminal(*arguments, cwd=controls.parent)
    assert re.sub(r"\x1b\[[0-9;]*m", "", shown) == "␛[31m␇<9B><202E>字\r\n"
    piped = shell(*arguments, cwd=controls.parent)
    assert piped.stdout.decode() == "\x1b[31m\x07\x9b\u202e字\n"


@pytest.mark.parametrize("size", [(40, 15), (120, 40)])
def test_a_training_run_is_live_on_a_terminal(
    size: tuple[int, int], corpus: Path, tmp_path: Path
) -> None:
    steps = 1000  # long enough to be drawn once
    arguments = ("train", corpus, "--preset", "tiny", "--max-steps", steps, "--name", "run")
    shown = on_a_terminal(*arguments, cwd=tmp_path, size=size, resized=size == (120, 40))
    before, live = shown.split("\x1b[?1049h")
    live, after = live.split("\x1b[?1049l")
    assert "characters of training text" in before.replace("\r\n", " ")
    assert "step 1" in live
    assert "1,000 of 1,000" in after
    assert "sample at step 1,000" in after
    assert "Done: step 1,000" in after.replace("\r\n", " ")
    assert "\x1b[?25l" not in after  # the cursor is back
    columns = size[0] // 2 if size == (120, 40) else size[0]
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", after)
    *summary, _last_word = plain.split("Done: ")[0].split("\r\n")
    assert max(map(cell_len, summary)) <= columns
    assert len(json.loads((tmp_path / "checkpoints/run/config.json").read_bytes())) > 5


@pytest.mark.parametrize(("option", "status"), [("--nosuch", 2), ("--help", 0)])
def test_the_parser_speaks_in_one_process_of_a_machine(
    option: str, status: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("stdout", "stderr"):  # which ``main`` replaces
        monkeypatch.setattr(sys, name, getattr(sys, name))
    monkeypatch.setattr(sys, "argv", ["chargen", "runs", option])
    monkeypatch.setenv(VARIABLE, "0")
    monkeypatch.setenv("MASTER_PORT", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in "01":
        monkeypatch.setenv("RANK", rank)
        monkeypatch.setenv("LOCAL_RANK", rank)
        with pytest.raises(SystemExit) as end:
            main()
        assert end.value.code == status
    said = capfd.readouterr()
    assert said.err.count("No such option") == (status == 2)

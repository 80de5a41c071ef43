"""``chargen write``: write together with a model."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from chargen.cli.command import command, only
from chargen.cli.flags import Checkpoint, NoNgram, Run, RunsDir
from chargen.cli.sample import run_named, say_conversion, say_run, texts_wanted
from chargen.options import BatchConfig, SamplingConfig

if TYPE_CHECKING:
    from chargen.terminal.console import Terminal


@command(
    only(BatchConfig, "device"),
    only(BatchConfig, "seed", described={"seed": "random"}),
    SamplingConfig,
)
def write(
    run: Run = None,
    checkpoint: Checkpoint = None,
    runs_dir: RunsDir = None,
    no_ngram: NoNgram = False,
    *,
    options: dict[str, Any],
    terminal: Terminal,
) -> None:
    """Write together with a model: type a line, and it goes on.

    Commands such as /retry, /undo, /best, /keep and /temp begin with a slash; /help lists them.
    Ctrl-C stops a text, Ctrl-D ends the session. Where standard input is no terminal, each of its
    lines is continued on its own, with lines of --- between the texts; an error ends the session.
    So does Ctrl-C where standard input or output is no terminal.
    """
    from chargen import api
    from chargen.cli.lines import typed_lines
    from chargen.cli.writing import COMMANDS, Session, hold
    from chargen.terminal.texts import TextWriter

    texts_wanted(options, [])
    device, seed = options.pop("device", "auto"), options.pop("seed", None)
    generator = api.load(
        run_named(run, checkpoint), runs_dir=runs_dir, device=device, ngram=not no_ngram
    )
    say_run(terminal, generator, seed)
    say_conversion(terminal, generator, "What you type")
    typed = sys.stdin.isatty()
    if typed:
        options = {"length": 120, "end": "sentence", **options}
    session = Session(generator, TextWriter(), terminal.say, options, typed=typed, seed=seed)
    session.alone = not typed or generator.answers
    session.check()
    if typed:
        terminal.say("Type a line, and the model goes on. /help lists the commands.")
    hold(session, typed_lines([f"/{name}" for name in COMMANDS]))

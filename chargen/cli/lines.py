"""Lines that are typed: with editing, history and completion on a terminal, else as they come."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import typer

_PROMPT = "> "


def typed_lines(words: Sequence[str]) -> Iterator[str]:
    """Yield lines of standard input, until its end or Ctrl-D.

    On a terminal a line can be edited, earlier ones are recalled with the arrow keys, and ``words``
    are completed. Ctrl-C drops the line that is being typed, if texts go to a terminal as well.
    """
    if not sys.stdin.isatty():
        yield from (line.rstrip("\r\n") for line in sys.stdin)
        return
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import WordCompleter
    from prompt_toolkit.history import FileHistory, History, InMemoryHistory
    from prompt_toolkit.output import create_output

    history: History = InMemoryHistory()
    try:
        place = Path(typer.get_app_dir("chargen")) / "history"
        place.parent.mkdir(parents=True, exist_ok=True)
        history = FileHistory(str(place))
    except OSError:
        pass  # a home that can't be written to: this session's own lines can be recalled
    asked: PromptSession[str] = PromptSession(
        history=history,
        completer=WordCompleter(list(words), sentence=True),
        complete_while_typing=False,
        output=create_output(sys.stderr),
    )
    while True:
        try:
            yield asked.prompt(_PROMPT)
        except KeyboardInterrupt:
            if not sys.stdout.isatty():
                raise
        except EOFError:
            return

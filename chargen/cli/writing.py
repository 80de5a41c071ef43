"""A writing session: lines and commands that are typed, and what the model adds to them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chargen.cli.boundary import report
from chargen.errors import ChargenError, ConfigError, GenerationError, system_error_text

if TYPE_CHECKING:
    from chargen.generation.generator import Generator
    from chargen.generation.ranking import Ranked
    from chargen.terminal.texts import TextWriter

_KEPT = "kept.txt"
_BEST_OF = 5


@dataclass(frozen=True)
class Turn:
    """One addition of the model.

    Attributes:
        prompt: all of the text before it, typed and drawn.
        drawn: what the model added.
        seed: that gives it again.
    """

    prompt: str
    drawn: str
    seed: int

    @property
    def text(self) -> str:
        return self.prompt + self.drawn


@dataclass
class Session:
    """The text so far, and how it goes on.

    Attributes:
        generator: the model.
        writer: shows texts.
        say: prints a line about the session.
        options: of sampling.
        alone: whether each line begins a new text.
        typed: whether someone types the lines: then an error is shown, and the session goes on.
        seed: of the next addition; None: a random one.
        form: of the next poem; None: prose.
        turns: the additions so far; the text is that of the last.
        choices: what ``/best`` drew last.
    """

    generator: Generator
    writer: TextWriter
    say: Callable[[str], None]
    options: dict[str, Any] = field(default_factory=dict)
    alone: bool = False
    typed: bool = True
    seed: int | None = None
    form: str | None = None
    turns: list[Turn] = field(default_factory=list)
    choices: list[Ranked] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All that is written so far."""
        return self.turns[-1].text if self.turns else ""

    def check(self) -> None:
        """Raise ChargenError if the model can't write, or not with these options."""
        self.generator.stream("", **self.asked())

    def answer(self, line: str) -> bool:
        """Act on a line; False: the session is over. Errors are raised unless it is typed."""
        name, _, rest = line[1:].partition(" ")
        if line.startswith("/") and name in _ENDS:
            return False
        try:
            if not line.startswith("/"):
                self._go_on(line)
            elif name in COMMANDS:
                COMMANDS[name].run(self, rest.strip())
            else:
                raise ConfigError(f"There is no /{name}.", "/help lists the commands.")
        except ChargenError as error:
            if not self.typed:
                raise
            report(error)
        return True

    def _go_on(self, line: str) -> None:
        """Add a line after the text, on a line of its own, and let the model go on."""
        from chargen.generation.engine import listed

        before = "" if self.alone else self.text
        glue = "\n" if before and not before.endswith("\n") else ""
        tokenizer = self.generator.loaded.tokenizer
        unseen = tokenizer.unseen(self.generator.as_learnt(line))
        if unseen and not tokenizer.has_bytes:
            self.say(f"The model has never seen {listed(unseen)}, and reads the line without.")
        self.draw(f"{before}{glue}{line}", "---\n" if self.alone and self.turns else "")

    def draw(self, prompt: str, separator: str = "") -> None:
        """Let the model go on after ``prompt``, showing what it adds as it comes."""
        seed, self.seed = self.next_seed(), None
        pieces = self.generator.stream(prompt, seed=seed, **self.asked())
        apart = self.form is not None or self.generator.answers
        drawn = "\n" if apart and prompt[-1:] not in ("", "\n") else ""
        self.writer.write(separator + drawn)
        try:
            for piece in pieces:
                self.writer.write(piece)
                drawn += piece
        except KeyboardInterrupt:
            if not (self.typed and self.writer.on_terminal):
                raise
            self.say("")
        self.writer.write("\n")
        self.turns.append(Turn(prompt, drawn, seed))
        self.choices = []

    def next_seed(self) -> int:
        return secrets.randbelow(2**31) if self.seed is None else self.seed

    def asked(self) -> dict[str, Any]:
        """Return the arguments of ``Generator.stream`` besides prompt and seed."""
        form = {} if self.form is None else {"form": self.form}
        return {"oov_prompt": "skip", **self.options, **form}

    def show(self) -> None:
        """Show the whole text again."""
        if self.turns:
            self.writer.prompt(self.turns[-1].prompt)
            self.writer.write(f"{self.turns[-1].drawn}\n")


@dataclass(frozen=True)
class SessionCommand:
    """A command of a session: how it is written, what it does, and the function that does it."""

    usage: str
    help: str
    run: Callable[[Session, str], None]


def _continue(session: Session, _rest: str) -> None:
    session.draw(session.text)


def _retry(session: Session, _rest: str) -> None:
    if not session.turns:
        raise GenerationError("There is nothing to draw again.", "Type a line first.")
    session.draw(session.turns.pop().prompt)


def _undo(session: Session, _rest: str) -> None:
    if not session.turns:
        raise GenerationError("There is nothing to undo.", "Type a line first.")
    session.turns.pop()
    session.say("Undone." if session.turns else "Undone: the text is empty.")
    session.show()


def _keep(session: Session, rest: str) -> None:
    path = Path(rest or _KEPT)
    if not session.text:
        raise GenerationError("There is no text to keep.", "Type a line first.")
    try:
        there = path.exists() and path.stat().st_size > 0
        with path.open("a", encoding="utf-8") as file:
            file.write(("---\n" if there else "") + session.text.rstrip("\n") + "\n")
    except OSError as error:
        raise GenerationError(
            f"The text can't be kept: {system_error_text(error)}.", "Name another file."
        ) from error
    session.say(f"Kept in {path}.")


def _best(session: Session, rest: str) -> None:
    """Draw several instead of the last addition, and keep the first by rank."""
    count = _number(rest, int) if rest else _BEST_OF
    prompt = session.turns.pop().prompt if session.turns else ""
    seed, session.seed = session.next_seed(), None
    session.choices = session.generator.ranked(prompt, best_of=count, seed=seed, **session.asked())
    for n, each in enumerate(session.choices, 1):
        session.writer.heading(f"{n}.")
        session.writer.write(f"{each.result.text}\n")
    _choose(session, prompt, 1)
    session.say("The first is kept; /pick N takes another.")


def _pick(session: Session, rest: str) -> None:
    number = _number(rest, int)
    if not session.choices:
        raise GenerationError("There is nothing to pick from.", "/best draws several.")
    if not 1 <= number <= len(session.choices):
        raise ConfigError(f"There is no number {number}.", f"Pick 1 to {len(session.choices)}.")
    _choose(session, session.turns.pop().prompt, number)
    session.show()


def _choose(session: Session, prompt: str, number: int) -> None:
    result = session.choices[number - 1].result
    session.turns.append(Turn(prompt, result.text, result.seed))


def _set(name: str, kind: Callable[[str], Any]) -> Callable[[Session, str], None]:
    """Return a command that sets an option of sampling."""

    def run(session: Session, rest: str) -> None:
        from chargen.options import SamplingConfig, check

        if rest:
            value = _number(rest, kind)
            of_sampling = SamplingConfig.entries().keys() & session.options.keys()
            chosen = {each: session.options[each] for each in of_sampling}
            check(also=SamplingConfig.problems_in({**chosen, name: value}))
            session.options[name] = value
        session.say(f"{name} {session.options.get(name, getattr(SamplingConfig(), name))}")

    return run


def _form(session: Session, rest: str) -> None:
    from chargen.generation.poems.asked import read_form
    from chargen.options import check

    if rest in ("", "none"):
        session.form = None
        session.say("Prose.")
        return
    check(also=read_form(rest)[1])
    session.form = rest
    session.say(f"The next texts are poems: {rest}. /form none goes back to prose.")


def _seed(session: Session, rest: str) -> None:
    if rest:
        session.seed = _number(rest, int)
        session.say(f"The next addition has the seed {session.seed}.")
    elif session.turns:
        session.say(f"The last addition has the seed {session.turns[-1].seed}.")
    else:
        session.say("Nothing has been drawn yet.")


def _new(session: Session, _rest: str) -> None:
    session.turns.clear()
    session.say("A new text.")


def _help(session: Session, _rest: str) -> None:
    session.say("A line is added to the text, and the model goes on. Ctrl-C stops it, Ctrl-D ends.")
    width = max(len(each.usage) for each in COMMANDS.values())
    for each in COMMANDS.values():
        session.say(f"  {each.usage:{width}}  {each.help}")


def _number(text: str, kind: Callable[[str], Any]) -> Any:
    try:
        return kind(text)
    except ValueError:
        raise ConfigError(f"{text!r} is not a number.", "Give one.") from None


COMMANDS: Mapping[str, SessionCommand] = {
    "continue": SessionCommand("/continue", "Let the model go on.", _continue),
    "retry": SessionCommand("/retry", "Draw the last addition again.", _retry),
    "undo": SessionCommand("/undo", "Take the last addition back, and its line.", _undo),
    "best": SessionCommand("/best [5]", "Draw several instead of the last, the best first.", _best),
    "pick": SessionCommand("/pick 2", "Take another of those.", _pick),
    "keep": SessionCommand("/keep [FILE]", f"Append the text to a file, {_KEPT}.", _keep),
    "show": SessionCommand("/show", "Show the whole text.", lambda session, _: session.show()),
    "new": SessionCommand("/new", "Begin a new text.", _new),
    "temp": SessionCommand("/temp 0.6", "Set the temperature.", _set("temperature", float)),
    "length": SessionCommand("/length 200", "Set the length.", _set("length", int)),
    "end": SessionCommand("/end sentence", "Set where a text ends.", _set("end", str)),
    "form": SessionCommand("/form qijue", "Write poems of a form, or prose: none.", _form),
    "seed": SessionCommand("/seed [7]", "Set the seed of the next addition.", _seed),
    "help": SessionCommand("/help", "List the commands.", _help),
    "quit": SessionCommand("/quit", "End the session.", lambda _, __: None),
}
_ENDS = ("quit", "exit", "q")


def hold(session: Session, lines: Iterator[str]) -> None:
    """Hold a session over its lines; an error that ends it says which line is to blame."""
    for number, line in enumerate(lines, 1):
        try:
            if line.strip() and not session.answer(line):
                return
        except ChargenError as error:
            kind = ConfigError if isinstance(error, ConfigError) else GenerationError
            raise kind(f"Line {number:,}: {error.message}", error.remedy) from error

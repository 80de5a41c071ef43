"""The decorator that makes a command of a function, with options from the fields of configs."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, get_type_hints

import typer

from chargen.cli.boundary import bounded
from chargen.cli.completion import of_option
from chargen.cli.naming import in_flags
from chargen.cli.own import checked_later, lenient, problems_of
from chargen.errors import ConfigError
from chargen.options import Config, check
from chargen.options.cells import cells_with
from chargen.options.field import Entry

_COMMON = {
    "quiet": ("--quiet", "-q", "Print nothing but data and errors."),
    "debug": ("--debug", "Show tracebacks."),
}


@dataclass(frozen=True)
class Selection:
    """Some options of a config.

    Attributes:
        config: which has them.
        names: of the options.
        defaults: values of those that the command sets where they aren't given.
        described: how the defaults of some are described.
        meant: what some mean here, where that isn't what they mean elsewhere.
        several: those that take several values, repeated or separated by commas; theirs is a list.
    """

    config: type[Config]
    names: tuple[str, ...]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    described: Mapping[str, str] = field(default_factory=dict)
    meant: Mapping[str, str] = field(default_factory=dict)
    several: tuple[str, ...] = ()

    def problems(self, options: Mapping[str, Any]) -> list[str]:
        """Describe the problems of the selected options, one line each."""
        chosen = {n: options[n] for n in self.names if n in options and n not in self.several}
        return self.config.problems_in(chosen)


def only(
    config: type[Config],
    *names: str,
    described: Mapping[str, str] | None = None,
    meant: Mapping[str, str] | None = None,
    **defaults: Any,
) -> Selection:
    """Select the options ``names`` of a config, and those in ``defaults`` with another default."""
    return Selection(config, (*names, *defaults), defaults, described or {}, meant or {})


def each_of(config: type[Config], *several: str) -> Selection:
    """Select all options of a config, of which ``several`` take several values."""
    names = [name for name, entry in config.entries().items() if not entry.option.derived]
    return Selection(config, tuple(names), several=several)


@dataclass(frozen=True)
class _Flag:
    """An option as a command has it: its field, its default in words, whether it is a list."""

    entry: Entry
    default_text: str | None = None
    several: bool = False


def command(
    *sources: type[Config] | Selection,
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a Typer command of a function.

    If the function has a parameter ``options``, the command gets an option for each field of
    ``sources``, and the function a dict of the options that were given or that a ``Selection`` has
    a default for. A parameter ``terminal`` receives a ``Terminal``. Every command takes ``--quiet``
    and ``--debug``; its exceptions become lines on standard error and an exit status.
    """
    selections = [source for source in sources if isinstance(source, Selection)]
    flags = {flag.entry.parameter: flag for flag in _flags(sources)}

    def made(function: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(function)
        def run(**arguments: Any) -> None:
            quiet = arguments.pop("quiet")
            arguments.pop("debug")
            options = {name: _value(flag, arguments.pop(name)) for name, flag in flags.items()}
            wrong = problems_of(judged, arguments)
            if "options" not in own:
                check(also=wrong)
            else:
                given = {n: v for n, v in options.items() if v is not None}
                for selection in selections:
                    given = {**selection.defaults, **given}
                if len(selections) == len(sources):  # a whole config is checked when it is made
                    wrong += [line for each in selections for line in each.problems(given)]
                check(also=wrong)
                arguments["options"] = given
            if "terminal" in own:
                from chargen.terminal.console import Terminal

                arguments["terminal"] = Terminal(quiet=quiet, words=in_flags)
            function(**arguments)

        own = inspect.signature(function).parameters
        judged: dict[str, Entry] = {}
        shown = list(_parameters(function, flags, judged))
        run.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
        run.__annotations__ = {each.name: each.annotation for each in shown}
        return bounded(run)

    return made


def _flags(sources: tuple[type[Config] | Selection, ...]) -> Iterator[_Flag]:
    """Yield each option of ``sources`` that can be set."""
    for source in sources:
        if isinstance(source, Selection):
            known = source.config.entries()
            described = {**{n: f"{v}" for n, v in source.defaults.items()}, **source.described}
            for name in source.names:
                entry = known[name]
                if name in source.meant:
                    option = replace(entry.option, help=source.meant[name])
                    entry = replace(entry, option=option)
                yield _Flag(entry, described.get(name), name in source.several)
        else:
            chosen = (each for each in source.entries().values() if not each.option.derived)
            yield from map(_Flag, chosen)


def _parameters(
    function: Callable[..., None], flags: Mapping[str, _Flag], judged: dict[str, Entry]
) -> Iterator[inspect.Parameter]:
    """Yield the parameters that Typer sees; ``judged`` gets the command's own that are checked."""
    hints = get_type_hints(function, localns={"Terminal": object}, include_extras=True)
    for own in inspect.signature(function).parameters.values():
        if own.name == "options":
            for name, flag in flags.items():
                yield _keyword(name, _annotation(flag))
        elif own.name != "terminal":
            annotation, entry = checked_later(own, hints[own.name])
            if entry is not None:
                judged[own.name] = entry
            yield own.replace(kind=own.KEYWORD_ONLY, annotation=annotation)
    for name, (*names, words) in _COMMON.items():
        yield _keyword(name, Annotated[bool, typer.Option(*names, help=words)], default=False)


def _keyword(name: str, annotation: Any, default: Any = None) -> inspect.Parameter:
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, default=default, annotation=annotation)


def _annotation(flag: _Flag) -> Any:
    """Return the annotation of an option, whose value is None or empty if it isn't given."""
    entry, known = flag.entry, flag.entry.option
    kind: Any = list[str] if flag.several or entry.kind is tuple else entry.kind
    words = help_of(entry, flag.default_text, several=flag.several)
    return Annotated[
        kind | None,
        typer.Option(
            *entry.flags,
            help=words,
            rich_help_panel=known.panel,
            parser=lenient(kind) if kind in (int, float) else None,
            autocompletion=of_option(entry.name, known.choices),
        ),
    ]


def help_of(entry: Entry, default_text: str | None = None, *, several: bool = False) -> str:
    """Return the help text: meaning, values, cells, default; brackets are escaped for rich."""
    known = entry.option
    words = known.help
    if known.choices is not None:
        each = (f"{name} ({what})" if what else name for name, what in known.choices.items())
        words += f": {', '.join(each)}"
    if cells := cells_with(entry.name):
        words += f" ({', '.join(cells)})"
    if entry.kind is tuple:
        words += "; repeatable"
    if known.escaped:
        words += r", \n and other escapes are understood"
    if several:
        words += "; repeatable, or several separated by commas: a text with each"
    default = default_text or known.default_text or _default(entry)
    return f"{words}." + (f" \\[default: {default}]" if default else "")


def _default(entry: Entry) -> str:
    if entry.default is None or entry.default == () or entry.default is False:
        return ""
    if entry.kind is bool:
        return entry.flags[0].split("/")[0].removeprefix("--")
    return f"{entry.default:g}" if entry.kind is float else str(entry.default)


def _value(flag: _Flag, given: Any) -> Any:
    """Convert a value from the command line to that of a config; None if it wasn't given."""
    entry = flag.entry
    if given is None or given == []:
        return None
    if flag.several:
        try:
            return [entry.kind(part) for text in given for part in text.split(",")]
        except ValueError:
            raise ConfigError(
                f"`{entry.name}` is {','.join(given)!r}, not numbers separated by commas.",
                "Give numbers such as 0.5,0.8,1.1.",
            ) from None
    return [unescape(text) for text in given] if entry.option.escaped else given


def unescape(text: str) -> str:
    r"""Turn ``\n``, ``\t``, ``\\``, ``\u4e00`` and the like into the characters they stand for.

    As in JSON, a pair of surrogates such as ``\ud83d\ude00`` is one character above U+FFFF.
    """
    plain = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "\\": "\\"}

    def character(match: re.Match[str]) -> str:
        found = match.group(1)
        return plain[found] if found in plain else chr(int(found[1:], 16))

    meant = re.sub(r"\\([ntr0\\]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4})", character, text)
    return meant.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")

"""Options as fields of configs.

The validation of an option, its flag on the command line, its field in a batch job and its entry in
the reference are derived from its field. A config may be built with any values; ``check`` reports
all problems of several configs at once.
"""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass
from numbers import Integral, Real
from typing import Any, ClassVar, Self, Union, get_args, get_origin, get_type_hints

from chargen.errors import ConfigError
from chargen.options.names import meant, reject_unknown

_TOO_LARGE = 2**63
_LONGEST_SHOWN = 60
_KINDS: Mapping[type, tuple[type | tuple[type, ...], str]] = {
    bool: (bool, "True or False"),
    int: (Integral, "an integer"),
    float: (Real, "a number"),
    str: (str, "a string"),
    tuple: ((tuple, list), "a list of strings"),
}


@dataclass(frozen=True)
class Option:
    """The properties of an option besides its name, type and default.

    Attributes:
        help: a noun phrase with the unit, without a full stop.
        low, high: the least and the greatest value allowed.
        above, below: exclusive bounds.
        choices: the values allowed, each with its meaning or an empty string.
        rule: a check beyond bounds: returns what is allowed, in words, or None if the value is.
        flag, aliases: the flags on the command line; by default one made from the name.
        parameter: the name on the command line and in Python if it isn't that of the field.
        panel: the heading under which ``--help`` lists it.
        negatable: whether ``--no-…`` turns it off.
        default_text: the default in words, where it is not a fixed value.
        changeable: whether a resumed run may change it.
        escaped: whether escapes such as that of a newline are replaced on the command line.
        derived: whether it follows from the corpus and can't be set.
        integers: whether an integer stands for the string of its digits.
        keyed: whether its strings are KEY=VALUE, which a job may give as an object.
        switch: the choices that False and True stand for; the flag alone is the latter.
    """

    help: str
    low: float | None = None
    high: float | None = None
    above: float | None = None
    below: float | None = None
    choices: Mapping[str, str] | None = None
    rule: Callable[[Any], str | None] | None = None
    flag: str | None = None
    aliases: tuple[str, ...] = ()
    parameter: str | None = None
    panel: str | None = None
    negatable: bool = False
    default_text: str | None = None
    changeable: bool = False
    escaped: bool = False
    derived: bool = False
    integers: bool = False
    keyed: bool = False
    switch: tuple[str, str] | None = None

    def fault(self, value: Any) -> str | None:
        """Return what is allowed instead of ``value``, which has the right type, or None."""
        if self.choices is not None and value not in self.choices:
            return f"one of {', '.join(self.choices)}"
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            bounds = self._bounds(value)
            if not all(held for held, _ in bounds):
                return " and ".join(words for _, words in bounds)
        return self.rule(value) if self.rule else None

    def _bounds(self, value: float) -> list[tuple[bool, str]]:
        """Return each bound of a number: whether ``value`` is within it, and its description."""
        bounds = []
        if self.low is not None:
            bounds.append((value >= self.low, f"at least {_in_words(self.low)}"))
        if self.above is not None:
            bounds.append((value > self.above, f"above {_in_words(self.above)}"))
        if self.high is not None:
            bounds.append((value <= self.high, f"at most {_in_words(self.high)}"))
        if self.below is not None:
            bounds.append((value < self.below, f"below {_in_words(self.below)}"))
        if isinstance(value, float):
            if self.high is None and self.below is None:
                bounds.append((math.isfinite(value), "finite"))
        elif self.below is None and value >= _TOO_LARGE:
            bounds.append((False, f"below {_in_words(_TOO_LARGE)}"))
        return bounds


def _in_words(number: float) -> str:
    names: Mapping[float, str] = {2**63: "2^63", 2**64: "2^64", 2 / 3: "2/3"}
    return names.get(number) or str(number)


def option(default: Any = MISSING, help: str = "", **facts: Any) -> Any:
    """Declare the field of a config for an option; ``facts`` are the attributes of ``Option``."""
    return dataclasses.field(default=default, metadata={"option": Option(help, **facts)})


@dataclass(frozen=True)
class Entry:
    """An option with the name, type and default of its field.

    Attributes:
        kind: ``bool``, ``int``, ``float``, ``str`` or ``tuple`` (of strings).
        nullable: whether None is allowed.
    """

    name: str
    kind: type
    nullable: bool
    default: Any
    option: Option

    @property
    def parameter(self) -> str:
        """The name on the command line and in Python."""
        return self.option.parameter or self.name

    @property
    def flags(self) -> tuple[str, ...]:
        """The flags on the command line, the main one first."""
        name = self.parameter.replace("_", "-")
        flag = f"--{name}/--no-{name}" if self.option.negatable else f"--{name}"
        return self.option.flag or flag, *self.option.aliases

    @property
    def annotation(self) -> Any:
        """The type as an annotation."""
        kind: Any = tuple[str, ...] if self.kind is tuple else self.kind
        return kind | None if self.nullable else kind

    def problem(self, value: Any) -> str | None:
        """Describe what is wrong with a value; None if nothing is."""
        if value is None and self.nullable:
            return None
        if isinstance(value, bool) and self.option.switch is not None:
            return None
        accepted, wanted = _KINDS[self.kind]
        fits = isinstance(value, accepted) and (self.kind is bool or not isinstance(value, bool))
        if self.kind is tuple and fits:
            fits = all(isinstance(each, str) for each in value)
        fault = self.option.fault(self._comparable(value)) if fits else wanted
        if fault is None:
            return None
        return (
            f"`{self.parameter}` is {_shown(value)}{meant(value, self.option.choices)}, not {fault}"
        )

    def normalised(self, value: Any) -> Any:
        """Convert a value for a config: lists and strings to tuples, NumPy numbers to Python's,
        True and False to what they stand for.
        """
        if isinstance(value, bool) and self.option.switch is not None:
            return self.option.switch[value]
        if self.kind is tuple:
            value = (value,) if isinstance(value, str) else value
            return tuple(value) if isinstance(value, list) else value
        if isinstance(value, bool) or not isinstance(value, Real):
            return value
        if self.option.integers and isinstance(value, Integral):
            return str(int(value))
        return int(value) if isinstance(value, Integral) else _as_float(value)

    def _comparable(self, value: Any) -> Any:
        """Convert a value of the right type so that it can be compared."""
        if self.kind is int:
            return int(value)
        return _as_float(value) if self.kind is float else value


def _shown(value: Any) -> str:
    """Return the repr of a value, cut if it is long."""
    try:
        text = repr(value)
    except ValueError:  # Python limits the length of integers it converts to text
        return "a number of thousands of digits"
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 1]}…"


def _as_float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


_ENTRIES: dict[type, Mapping[str, Entry]] = {}
"""A cache of the options of each config."""


class Config:
    """Base of all configs. A subclass is a frozen dataclass whose fields are options."""

    judged_whole: ClassVar[bool] = False
    """Whether conflicts can be looked for only if each value is allowed by itself."""

    @classmethod
    def entries(cls) -> Mapping[str, Entry]:
        """Return the options of this config, by the names of its fields."""
        found: Mapping[str, Entry] = _ENTRIES.get(cls) or _entries(cls)
        return found

    @classmethod
    def problems_in(cls, values: Mapping[str, Any]) -> list[str]:
        """Describe the problems of some values, by the names of their fields, one line each.

        Missing values count as defaults where values depend on each other.
        """
        entries = cls.entries()
        wrong = {name: p for name, value in values.items() if (p := entries[name].problem(value))}
        found = list(wrong.values())
        if found and cls.judged_whole:
            return found
        return found + cls.conflicts_in({n: v for n, v in values.items() if n not in wrong})

    @classmethod
    def conflicts_in(cls, values: Mapping[str, Any]) -> list[str]:
        """Describe which values, each allowed by itself, are not allowed together."""
        del values
        return []

    def problems(self) -> list[str]:
        """Describe the problems of this config, one line each."""
        return self.problems_in({name: getattr(self, name) for name in self.entries()})

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)  # type: ignore[call-overload, no-any-return]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Make a config from the values of some fields; an unknown name is a ConfigError."""
        reject_unknown(values, cls.entries())
        return cls(**{name: cls.entries()[name].normalised(v) for name, v in values.items()})


def _entries(config: type[Config]) -> Mapping[str, Entry]:
    hints = get_type_hints(config)
    found = {}
    for each in dataclasses.fields(config):  # type: ignore[arg-type]
        kind, nullable = _kind_of(hints[each.name])
        default = None if each.default is MISSING else each.default
        found[each.name] = Entry(each.name, kind, nullable, default, each.metadata["option"])
    _ENTRIES[config] = types.MappingProxyType(found)
    return _ENTRIES[config]


def _kind_of(hint: Any) -> tuple[type, bool]:
    """``int | None`` as (int, True); ``tuple[str, ...]`` as (tuple, False)."""
    if get_origin(hint) in (Union, types.UnionType):
        (kind,) = (each for each in get_args(hint) if each is not type(None))
        return _kind_of(kind)[0], True
    return get_origin(hint) or hint, False


def check(*configs: Config, also: Iterable[str] = ()) -> None:
    """Raise one ConfigError for all problems of ``configs`` and those in ``also``, if any."""
    found = [line for config in configs for line in config.problems()] + list(also)
    if found:
        noun = "One option is" if len(found) == 1 else f"{len(found)} options are"
        raise ConfigError(f"{noun} not usable: {'; '.join(found)}.", "Correct the values.")


def distribute(values: Mapping[str, Any], *configs: type[Config]) -> tuple[dict[str, Any], ...]:
    """Distribute options, by their names in Python, among the fields of configs.

    Raises:
        ConfigError: a name belongs to none of the configs.
    """
    known = {
        entry.parameter: (n, entry)
        for n, config in enumerate(configs)
        for entry in config.entries().values()
        if not entry.option.derived
    }
    reject_unknown(values, known)
    parts: tuple[dict[str, Any], ...] = tuple({} for _ in configs)
    for name, value in values.items():
        place, entry = known[name]
        parts[place][entry.name] = entry.normalised(value)
    return parts

"""The options that ask for a poem, as ``sample`` and ``batch`` have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chargen.errors import ConfigError

if TYPE_CHECKING:
    from chargen.generation.forms import Form


def form_option(form: str | None, acrostic: str, *, rhyme: bool, tones: bool) -> Form | None:
    """The form that the options ask for; ConfigError says what is wrong with it."""
    if form is None:
        if acrostic or rhyme or tones:
            raise ConfigError(
                "An acrostic, rhyme or tones need a form to go with.",
                "Name one, for instance --form qijue.",
            )
        return None
    from chargen.generation.jobs import form_of

    try:
        wanted = form_of(form, acrostic, rhyme=rhyme, tones=tones)
    except ValueError as error:
        raise ConfigError(f"The form is not usable: {error}.", "See --help.") from error
    if problems := wanted.problems():
        raise ConfigError(f"The form is not usable: {'; '.join(problems)}.", "See --help.")
    return wanted

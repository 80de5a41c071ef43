"""The options that ask for a poem, as ``sample`` and ``batch`` have them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chargen.generation.poems.forms import Form


def form_option(
    form: str | None, acrostic: str, *, rhyme: bool, tones: bool
) -> tuple[Form | None, list[str]]:
    """The form that the options ask for, and what is wrong with it."""
    if form is None:
        needs = "an acrostic, rhyme or tones need a form to go with, for instance --form qijue"
        return None, [needs] if acrostic or rhyme or tones else []
    from chargen.generation.batch.fields import form_of

    try:
        wanted = form_of(form, acrostic, rhyme=rhyme, tones=tones)
    except ValueError as error:
        return None, [f"form: {error}"]
    return wanted, [f"form: {problem}" for problem in wanted.problems()]

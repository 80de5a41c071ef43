"""Other characters for a place of a finished poem."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from chargen.generation.poems.judging import holds
from chargen.generation.poems.poet import Task


def fitting(verses: Sequence[str], place: int, characters: Iterable[str], task: Task) -> list[str]:
    """Return those characters with which a poem keeps tones, rhyme and parallelism.

    Args:
        verses: the poem.
        place: of the character that is to be replaced, counted through all verses.
        characters: Chinese characters.
        task: what the poem has to keep; what it gives is not looked at.
    """
    verse, within = divmod(place, task.plan.characters)
    line = verses[verse]
    return [
        c
        for c in characters
        if holds(
            [*verses[:verse], line[:within] + c + line[within + 1 :], *verses[verse + 1 :]], task
        )
    ]

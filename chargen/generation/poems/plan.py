"""The shape of a poem: its verses, the marks between them, and what stands before it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from chargen.errors import GenerationError
from chargen.generation.poems.forms import FORMS, MOST_CHARACTERS, Form

HANZI = re.compile("[\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]")
_COMMA, _FULL_STOP, _LINE_END = "，", "。", "\n"
_MARKS = "，。！？；：、,.!?;:"


@dataclass(frozen=True)
class Plan:
    """The shape of a poem; ``marks`` is the text after each verse."""

    verses: int
    characters: int
    marks: tuple[str, ...]

    @property
    def length(self) -> int:
        """The number of characters of the whole poem, marks included."""
        return self.verses * self.characters + len("".join(self.marks))


def most_characters(form: Form, prompt: str, *, answers: bool = False) -> int:
    """Characters that a poem of a form has at most.

    A run that answers lines answers the whole prompt by a couplet, others its last verse.
    """
    if form.name == "couplet":
        return len(prompt if answers else line_to_answer(prompt)) + len(_FULL_STOP)
    return _poem_plan(form).length


def plan(form: Form, prompt: str) -> Plan:
    """Return the shape of a poem.

    Raises:
        GenerationError: the prompt has no last line that a couplet can answer.
    """
    return _couplet_plan(form, prompt) if form.name == "couplet" else _poem_plan(form)


def lead(form: Form, prompt: str) -> str:
    """Return the prompt before the poem, closed by a line end or a comma."""
    if form.name == "couplet":
        return prompt if _last_line(prompt)[1] else prompt + _COMMA
    return prompt if not prompt or prompt.endswith(_LINE_END) else prompt + _LINE_END


def line_to_answer(prompt: str) -> str:
    """Return the last line of a prompt, without the punctuation at its end."""
    return _last_line(prompt)[0]


def _last_line(prompt: str) -> tuple[str, str]:
    """Return the last line of a prompt, and the punctuation at its end."""
    body = prompt.removesuffix(_LINE_END).rstrip(_MARKS)
    before = max(body.rfind(mark) for mark in _MARKS + _LINE_END)
    return body[before + 1 :], prompt[len(body) :]


def _poem_plan(form: Form) -> Plan:
    verses, characters = form.verses, FORMS[form.name].characters or form.characters or 0
    if form.name == "lines":
        return Plan(verses, characters, (_LINE_END,) * (verses - 1) + ("",))
    couplet = (_COMMA, _FULL_STOP + _LINE_END)
    marks = (*(couplet * (verses // 2))[:-1], _FULL_STOP)
    return Plan(verses, characters, marks)


def _couplet_plan(form: Form, prompt: str) -> Plan:
    line, closing = _last_line(prompt)
    if not line or len(line) > MOST_CHARACTERS or not all(map(HANZI.fullmatch, line)):
        raise GenerationError(
            f"A {form.name} needs a prompt whose last line has only Chinese characters.",
            f"End the prompt with a line of 1 to {MOST_CHARACTERS} Chinese characters.",
        )
    return Plan(1, len(line), ("" if closing == _LINE_END else _FULL_STOP,))

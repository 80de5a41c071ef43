"""The README says what is true and is short, and links between documents lead somewhere."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from chargen.training.presets import PRESETS
from tests.cli.test_reference import flags_of, real_helps

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"


def test_the_presets_are_all_there() -> None:
    text = README.read_text("utf-8")
    assert [name for name in PRESETS if f"| `{name}` | {PRESETS[name].summary} |" not in text] == []


def test_the_first_two_blocks_are_a_newcomers_commands() -> None:
    main, tests = re.findall(r"^```sh\n(.*?)^```$", README.read_text("utf-8"), re.M | re.S)[:2]
    assert "chargen train" in main
    assert "chargen sample" in main
    assert "pytest" in tests
    assert all("venv" in block and "-c .ci/constraints.txt" in block for block in (main, tests))


def shown_commands() -> Iterator[list[str]]:
    """The words after ``chargen`` of each command line in the README."""
    text = README.read_text("utf-8")
    for block in re.findall(r"^```(?:console|sh)\n(.*?)^```$", text, re.M | re.S):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            while words:
                ends = [n for n, word in enumerate(words) if word in ("|", ";", "&&", ">")]
                end = ends[0] if ends else len(words)
                if words[:1] and words[0].rpartition("/")[2] == "chargen":
                    yield words[1:end]
                words = words[end + 1 :]


def wrong_with(words: list[str]) -> str | None:
    """What a command line names that isn't there."""
    helps = real_helps()
    known = [name for name in helps if words[: len(name.split())] == name.split()]
    command = max(known, key=len)
    if not command and words and not words[0].startswith("-"):
        return f"chargen {words[0]}"
    known_flags = flags_of(helps[command])
    for word in words:
        flag = word.partition("=")[0]
        if re.match(r"--?[a-z]", flag) and flag not in known_flags:
            return f"chargen {command} {flag}"
    return None


def test_every_command_line_can_be_given() -> None:
    commands = list(shown_commands())
    assert commands
    assert [wrong for words in commands if (wrong := wrong_with(words))] == []


def headings(document: Path) -> set[str]:
    """The anchors of a document's headings, as hosts of Git make them."""
    titles = re.findall(r"^#+ (.*)$", document.read_text("utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def leads_nowhere(document: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (document.parent / path).resolve() if path else document
    return not target.exists() or bool(anchor and anchor not in headings(target))


def test_links_between_documents_lead_somewhere() -> None:
    documents = [README, *ROOT.glob(".github/*.md")]
    documents += [each for room in ("chargen", "tests") for each in (ROOT / room).rglob("*.md")]
    links = [
        (str(document.relative_to(ROOT)), link)
        for document in documents
        for link in re.findall(r"\]\(([^)\s]+)\)", document.read_text("utf-8"))
        if "://" not in link
    ]
    assert len(links) > 20
    assert [each for each in links if leads_nowhere(ROOT / each[0], each[1])] == []


def test_it_is_short() -> None:
    text = README.read_text("utf-8")
    assert len(text.splitlines()) <= 300
    assert len(text.encode()) <= 25_000

"""Options that several commands share, each written once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from chargen.cells import CELLS
from chargen.cli.poems import form_option
from chargen.config import DEVICES, OOV_PROMPT_CHOICES, CorpusConfig, SamplingConfig, check

if TYPE_CHECKING:
    from chargen.generation.poems.forms import Form

_CORPUS, _SAMPLING = CorpusConfig(), SamplingConfig()

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Nothing but data and errors.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show tracebacks.")]
Json = Annotated[bool, typer.Option("--json", help="Report as JSON on standard output.")]
Threads = Annotated[int, typer.Option("--threads", min=0, help="CPU threads; 0: torch's choice.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")]
Checkpoint = Annotated[
    str | None,
    typer.Argument(help="A run folder, or its name in checkpoints/; by default the newest run."),
]

PREPARE = "Preparing the text"
VocabSize = Annotated[
    int | None,
    typer.Option(
        "--vocab-size",
        help=f"Characters kept, the most frequent ones. \\[default: {_CORPUS.vocab_size}]",
        rich_help_panel=PREPARE,
    ),
]
Oov = Annotated[
    str | None,
    typer.Option(
        "--oov",
        help="What becomes of the others: bytes (nothing is lost), unk, or auto: bytes where the "
        f"text needs it. \\[default: {_CORPUS.oov}]",
        rich_help_panel=PREPARE,
    ),
]
Encoding = Annotated[
    str | None,
    typer.Option(
        "--encoding",
        help=f"Of the text, e.g. gb18030; auto detects it. \\[default: {_CORPUS.encoding}]",
        rich_help_panel=PREPARE,
    ),
]
Errors = Annotated[
    str | None,
    typer.Option(
        "--errors",
        help="Bytes that don't decode: strict stops, replace puts U+FFFD. "
        f"\\[default: {_CORPUS.errors}]",
        rich_help_panel=PREPARE,
    ),
]
Convert = Annotated[
    str | None,
    typer.Option(
        "--convert",
        help="t2s: traditional to simplified script; s2t: the other way; none. "
        f"\\[default: {_CORPUS.convert}]",
        rich_help_panel=PREPARE,
    ),
]
ValFrac = Annotated[
    float | None,
    typer.Option(
        "--val-frac",
        help="Share of the text, its end, kept for validation; 0: none. "
        f"\\[default: {_CORPUS.val_frac}]",
        rich_help_panel=PREPARE,
    ),
]

SAMPLING = "Sampling, in the order in which it is applied"
Length = Annotated[
    int | None,
    typer.Option("--length", "-n", help=f"Characters. \\[default: {_SAMPLING.length}]"),
]
RepetitionPenalty = Annotated[
    float | None,
    typer.Option(
        "--repetition-penalty",
        help=f"Makes the last {_SAMPLING.repetition_window} pieces less likely; 1: off. "
        f"\\[default: {_SAMPLING.repetition_penalty:g}]",
        rich_help_panel=SAMPLING,
    ),
]
Temperature = Annotated[
    float | None,
    typer.Option(
        "--temp",
        "--temperature",
        "-t",
        help="Divides the logits: low is careful, high is wild; 0 takes the likeliest always. "
        f"\\[default: {_SAMPLING.temperature}]",
        rich_help_panel=SAMPLING,
    ),
]
TopK = Annotated[
    int | None,
    typer.Option(
        "--top-k",
        help=f"Draw from the k likeliest; 0: off. \\[default: {_SAMPLING.top_k}]",
        rich_help_panel=SAMPLING,
    ),
]
TopP = Annotated[
    float | None,
    typer.Option(
        "--top-p",
        help="Draw from the fewest that reach this probability together; 1: off. "
        f"\\[default: {_SAMPLING.top_p:g}]",
        rich_help_panel=SAMPLING,
    ),
]
MinP = Annotated[
    float | None,
    typer.Option(
        "--min-p",
        help="Drop what is less likely than this share of the likeliest; 0: off. "
        f"\\[default: {_SAMPLING.min_p:g}]",
        rich_help_panel=SAMPLING,
    ),
]
Stop = Annotated[
    list[str] | None,
    typer.Option(
        "--stop",
        help=r"End before this text; \n and other escapes are understood; may be repeated.",
    ),
]
OovPrompt = Annotated[
    str,
    typer.Option(
        "--oov-prompt",
        help="Prompt characters that the model can't read: error, or skip them.",
    ),
]
POEMS = "Poems"
FormName = Annotated[
    str | None,
    typer.Option(
        "--form",
        help="wujue, qijue, wulv, qilv (four or eight verses of five or seven), couplet (answers "
        'the prompt\'s last line), or JSON: {"name": "lines", "lines": 6, "characters": 4}.',
        rich_help_panel=POEMS,
    ),
]
Acrostic = Annotated[
    str,
    typer.Option(
        "--acrostic",
        help="The verses begin with these characters, one each.",
        show_default=False,
        rich_help_panel=POEMS,
    ),
]
Rhyme = Annotated[
    bool, typer.Option("--rhyme", help="The even verses rhyme.", rich_help_panel=POEMS)
]
Tones = Annotated[
    bool,
    typer.Option("--tones", help="Keep the classical tone patterns.", rich_help_panel=POEMS),
]
OutDir = Annotated[Path, typer.Option("--out-dir", help="Folder of the runs.")]


def only_for(option: str) -> str:
    """The cells that have an option, in brackets, for its help."""
    return f" ({', '.join(name for name, entry in CELLS.items() if option in entry.options)})"


def given(**options: object) -> dict[str, object]:
    """The options that were given: those that aren't None."""
    return {name: value for name, value in options.items() if value is not None}


def texts_wanted(options: Mapping[str, Any], also: list[str]) -> tuple[SamplingConfig, Form | None]:
    """What the options that ``sample`` and ``batch`` share ask for.

    Args:
        options: a command's, all of them; those of the poems, of the device and of the prompt's
            characters are checked as well.
        also: what else is wrong with the command's options.

    Raises:
        ConfigError: all that is wrong, at once.
    """
    values = given(**{f.name: options.get(f.name) for f in fields(SamplingConfig)})
    if "stop" in values:
        values["stop"] = tuple(unescape(text) for text in options["stop"])
    form, problems = form_option(
        options["form"], options["acrostic"], rhyme=options["rhyme"], tones=options["tones"]
    )
    for name, allowed in (("oov_prompt", OOV_PROMPT_CHOICES), ("device", DEVICES)):
        if options[name] not in allowed:
            problems.append(f"{name} is {options[name]!r}, not one of {', '.join(allowed)}")
    sampling = SamplingConfig.from_dict(values)
    check(sampling, also=also + problems)
    return sampling, form


def unescape(text: str) -> str:
    r"""``\n``, ``\t``, ``\\``, ``\u4e00`` and the like as the characters that they mean.

    As in JSON, a pair of surrogates, ``\ud83d\ude00``, is the one character beyond U+FFFF.
    """
    import re

    plain = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "\\": "\\"}

    def character(match: re.Match[str]) -> str:
        found = match.group(1)
        return plain[found] if found in plain else chr(int(found[1:], 16))

    meant = re.sub(r"\\([ntr0\\]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4})", character, text)
    return meant.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def corpus_config(
    vocab_size: int | None,
    oov: str | None,
    encoding: str | None,
    errors: str | None,
    convert: str | None,
    val_frac: float | None,
) -> CorpusConfig | None:
    """The config of prepare's options; None where none was given."""
    values = given(
        vocab_size=vocab_size,
        oov=oov,
        encoding=encoding,
        errors=errors,
        convert=convert,
        val_frac=val_frac,
    )
    return CorpusConfig.from_dict(values) if values else None

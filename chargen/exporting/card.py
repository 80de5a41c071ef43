"""The card of a model: what a hub shows of it."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from typing import Any

from chargen.corpus.tokenizer import Tokenizer
from chargen.exporting.command import sample_command
from chargen.options import ExportConfig
from chargen.runs.finding import name_of
from chargen.runs.loaded import LoadedModel

_METRIC = "bits_per_character"
_MARK = "```"


def card(
    loaded: LoadedModel, config: ExportConfig, sample: str, training: str, *, alone: bool = False
) -> str:
    """The card as Markdown, with YAML at its head.

    Args:
        loaded: the run.
        config: has the licence, and the language unless the script tells it.
        sample: a text of the model, by the seed and temperature that ``hub`` names.
        training: the command that trains the run.
        alone: whether the run's counts were left out.
    """
    name, corpus, model = name_of(loaded.path), loaded.config.corpus, loaded.config.model
    numbers = sum(each.numel() for each in loaded.network.parameters())
    counts = f" and the counts of its {model.ngram}-grams" if loaded.ngram else ""
    texts = ", ".join(source.name for source in corpus.sources).replace("|", "\\|")
    kind = f"{model.num_layers} × {model.cell} of {model.hidden_size} units"
    return f"""{_front_matter(loaded, config, name)}
# {name}

A character-level recurrent language model by chargen: {kind}, {numbers:,} parameters, |V| =
{model.vocab_size:,}{counts}. It writes one character after another, and was trained on
{corpus.name} alone.

{_MARK}sh
chargen sample .
{_MARK}

## The text

| | |
|---|---|
| corpus | {corpus.name} ({texts}) |
| characters | {corpus.characters:,}: {corpus.train_characters:,} to learn from, \
{corpus.val_characters:,} to validate |
| licence of the weights | {config.license} |

## Training

{_MARK}sh
{training}
{_MARK}

{_result(loaded)}{_made_smaller(config, alone=alone)}

## A sample

`{sample_command()}`

{_fenced(sample)}

## Files

- `config.json`, `tokenizer.model`, `model.safetensors`{_counts_file(loaded)}: the run
- `tokenizer.json`: the pieces, for programs without SentencePiece
- `sample.txt`: the sample
"""


def _front_matter(loaded: LoadedModel, config: ExportConfig, name: str) -> str:
    """The YAML between lines of dashes; JSON's values are YAML's."""
    language = config.language or language_of(loaded.tokenizer)
    corpus = loaded.config.corpus
    fields: dict[str, Any] = {"language": language} if language else {}
    fields |= {
        "license": config.license,
        "library_name": "chargen",
        "pipeline_tag": "text-generation",
        "tags": ["character-level", "recurrent-neural-network", *_cells(loaded)],
        "metrics": [_METRIC],
    }
    if loaded.bits_per_char is not None:
        value = {"type": _METRIC, "value": round(loaded.bits_per_char, 4)}
        data = {"type": corpus.name, "name": corpus.name, "split": "validation"}
        result = {"task": {"type": "text-generation"}, "dataset": data, "metrics": [value]}
        fields["model-index"] = [{"name": name, "results": [result]}]
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in fields.items()]
    return "\n".join(["---", *lines, "---"])


def _cells(loaded: LoadedModel) -> list[str]:
    return list(dict.fromkeys(loaded.config.model.layer_cells()))


def _result(loaded: LoadedModel) -> str:
    if loaded.bits_per_char is None:
        return f"The weights are those after step {loaded.step:,}; they were not evaluated."
    return (
        f"The weights are those after step {loaded.step:,}, with {loaded.bits_per_char:.3f} bits "
        "per character on the\nvalidation split, the end of the text."
    )


def _made_smaller(config: ExportConfig, *, alone: bool) -> str:
    """What was done to the run since it was trained."""
    done = ["the n-gram counts that the run has are left out"] if alone else []
    if config.weights == "float16":
        done.append("the weights are rounded to float16")
    if config.drop_ngrams is not None and not alone:
        done.append(f"{config.drop_ngrams}-grams and longer ones that occur once are left out")
    return "\nSince then, " + " and\n".join(done) + "." if done else ""


def _counts_file(loaded: LoadedModel) -> str:
    return ", `ngram.safetensors`" if loaded.ngram else ""


def _fenced(text: str) -> str:
    """A text between fences that are longer than any run of backticks in it."""
    fence = _MARK
    while fence in text:
        fence += "`"
    return f"{fence}text\n{text}\n{fence}"


def language_of(tokenizer: Tokenizer) -> str | None:
    """The language that most characters of a vocabulary tell: zh, ja, ko, or None.

    A script that several languages share tells none.
    """
    scripts = Counter(
        unicodedata.name(character, "NONE").split()[0]
        for n in range(tokenizer.size)
        if (character := tokenizer.piece(n)) and len(character) == 1 and character.isalpha()
    )
    most = sum(scripts.values()) / 2
    han = scripts["CJK"]
    kana = scripts["HIRAGANA"] + scripts["KATAKANA"]
    if kana and han + kana > most:
        return "ja"
    if scripts["HANGUL"] > most:
        return "ko"
    return "zh" if han > most else None

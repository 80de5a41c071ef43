"""The card of a model: the page that a hub shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from chargen.exporting.head import front_matter
from chargen.exporting.markdown import code, fenced, plain
from chargen.exporting.results import ACCURACY, F1, bits_of
from chargen.exporting.samples import Sample
from chargen.exporting.uses import use_of
from chargen.network.classifier import Classifier
from chargen.options import ExportConfig, InfillConfig
from chargen.runs.finding import name_of
from chargen.runs.loaded import LoadedModel

_MOST_LABELS = 40
_KINDS = {
    "lm": "language model",
    "classify": "classifier",
    "seq2seq": "sequence-to-sequence network",
    "infill": "infilling network",
}


@dataclass(frozen=True)
class Export:
    """What a card describes.

    Attributes:
        loaded: the run as it is exported.
        config: has the licence, and the language if it was given.
        training: the command that trains the run.
        figures: of its weights on the validation split, as ``measured`` returns them.
        sample: its sample, or None.
        alone: whether the run's counts were left out.
    """

    loaded: LoadedModel
    config: ExportConfig
    training: str
    figures: Mapping[str, float]
    sample: Sample | None
    alone: bool = False


def card(export: Export) -> str:
    """The card as Markdown, with YAML at its head."""
    loaded, config = export.loaded, export.config
    name, corpus = name_of(loaded.path), loaded.config.corpus
    texts = ", ".join(source.name for source in corpus.sources)
    return f"""{front_matter(loaded, config, name, export.figures)}
# {plain(name)}

{_description(loaded)}

{_use(export)}

## The text

| | |
|---|---|
| corpus | {plain(f"{corpus.name} ({texts})")} |
| characters | {corpus.characters:,}: {corpus.train_characters:,} to learn from, \
{corpus.val_characters:,} to validate |
{_labels(loaded)}| licence of the weights | {plain(config.license or "")} |

## Training

{fenced(export.training, "sh")}

{_result(export)}{_made_smaller(export)}

{_sample(export.sample)}## Files

- `config.json`, `tokenizer.model`, `model.safetensors`{_counts_file(loaded)}: the run
- `tokenizer.json`: the pieces, for programs without SentencePiece
{_files(export.sample)}"""


def _description(loaded: LoadedModel) -> str:
    model, corpus, origin = loaded.config.model, loaded.config.corpus, loaded.config.init_from
    numbers = sum(each.numel() for each in loaded.network.parameters())
    kind = ", ".join(
        [f"{model.num_layers} × {model.cell} of {model.hidden_size} units", *model.traits]
    )
    begun = " alone" if origin is None else f", from the weights of {plain(origin.name)}"
    if runs := loaded.config.averaged:
        begun += f", as {len(runs)} runs whose logits are averaged"
    return f"""A character-level recurrent {_KINDS[model.task]} by chargen: {kind}, \
{numbers:,} parameters, |V| =
{model.vocab_size:,}{_counts(loaded)}. {_does(loaded)}, and was trained on
{plain(corpus.name)}{begun}."""


def _counts(loaded: LoadedModel) -> str:
    order = loaded.config.model.ngram
    if isinstance(loaded.network, Classifier):
        known = loaded.network.counted is not None
        return f", and n-grams of up to {order} characters" if known else ""
    return f" and the counts of its {order}-grams" if loaded.ngram else ""


def _does(loaded: LoadedModel) -> str:
    labels = loaded.config.corpus.labels
    task = loaded.config.model.task
    if task == "classify":
        ((key, values),) = labels.items()
        return f"It predicts the {plain(key)} of a text, one of {len(values):,}"
    if task == "lm" and labels:
        return f"It writes texts, of a given {' and '.join(map(plain, labels))} or of none"
    return {
        "lm": "It writes one character after another",
        "seq2seq": "It answers a line with a line",
        "infill": f"It fills the gaps of a line, each marked by {InfillConfig.mark}",
    }[task]


def _use(export: Export) -> str:
    """Three lines of shell and of Python, in the folder of the model."""
    use = use_of(export.loaded, None if export.sample is None else export.sample.given)
    python = f'import chargen\n\nprint(chargen.load(".").{use.call})'
    return f"{fenced(use.command, 'sh')}\n\n{fenced(python, 'python')}"


def _labels(loaded: LoadedModel) -> str:
    """A row for each key of labels: its values, with how many texts have each."""
    rows = []
    for key, values in loaded.config.corpus.labels.items():
        shown = ", ".join(f"{value} ({count:,})" for value, count in values[:_MOST_LABELS])
        more = len(values) - _MOST_LABELS
        rows.append(f"| {plain(key)} | {plain(shown)}{f', and {more:,} more' * (more > 0)} |\n")
    return "".join(rows)


def _result(export: Export) -> str:
    loaded, figures = export.loaded, export.figures
    model, settings = loaded.config.model, loaded.config.corpus.settings
    if not figures:
        return f"The weights are those after step {loaded.step:,}; they were not evaluated."
    found = []
    if ACCURACY in figures:
        right = f"{100 * figures[ACCURACY]:.1f} %"
        what = {
            "classify": "of the labels predicted right",
            "infill": "of single gaps filled right",
        }
        found.append(f"{right} {what[model.task]}")
    if F1 in figures:
        found.append(f"a macro-F1 of {figures[F1]:.3f}")
    given = ", given the others," if model.task == "infill" else ""
    found.append(f"{figures[bits_of(model.task)]:.3f} {model.unit}{given}")
    split = "the end of the text"
    if model.records:
        split = f"{100 * settings.val_frac:g} % of the texts, spread over all of them"
    listed = " and ".join([", ".join(found[:-1]), found[-1]] if found[1:] else found)
    return (
        f"The weights are those after step {loaded.step:,}, with {listed} on the\n"
        f"validation split, {split}."
    )


def _made_smaller(export: Export) -> str:
    """What was done to the run since it was trained.

    Weights show an earlier export too. Counts don't: training itself leaves rare n-grams out.
    """
    loaded, dropped, done = export.loaded, export.config.drop_ngrams, []
    if export.alone:
        done.append("the n-gram counts of the run are left out")
    if _is_rounded(loaded):
        done.append("the weights are rounded to float16")
    if dropped and loaded.ngram and loaded.ngram.dropped_from == dropped:
        done.append(f"{dropped}-grams and longer ones that occur once are left out")
    return "\nSince then, " + " and\n".join(done) + "." if done else ""


def _is_rounded(loaded: LoadedModel) -> bool:
    """Whether all weights are numbers that float16 has."""
    state = loaded.network.state_dict().values()
    return all(torch.equal(each, each.half().float()) for each in state if each.is_floating_point())


def _counts_file(loaded: LoadedModel) -> str:
    return ", `ngram.safetensors`" if loaded.ngram else ""


def _sample(sample: Sample | None) -> str:
    if sample is None:
        return ""
    about = f"\n\n{sample.about}" if sample.about else ""
    return f"## A sample\n\n{code(sample.command)}{about}\n\n{fenced(sample.shown, 'text')}\n\n"


def _files(sample: Sample | None) -> str:
    if sample is None:
        return ""
    what = "the sample" if sample.given is None else "the texts of the sample"
    return "".join(f"- `{name}`: {what}\n" for name in sample.files)

"""Comparison of a classifier with linear models over n-grams, on labelled texts of any kind."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chargen import api
from chargen.corpus.prepared import PreparedCorpus
from chargen.corpus.preparing import prepare
from chargen.corpus.record_split import RecordSplit
from chargen.corpus.records import Record
from chargen.errors import CorpusError
from chargen.evaluation.label_report import LabelReport
from chargen.experiments.linear import LINEAR, linear_models
from chargen.experiments.outcome import ShowProgress, Table, silent
from chargen.inspection.plots import new_figure, save_figure
from chargen.machine.processor import processor_name
from chargen.options import CorpusConfig
from chargen.training.events import Event, ShareDone

_VOCABULARY = 8000
BOTH, ALONE = "network and counts", "network alone"


@dataclass(frozen=True)
class Judged:
    """How a model did: its report, its steps of training, and the seconds that they took."""

    name: str
    report: LabelReport
    steps: int
    seconds: float


@dataclass(frozen=True)
class LabelsOutcome:
    """The result of ``compare_classifiers``.

    Attributes:
        file, key: what was told of which texts.
        machine: the processor.
        trained, values: the number of texts that were learnt from, and of labels.
        models: how each did.
    """

    file: str
    key: str
    machine: str
    trained: int
    values: int
    models: tuple[Judged, ...]

    @property
    def best_linear(self) -> Judged:
        """The linear model with the greatest accuracy."""
        linear = [each for each in self.models if each.name in LINEAR]
        return max(linear, key=lambda each: each.report.accuracy)

    def tables(self) -> tuple[Table, ...]:
        texts = self.models[0].report.texts
        title = (
            f"{self.file}, {self.key}: {self.values:,} labels, {self.trained:,} texts learnt from, "
            f"{texts:,} told; {self.machine}"
        )
        rows = tuple(
            (
                each.name,
                f"{each.report.accuracy:.2%}",
                f"{each.report.macro_f1:.4f}",
                f"{each.steps:,}" if each.steps else "–",
                f"{each.seconds:.0f}",
            )
            for each in self.models
        )
        return (Table(title, ("", "accuracy", "macro-F1", "steps", "seconds"), rows),)

    def findings(self) -> tuple[str, str]:
        own, *others = self.models
        best = self.best_linear
        gap = own.report.accuracy - best.report.accuracy
        how = "more" if gap >= 0 else "less"
        alone = next((each for each in others if each.name == ALONE), own)
        gain = own.report.accuracy - alone.report.accuracy
        weakest = min(own.report.figures, key=lambda each: each.f1)
        taken = f", most often taken for {weakest.taken_for}" if weakest.taken_for else ""
        return (
            f"The {own.name} tell {own.report.accuracy:.1%} of {own.report.texts:,} texts right, "
            f"{abs(gap) * 100:.1f} points {how} than the {best.name}; counts bring "
            f"{gain * 100:.1f} of its points.",
            f"Hardest is {weakest.label}, with an F1 of {weakest.f1:.2f}{taken}.",
        )

    def draw(self, out: Path) -> None:
        figure = new_figure(10, 4.5)
        bars, labels = figure.subplots(1, 2, width_ratios=(1, 1.2))
        names = [each.name for each in self.models]
        for n, (what, shares) in enumerate(
            (
                ("accuracy", [each.report.accuracy for each in self.models]),
                ("macro-F1", [each.report.macro_f1 for each in self.models]),
            )
        ):
            places = [place + 0.4 * n - 0.2 for place in range(len(names))]
            bars.barh(places, shares, height=0.38, label=what)
            for place, share in zip(places, shares, strict=True):
                bars.text(share, place, f" {share:.3f}", va="center", fontsize="small")
        bars.set_yticks(range(len(names)), names)
        bars.invert_yaxis()
        bars.set_xlim(0, 1.12)
        bars.legend(loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=2, fontsize="small")
        own, best = self.models[0], self.best_linear
        f1 = {each.label: each.f1 for each in best.report.figures}
        for each in own.report.figures:
            labels.plot(f1.get(each.label, 0.0), each.f1, "o", color="C0", markersize=4)
        labels.plot([0, 1], [0, 1], color="0.6", linestyle=":")
        labels.set(
            title="F1 of each label",
            xlabel=best.name,
            ylabel=own.name,
            xlim=(0, 1),
            ylim=(0, 1),
        )
        figure.suptitle(f"{self.file}: {self.key}", fontsize="medium")
        save_figure(figure, out)

    def to_dict(self) -> dict[str, Any]:
        models = [
            {
                "name": each.name,
                "steps": each.steps,
                "seconds": each.seconds,
                "accuracy": each.report.accuracy,
                "macro_f1": each.report.macro_f1,
                "labels": [vars(figures) for figures in each.report.figures],
            }
            for each in self.models
        ]
        facts = {name: getattr(self, name) for name in ("file", "key", "machine", "trained")}
        return {**facts, "values": self.values, "models": models}


def compare_classifiers(
    file: api.Source,
    key: str,
    *,
    minutes: float = 5.0,
    steps: int | None = None,
    preset: str = "small",
    on_progress: ShowProgress = silent,
    **options: Any,
) -> LabelsOutcome:
    """Train classifiers and linear models on nine tenths of labelled texts, judge by the other.

    Args:
        file: of records with labels.
        key: of the label.
        minutes: of training, of each of the two networks.
        steps: of each, instead of minutes.
        preset: of the networks.
        on_progress: called with the progress.
        options: of ``chargen.train``, such as bidirectional, seed and threads.

    Raises:
        CorpusError: the file can't be read, or is too short to be split.
        MissingExtraError: scikit-learn is not installed.
    """
    budget = {"max_minutes": minutes} if steps is None else {"max_steps": steps}
    path = Path(file)
    with tempfile.TemporaryDirectory() as folder:
        settings = CorpusConfig(vocab_size=_VOCABULARY, label_key=(key,), oov="bytes")
        corpus = prepare([path], Path(folder) / "corpus", settings)
        if not corpus.val_records.labels.any():
            raise CorpusError(f"{path} is too short to be split.", "Use a file with more texts.")
        train, val = (
            [record for record in _records(corpus, split, key) if record.labels]
            for split in (corpus.train_records, corpus.val_records)
        )
        models = []
        for n, (name, ngram) in enumerate(((BOTH, "auto"), (ALONE, "0"))):

            def on_share(share: float, name: str = name, before: int = n) -> None:
                on_progress(name, before + share, 3)

            given = {"preset": preset, "ngram": ngram, **options, **budget}
            models.append(_trained(corpus, Path(folder), name, val, on_share, **given))
        on_progress("linear models", 2, 3)
        texts = [
            ([each.text for each in part], [each.labels[key] for each in part])
            for part in (train, val)
        ]
        linear = linear_models(texts[0], texts[1], key)
        models += [Judged(name, report, 0, seconds) for name, (report, seconds) in linear.items()]
    info = corpus.manifest.records
    values = 0 if info is None else len(info.values[0])
    return LabelsOutcome(path.name, key, processor_name(), len(train), values, tuple(models))


def _records(corpus: PreparedCorpus, split: RecordSplit, key: str) -> Iterator[Record]:
    """The texts of a split as they were, with their labels."""
    info = corpus.manifest.records
    names = [value for value, _ in info.values[0]] if info else []
    for n in range(len(split)):
        number = int(split.labels[n, 0])
        labels = {key: names[number - 1]} if number else {}
        yield Record(corpus.tokenizer.decode(split.side(n)[:-1]), labels, None, f"text {n}", n)


def _trained(
    corpus: PreparedCorpus, folder: Path, name: str, val: list[Record], on_share: Any, **given: Any
) -> Judged:
    """Train a classifier, and judge it by texts that it hasn't learnt from."""
    done, seconds = ShareDone(), [0.0]

    def on_event(event: Event) -> None:
        done.note(event)
        on_share(done.share)
        seconds.append(event.seconds)

    run = api.train(
        corpus,
        name=name.replace(" ", "-"),
        runs_dir=folder,
        task="classify",
        on_event=on_event,
        **given,
    )
    report = run.load().report_labels(iter(val))
    return Judged(name, report, run.steps, seconds[-1])

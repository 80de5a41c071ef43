"""What a trained model can do besides writing: it judges texts, and tells what it knows of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chargen.errors import GenerationError
from chargen.options import (
    ClassifyConfig,
    EmbedConfig,
    SamplingConfig,
    check,
    keyword_options,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from chargen.corpus.records import Record
    from chargen.evaluation.classifying import Judge, Told
    from chargen.evaluation.embedding import Vectors
    from chargen.evaluation.label_report import LabelReport
    from chargen.evaluation.scores import CharScores, Score
    from chargen.runs.loaded import LoadedModel


class Reader:
    """A trained model that reads texts; its weights stay as they are.

    Attributes:
        path: its run folder.
    """

    def __init__(self, path: Path, loaded: LoadedModel) -> None:
        self.path = path
        self.loaded = loaded  # weights, tokenizer and config, which are not part of the public API

    @property
    def conversion(self) -> str:
        """How the text of the run was converted, and prompts are: ``t2s``, ``s2t`` or ``none``."""
        return self.loaded.config.corpus.settings.convert

    @property
    def unwrap(self) -> str:
        """Whether wrapped lines of the run's text were joined: ``auto``, ``yes`` or ``no``."""
        return self.loaded.config.corpus.settings.unwrap

    @cached_property
    def _converter(self) -> Callable[[str], str]:
        from chargen.corpus.conversion import converter

        return converter(self.conversion)

    def as_learnt(self, text: str) -> str:
        """Convert a text between the Chinese scripts as the run's own text was.

        Raises:
            MissingExtraError: it has to be converted, and OpenCC is not installed.
        """
        if self.conversion == "none" or text.isascii():
            return text
        return self._converter(text)

    def score(self, text: str, batch_size: int = 32, recall: float = 0.0) -> Score:
        """Bits per character of ``text`` and more, by the fixed protocol of ``evaluation``.

        With ``recall`` what was read of the text is recalled, as a prompt is by ``generate``.

        Raises:
            ConfigError: ``recall`` is out of range.
            CorpusError: the text is empty.
        """
        return self.score_characters(text, batch_size, recall).total()

    def score_records(
        self,
        path: str | Path,
        *,
        labels: bool = True,
        encoding: str | None = None,
        errors: str | None = None,
    ) -> Score:
        """Score the records of a file, each with its labels, or with none of them.

        Each text is read from its beginning, and its end counts as a character. ``encoding`` and
        ``errors`` are as in ``chargen prepare``; None: those of the run's own records.

        Raises:
            CorpusError: the file can't be read so.
        """
        from chargen.corpus.labels import Labels
        from chargen.corpus.records import read_records
        from chargen.evaluation.texts import score_file

        loaded, corpus = self.loaded, self.loaded.config.corpus
        own = corpus.settings
        settings = replace(own, encoding=encoding or own.encoding, errors=errors or own.errors)
        check(settings)
        records = read_records([path], settings, all_labels=False)
        if loaded.config.model.task == "infill":
            from chargen.evaluation.gaps import score_gaps_of_file
            from chargen.network.infiller import Infiller

            return score_gaps_of_file(loaded.of_task(Infiller), loaded.tokenizer, records)
        known = corpus.label_space if labels else Labels({})
        return score_file(loaded.model, loaded.tokenizer, records, known, loaded.ngram)

    def score_characters(
        self, text: str, batch_size: int = 32, recall: float = 0.0, label: Sequence[str] = ()
    ) -> CharScores:
        """What each character of ``text`` costs, in order; ``recall`` as in ``score``.

        Which characters were the likeliest is told without recall. ``label`` are labels of the
        text, as in ``generate``.

        Raises:
            ConfigError: ``recall`` is out of range, or a label isn't known.
            CorpusError: the text is empty.
        """
        from chargen.evaluation.scores import score_characters
        from chargen.generation.recalled import recalled_costs

        check(SamplingConfig(recall=recall))
        loaded = self.loaded
        text = self.as_learnt(text)
        ids = loaded.tokenizer.encode(text)
        scores = score_characters(
            loaded.model,
            loaded.tokenizer,
            ids,
            batch_size,
            loaded.ngram,
            changed=partial(recalled_costs, ids, recall) if recall else None,
            v=self._labels(label),
        )
        return replace(scores, text=text)

    def gate_characters(self, text: str, label: Sequence[str] = ()) -> list[float]:
        """The network's share of the mixture before each character of ``text``, 0 to 1, in order.

        ``label`` are labels of the text, as in ``generate``.

        Raises:
            ConfigError: a label isn't known.
            GenerationError: the model has no n-gram counts.
        """
        from chargen.evaluation.gates import character_gates

        loaded = self.loaded
        if loaded.ngram is None:
            raise GenerationError(
                "There is no gate: the network works without n-gram counts.",
                "Use a run with counts, or colour by surprisal.",
            )
        ids = loaded.tokenizer.encode(self.as_learnt(text))
        gates = character_gates(loaded.model, loaded.tokenizer, ids, self._labels(label))
        return list(map(float, gates))

    def _labels(self, asked: Sequence[str]) -> NDArray[np.float32] | None:
        """The vector of labels that are asked for, (L,); None where there are none."""
        return self.loaded.config.corpus.label_space.wanted(asked) if asked else None

    @keyword_options(EmbedConfig)
    def embed(self, texts: Sequence[str], **options: Any) -> Vectors:
        """Vectors of texts, (n, M): what the network knows when it has read each from its start.

        A text's vector doesn't depend on the others, beyond rounding. By default a language model
        gives its last layer's state at the end, a classifier the vector that it judges by.

        Args:
            texts: the texts; an empty one has the vector of having read nothing.
            options: as in ``chargen embed``: pooling, normalize.

        Raises:
            ConfigError: options that are unknown or out of range, all at once.
        """
        import numpy as np

        found = [vectors for _, vectors in self.embed_records(_records(self, texts), **options)]
        return np.concatenate(found) if found else np.zeros((0, 0), np.float32)

    def embed_records(
        self, records: Iterator[Record], **options: Any
    ) -> Iterator[tuple[list[Record], Vectors]]:
        """As ``embed``, for texts that are read as they are needed, some at a time."""
        from chargen.evaluation.embedding import embeddings

        wanted = EmbedConfig.from_dict(options)
        check(wanted)
        return embeddings(self.loaded.network, self.loaded.tokenizer, records, wanted)

    @keyword_options(ClassifyConfig)
    def classify(self, texts: Sequence[str], **options: Any) -> list[Told]:
        """Tell the label of each text: of a classifier, or a language model with labels.

        Args:
            texts: the texts; none may be empty.
            options: as in ``chargen classify``: best, threshold, key.

        Raises:
            CheckpointError: the run has learnt no labels.
            ConfigError: options that are unknown or out of range, all at once.
        """
        return list(self.classify_records(_records(self, texts), **options))

    def classify_records(self, records: Iterator[Record], **options: Any) -> Iterator[Told]:
        """As ``classify``, for texts that are read as they are needed; errors come at once."""
        from chargen.evaluation.classifying import told_of

        wanted = ClassifyConfig.from_dict(options)
        check(wanted)
        key, judge = self._judge(wanted.key)
        names = self.loaded.config.corpus.label_space.names(key)
        return told_of(records, self.loaded.tokenizer, judge, names, wanted, key)

    def report_labels(self, records: Iterator[Record], key: str | None = None) -> LabelReport:
        """Compare the labels that texts have with what is told of them.

        Raises:
            CheckpointError: the run has learnt no labels.
            CorpusError: no text has a label that the run knows.
        """
        from chargen.evaluation.label_report import report_labels

        key, judge = self._judge(key)
        labels = self.loaded.config.corpus.label_space
        return report_labels(records, self.loaded.tokenizer, judge, labels, key)

    def _judge(self, asked: str | None) -> tuple[str, Judge]:
        from chargen.evaluation.classifying import judge_of, key_of_labels

        loaded, labels = self.loaded, self.loaded.config.corpus.label_space
        key = key_of_labels(labels, asked)
        return key, judge_of(loaded.network, loaded.tokenizer, labels, key, loaded.ngram)


def _records(reader: Reader, texts: Sequence[str]) -> Iterator[Record]:
    from chargen.corpus.records import Record

    if isinstance(texts, str):
        texts = [texts]
    for number, text in enumerate(texts):
        yield Record(reader.as_learnt(text), {}, None, f"text {number}", number)

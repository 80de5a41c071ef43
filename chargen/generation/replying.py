"""A model that answers lines, and how its answers compare with others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chargen.errors import ConfigError
from chargen.generation.asking import requests_for
from chargen.generation.ordering import in_order
from chargen.generation.seeds import sample_seed

if TYPE_CHECKING:
    from chargen.generation.engine import Engine
    from chargen.generation.generator import Generator
    from chargen.generation.judging import Judgement
    from chargen.generation.poems.forms import Form
    from chargen.generation.requests import Request
    from chargen.runs.loaded import LoadedModel


def folded(generator: Generator) -> Engine:
    """An engine with the weights of a model, which continues texts or answers them.

    Raises:
        CheckpointError: the run has learnt to do neither.
    """
    from chargen.generation.engine import Engine
    from chargen.network.seq2seq import Seq2Seq

    loaded = generator.loaded
    return Engine(
        loaded.of_task(Seq2Seq) if generator.answers else loaded.model,
        loaded.tokenizer,
        loaded.ngram,
        convert=generator.as_learnt,
        labels=loaded.config.corpus.label_space,
    )


def identity_of(loaded: LoadedModel) -> dict[str, str]:
    """What identifies a run's weights, vocabulary and counts."""
    return {
        "weights_sha256": loaded.weights_sha256,
        "tokenizer_sha256": loaded.tokenizer.sha256,
        **({"ngram_sha256": loaded.ngram_sha256} if loaded.ngram_sha256 else {}),
    }


def answers_to(
    generator: Generator,
    engine: Engine,
    lines: Sequence[str],
    form: Form | str | Mapping[str, Any] | None,
    seed: int,
    options: Mapping[str, Any],
) -> list[str]:
    """An answer to each line; several lines have seeds derived from ``seed``, as in a batch.

    Raises:
        CheckpointError: the run has learnt another task.
        ConfigError: options that are unknown, out of range or contradictory, all at once.
        GenerationError: a line can't be answered.
    """
    from chargen.network.seq2seq import Seq2Seq

    generator.loaded.of_task(Seq2Seq)
    first = _request_for_best(form, options, {"seed": seed})

    def requests() -> Iterator[Request]:
        for number, line in enumerate(lines, 1):
            own = seed if len(lines) == 1 else sample_seed(seed, number)
            yield replace(first, prompt=line, seed=own)

    for request in requests():
        engine.check(request)
    typical = generator.loaded.bits_per_char
    return [result.text for result in in_order(engine, requests(), typical)]


def _request_for_best(
    form: Form | str | Mapping[str, Any] | None,
    options: Mapping[str, Any],
    asked: Mapping[str, Any],
) -> Request:
    """A request for one answer, for any line; ConfigError where several are asked for."""
    request = next(requests_for("", form, options, asked))
    if request.config.n_best > 1:
        raise ConfigError(
            "`n_best` is for one line.", "Use `generate`, or leave it out for the best answer."
        )
    return request


def judge_file(
    generator: Generator,
    engine: Engine,
    path: str | Path,
    form: Form | str | None,
    options: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> Judgement:
    """Score the answers of a file of pairs, and compare what the model answers with them.

    Raises:
        ConfigError: options that are unknown, out of range or contradictory, all at once.
        CorpusError: the file can't be read as pairs.
    """
    from chargen.corpus.records import read_records
    from chargen.generation.judging import judge
    from chargen.network.seq2seq import Seq2Seq

    loaded = generator.loaded
    corpus = replace(loaded.config.corpus.settings, **settings)
    request = _request_for_best(form, options, {})
    records = read_records([path], corpus)
    return judge(loaded.of_task(Seq2Seq), engine, records, request, loaded.ngram)

"""The references of the experiment ``quality`` that count instead of learning by gradients."""

from __future__ import annotations

from time import perf_counter

import numpy as np

from chargen.corpus.prepared import PreparedCorpus
from chargen.errors import MissingExtraError
from chargen.evaluation.scores import by_character
from chargen.experiments.contenders import Ids
from chargen.experiments.curves import LearningCurve, Point
from chargen.ngrams import choose_order, count, score

_PPMD_ORDER, _PPMD_MEMORY = 6, 256 << 20


def counting_alone(corpus: PreparedCorpus, val: Ids) -> LearningCurve:
    """Score ``val`` by the Kneser-Ney model of the training split, with no network.

    Its parameters are the n-grams that it has counted.
    """
    tokenizer, began = corpus.tokenizer, perf_counter()
    size, newline = tokenizer.size, tokenizer.newline_id
    order = choose_order(size, corpus.train, newline)
    model = count(corpus.train, size, order, newline)
    seconds = perf_counter() - began
    nats = -np.log(score(model, val))
    bits = by_character(tokenizer, val, nats, np.zeros(len(val), bool)).total().bits_per_char
    return _at_once("counting alone", len(model.trie.counts), seconds, bits)


def ppmd(corpus: PreparedCorpus, val: Ids) -> LearningCurve:
    """Compress ``val`` with 7-Zip's PPMd after the training split.

    Unlike the others it goes on learning while it reads ``val``. It reads the bytes of UTF-8, and
    contexts of up to 6 of them: Shkarin, "PPM: one step to practicality", DCC 2002, variant H.

    Raises:
        MissingExtraError: the package pyppmd is not installed.
    """
    try:
        from pyppmd import Ppmd7Encoder
    except ImportError as error:
        raise MissingExtraError("pyppmd", "bench", "A comparison with PPMd") from error
    tokenizer, began = corpus.tokenizer, perf_counter()
    encoder = Ppmd7Encoder(_PPMD_ORDER, _PPMD_MEMORY)
    encoder.encode(tokenizer.decode(corpus.train).encode("utf-8"))
    seconds = perf_counter() - began
    text = tokenizer.decode(val)
    after = len(encoder.encode(text.encode("utf-8"))) + len(encoder.flush())
    return _at_once("PPMd", 0, seconds, 8 * after / len(text))


def _at_once(name: str, parameters: int, seconds: float, bits_per_char: float) -> LearningCurve:
    """Make the curve of something that is ready once it has read the text."""
    return LearningCurve(name, parameters, (Point(seconds, 1, bits_per_char),), bits_per_char)

from __future__ import annotations

import io
import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch

from chargen.corpus.tokenizer import Tokenizer
from chargen.generation.batch.asked import BatchOptions
from chargen.generation.batch.run import Batch
from chargen.generation.engine import Engine
from chargen.network.averaging import averaged
from chargen.network.model import CharModel
from chargen.ngrams import KneserNey
from tests.generation.conftest import TEXT, make_counts, make_mixed_model, make_model

JOBS = 256


@pytest.fixture(scope="module")
def wide_tokenizer() -> Tokenizer:
    """A vocabulary above 3000: the text's characters, and as many more as it takes."""
    counts = dict.fromkeys(TEXT, 2) | {chr(0x4E00 + n): 1 for n in range(3100)}
    return Tokenizer.train(counts, 3100, "bytes")


def job_lines(count: int) -> list[str]:
    rng = random.Random(1)
    return [
        json.dumps(
            {
                "id": f"job-{n}",
                "prompt": "".join(rng.choices(TEXT, k=rng.choice([0, 1, 3, 9]))),
                "length": rng.randint(1, 6),
                "temperature": rng.choice([0, 0.8, 1.2]),
                "top_k": rng.choice([0, 0, 50]),
                "top_p": rng.choice([1.0, 1.0, 0.95]),
                "repetition_penalty": rng.choice([1.0, 1.2]),
                "recall": rng.choice([0, 1, 20]),
                "loop_penalty": rng.choice([0, 3]),
                "loop_length": rng.choice([1, 5]),
                "loop_window": rng.choice([2, 512]),
            }
        )
        for n in range(count)
    ]


def output(
    model: CharModel,
    tokenizer: Tokenizer,
    lines: list[str],
    slots: int,
    out: Path,
    ngram: KneserNey | None = None,
) -> str:
    jobs = io.BytesIO("\n".join(lines).encode())
    engine = Engine(model, tokenizer, ngram, slots=slots, logprobs=True)
    batch = Batch(engine, jobs, "-", out, BatchOptions(), {})
    for _ in batch.run(batch.inventory(), resume=False, force=True):
        pass
    return out.read_text("utf-8")


@pytest.mark.parametrize(
    ("shape", "count", "settings"),
    [
        (
            {"hidden_size": 100, "num_layers": 2},
            JOBS,
            [(1, 1), (3, 1), (7, 1), (64, 4), (255, 3)],
        ),
        (
            {"hidden_size": 512},
            JOBS,
            [(1, 1), (3, 1), (7, 1), (64, 1), (255, 4)],
        ),
        (
            {"hidden_size": 100, "ngram": "4"},
            200,
            [(1, 1), (3, 1), (64, 4), (255, 3)],
        ),
        ({"hidden_size": 100, "cell": "gru"}, 100, [(1, 1), (64, 1)]),
        ({"hidden_size": 100, "cell": "rnn"}, 100, [(1, 1), (64, 1)]),
        (
            {"hidden_size": 70, "tie_weights": True, "embedding_size": 16, "averaged": 2},
            100,
            [(1, 1), (3, 1), (64, 3)],
        ),
    ],
    ids=["lstm-100x2", "lstm-512", "ngram", "gru", "rnn", "averaged"],
)
def test_a_job_gives_the_same_line_in_any_batch_order_and_on_any_threads(
    wide_tokenizer: Tokenizer,
    tmp_path: Path,
    shape: dict[str, Any],
    count: int,
    settings: list[tuple[int, int]],
) -> None:
    ngram = make_counts(wide_tokenizer) if "ngram" in shape else None
    networks, own = shape.get("averaged", 1), {n: v for n, v in shape.items() if n != "averaged"}
    model = (make_mixed_model if ngram else make_model)(wide_tokenizer, **own)
    model = model if networks == 1 else averaged([model] * networks)
    lines = job_lines(count)
    want = sorted(output(model, wide_tokenizer, lines, 16, tmp_path / "out", ngram).splitlines())
    assert len(set(want)) == count
    for slots, threads in settings:
        torch.set_num_threads(threads)
        random.Random(slots).shuffle(lines)
        some = lines[: 20 * slots]  # few texts at a time take their time
        got = output(model, wide_tokenizer, some, slots, tmp_path / "out", ngram).splitlines()
        assert [json.loads(line)["id"] for line in got] == [json.loads(x)["id"] for x in some]
        assert set(got) <= set(want)

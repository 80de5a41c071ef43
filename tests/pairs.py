"""What tests of answers share: pairs, a tokenizer with an end, networks that know nothing."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import torch

from chargen.corpus.tokenizer import Tokenizer
from chargen.network.seq2seq import Seq2Seq
from chargen.options import ModelConfig

LETTERS = "abcdefgh"
HANZI = (
    "春风又绿江南岸明月何时照我还天对地雨对风大陆对长空山花对海树赤日对苍穹雷隐隐雾蒙蒙日下对天中"
)


def tokenizer_of(text: str, oov: str = "unk") -> Tokenizer:
    return Tokenizer.train(Counter(text), 3000, oov, end=True)


def answering(vocab_size: int, seed: int = 0, *, double: bool = False, **options: Any) -> Seq2Seq:
    """A network that answers, with random weights everywhere, biases included."""
    shape = {"hidden_size": 6, "embedding_size": 4, "attention": "dot", **options}
    model = Seq2Seq(ModelConfig(vocab_size, task="seq2seq", records=True, **shape))
    model = model.double() if double else model
    model.reset_parameters(seed)
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.add_(noise.to(parameter), alpha=0.3)
        model.decoder.output_matrix().mul_(3)
    return model


def write_pairs(path: Path, count: int = 300) -> Path:
    """Letters and the same letters turned round, of 1 to 7."""
    draw = torch.Generator().manual_seed(0)
    lines = ["src\ttrg"]
    for _ in range(count):
        length = int(torch.randint(1, 8, (1,), generator=draw))
        picks = torch.randint(len(LETTERS), (length,), generator=draw)
        text = "".join(LETTERS[n] for n in picks.tolist())
        lines.append(f"{text}\t{text[::-1]}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path

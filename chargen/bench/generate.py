"""The speed of generation, compared with plain PyTorch and with the matrix products alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from chargen.bench.timing import alternate
from chargen.corpus.tokenizer import Tokenizer
from chargen.errors import ConfigError
from chargen.generation.engine import Engine
from chargen.generation.requests import Request
from chargen.machine.processor import processor_name
from chargen.network.model import CharModel
from chargen.options import ModelConfig, SamplingConfig

SLOTS = (1, 64, 256)
_PLAIN = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
_FIRST_CHARACTER = 0x4E00
_WORK = 4e9
"""Approximate number of multiplications per candidate and round."""


@dataclass(frozen=True)
class GenerateRow:
    """The speed at one number of slots.

    Attributes:
        slots: texts generated at once.
        chars_per_second: median speed of the engine.
        against_one_hot: its speed relative to a plain PyTorch loop with one-hot input.
        against_embedding: its speed relative to a loop with ``nn.Embedding``.
        against_products: its speed relative to the matrix products alone.
    """

    slots: int
    chars_per_second: float
    against_one_hot: float
    against_embedding: float
    against_products: float


@dataclass(frozen=True)
class GenerateReport:
    """The results of ``chargen bench generate``, and the conditions."""

    machine: str
    device: str
    threads: int
    torch: str
    cell: str
    hidden_size: int
    num_layers: int
    embedding_size: int
    vocab_size: int
    rounds: int
    rows: tuple[GenerateRow, ...]


class PlainLoop(nn.Module):
    """A loop as in PyTorch's tutorials: a recurrent layer, a softmax, ``torch.multinomial``.

    With ``embedded`` the input goes through ``nn.Embedding``; otherwise it is one-hot, as in the
    tutorial on character-level generation.
    """

    def __init__(self, config: ModelConfig, *, embedded: bool) -> None:
        super().__init__()
        size, self.vocab_size = config.embedding_size if embedded else 0, config.vocab_size
        self.embedding = nn.Embedding(config.vocab_size, size) if size else None
        self.recurrent = _PLAIN[config.cell](
            size or config.vocab_size, config.hidden_size, config.num_layers, batch_first=True
        )
        self.output = nn.Linear(config.hidden_size, config.vocab_size)

    @torch.no_grad()
    def generate(self, characters: Sequence[str], batch: int, length: int) -> list[str]:
        """Generate ``batch`` texts of ``length`` characters each."""
        x = torch.zeros(batch, 1, dtype=torch.long, device=self.output.weight.device)
        hidden, drawn = None, []
        for _ in range(length):
            s, hidden = self.recurrent(self._inputs(x), hidden)
            p = torch.softmax(self.output(s[:, -1]), dim=-1)
            x = torch.multinomial(p, num_samples=1)
            drawn.append(x)
        return ["".join(characters[i] for i in row) for row in torch.cat(drawn, 1).tolist()]

    def _inputs(self, x: Tensor) -> Tensor:
        """Turn ids (B, 1) into embeddings or one-hot vectors (B, 1, ·)."""
        if self.embedding is None:
            return F.one_hot(x, self.vocab_size).float()
        vectors: Tensor = self.embedding(x)
        return vectors


def bare_products(model: CharModel, batch: int) -> Callable[[], None]:
    """Return a function that computes only a step's products: W·s, U·s above layer 1, V·s."""
    output = model.output_matrix().detach()
    s = torch.randn(batch, model.config.hidden_size, device=output.device)
    matrices: list[Tensor] = [output]
    for n, cell in enumerate(model.cells):
        matrices += [W.detach() for W in (cell.recurrent_matrix(),) if W is not None]
        if n and cell.U is not None:
            matrices.append(cell.U.detach())

    def step() -> None:
        for matrix in matrices:
            F.linear(s, matrix)

    return step


def bench_generate(
    *,
    cell: str = "lstm",
    hidden_size: int = 512,
    num_layers: int = 1,
    embedding_size: int = 128,
    vocab_size: int = 3000,
    slots: Sequence[int] = SLOTS,
    rounds: int = 7,
    device: str = "cpu",
) -> GenerateReport:
    """Measure with random weights, on torch's current number of threads.

    Raises:
        ConfigError: a size is out of range, or PyTorch has no such cell.
    """
    if cell not in _PLAIN:
        raise ConfigError(f"PyTorch has no {cell} to compare with.", f"Use {', '.join(_PLAIN)}.")
    if rounds < 1 or min(slots, default=0) < 1:
        raise ConfigError("`rounds` and `slots` must be at least 1.", "Use larger values.")
    characters = [chr(_FIRST_CHARACTER + n) for n in range(vocab_size)]
    tokenizer = Tokenizer.train(dict.fromkeys(characters, 1), vocab_size, "unk")
    config = ModelConfig(tokenizer.size, cell, hidden_size, num_layers, embedding_size)
    model = CharModel(config)
    model.reset_parameters(0)
    model.to(device)
    loops = {
        name: PlainLoop(config, embedded=name == "embedding").to(device)
        for name in ("one-hot", "embedding")
    }
    texts = [tokenizer.piece(n) for n in range(tokenizer.size)]
    rows = tuple(_row(model, loops, tokenizer, texts, batch, rounds) for batch in slots)
    return GenerateReport(
        machine=processor_name(),
        device=device,
        threads=torch.get_num_threads(),
        torch=torch.__version__,
        cell=cell,
        hidden_size=hidden_size,
        num_layers=num_layers,
        embedding_size=embedding_size,
        vocab_size=tokenizer.size,
        rounds=rounds,
        rows=rows,
    )


def _row(
    model: CharModel,
    loops: Mapping[str, PlainLoop],
    tokenizer: Tokenizer,
    characters: Sequence[str],
    batch: int,
    rounds: int,
) -> GenerateRow:
    weights = sum(p.numel() for p in model.parameters()) - model.table.numel()
    length = max(20, min(400, round(_WORK / (weights * batch))))
    engine = Engine(model, tokenizer, slots=batch)
    sampling = SamplingConfig(length=length, temperature=1.0)
    requests = [Request("", sampling, seed) for seed in range(batch)]
    step = bare_products(model, batch)

    def ours() -> None:
        for _ in engine.generate(requests):
            pass

    def products() -> None:
        with torch.inference_mode():
            for _ in range(length):
                step()
            if engine.network.device.type == "cuda":
                torch.cuda.synchronize()

    plain = {
        name: partial(loop.generate, characters, batch, length) for name, loop in loops.items()
    }
    timings = alternate({"ours": ours, "products": products, **plain}, rounds)
    return GenerateRow(
        slots=batch,
        chars_per_second=batch * length / timings.median("ours"),
        against_one_hot=timings.ratio("one-hot", "ours"),
        against_embedding=timings.ratio("embedding", "ours"),
        against_products=timings.ratio("products", "ours"),
    )

"""The speed of a training step, compared with plain PyTorch and with the machine's limit.

The plain loop is the usual one: ``nn.Embedding``, ``nn.LSTM``, ``nn.Linear``, ``F.cross_entropy``,
``AdamW`` with its defaults, gradients clipped by their norm, and the C library's allocator with its
defaults. It is compared with chargen's step on the same shape, with the same network and with one
layer as the presets have it for the vocabulary: embeddings and tying. All candidates alternate.
"""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from chargen.bench.timing import alternate
from chargen.machine.allocator import freed_memory_kept, freed_memory_returned
from chargen.machine.devices import autocast, resolve_device, resolve_precision
from chargen.machine.memory import peak_bytes
from chargen.machine.precision import exact_float32, product_dtype
from chargen.machine.processor import processor_name
from chargen.network.base import map_state
from chargen.network.model import CharModel
from chargen.options import ModelConfig, Recipe, TrainConfig
from chargen.training.extent import Extent
from chargen.training.optimizer import build_optimizer, clip_gradients
from chargen.training.presets import suited_model

SIZES = (256, 512)
NETWORKS = ("preset", "loop")
_EMBEDDING = 128
_PRODUCT_SIZE = 2048
_PRODUCT_FLOPS = 2.0 * _PRODUCT_SIZE**3
_SETTLING_STEPS = 3
"""Steps after which the allocator holds all the memory that a step needs."""
_MEMORY_SHAPE = (256, 3000, 64, 128)
"""H, |V|, B and T of the step for which memory is measured."""


@dataclass(frozen=True)
class StepRow:
    """The speed of a step of one network.

    Attributes:
        hidden_size: H, of one LSTM layer.
        network: ``preset`` if embedding and tying are the presets', ``loop`` if they are those of
            the plain loop.
        precision: ``float32``, as in the plain loop, or ``bfloat16``, where the machine is made
            for it.
        chars_per_second: speed of chargen's step.
        against_loop: its speed relative to that of the plain loop.
        of_products: its arithmetic rate relative to that of large matrix products in its format.
        gflops: arithmetic rate of chargen's step, 10⁹ per second.
    """

    hidden_size: int
    network: str
    precision: str
    chars_per_second: float
    against_loop: float
    of_products: float
    gflops: float


@dataclass(frozen=True)
class TrainReport:
    """The results of ``chargen bench train``, and the conditions.

    Attributes:
        product_gflops: arithmetic rate of large matrix products in each format, 10⁹ per second.
        memory: bytes that the first steps add to the peak memory of a process, for ``chargen``
            and ``plain``; None if the system doesn't report it.
    """

    machine: str
    device: str
    threads: int
    torch: str
    vocab_size: int
    batch_size: int
    seq_length: int
    rounds: int
    product_gflops: dict[str, float]
    rows: tuple[StepRow, ...]
    memory: dict[str, int] | None

    @property
    def memory_ratio(self) -> float | None:
        """The memory of chargen's step relative to the plain loop's."""
        if not self.memory or not self.memory["plain"]:
            return None
        return self.memory["chargen"] / self.memory["plain"]

    def to_dict(self) -> dict[str, Any]:
        return {**asdict(self), "memory_ratio": self.memory_ratio}


class PlainModel(nn.Module):
    """Embedding, LSTM and linear layer, as in PyTorch's tutorials."""

    def __init__(
        self, vocab_size: int, embedding_size: int, hidden_size: int, num_layers: int = 1
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embedding_size)
        self.lstm = nn.LSTM(embedding_size, hidden_size, num_layers)
        self.linear = nn.Linear(hidden_size, vocab_size)

    def forward(self, ids: Tensor, state: Any) -> tuple[Tensor, Any]:
        """Return the outputs s (T, B, H), before ``linear``, and the state after ``ids``."""
        s, state = self.lstm(self.embedding(ids), state)
        return s, state


def plain_step(
    hidden_size: int, vocab_size: int, batch: int, window: int, device: torch.device
) -> Callable[[], None]:
    """Return a function that makes a step of the plain loop on random characters."""
    model = PlainModel(vocab_size, _EMBEDDING, hidden_size).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    ids = torch.randint(vocab_size, (window + 1, batch), device=device)
    carried: Any = None

    def step() -> None:
        nonlocal carried
        s, state = model(ids[:-1], carried)
        carried = tuple(tensor.detach() for tensor in state)
        logits = model.linear(s)
        loss = F.cross_entropy(logits.flatten(0, 1), ids[1:].flatten())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        loss.item()

    return step


def network_config(network: str, hidden_size: int, vocab_size: int) -> ModelConfig:
    """Return the network of a ``StepRow``."""
    chosen: dict[str, Any] = {"embedding_size": _EMBEDDING}
    if network == "preset":
        chosen = suited_model(Extent(vocab_size, vocab_size, vocab_size), Recipe())
    return ModelConfig(vocab_size, hidden_size=hidden_size, **chosen)


def chargen_step(
    config: ModelConfig, precision: str, batch: int, window: int, device: torch.device
) -> Callable[[], None]:
    """Return a function that makes the same step with chargen, without dropout."""
    vocab_size = config.vocab_size
    model = CharModel(config)
    model.reset_parameters(0)
    model.to(device)
    optimizer = build_optimizer(model, TrainConfig(lr=1e-3), Recipe())
    parameters = list(model.parameters())
    ids = torch.randint(vocab_size, (window + 1, batch), device=device)
    carried = model.initial_state(batch)
    forward = autocast(precision, device)

    def step() -> None:
        nonlocal carried
        with forward:
            loss, state = model.loss(ids[:-1], ids[1:], carried)
        carried = map_state(state, lambda tensor: tensor.detach())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        clip_gradients(parameters, 1.0)
        optimizer.step()
        loss.item()

    return step


def flops_per_character(config: ModelConfig) -> float:
    """Count multiplications and additions per character in a step, forward and backward."""
    H, E, V = config.hidden_size, config.embedding_size, config.vocab_size
    softmax = E * (H + V) if config.tie_weights else H * V
    return 6.0 * (4 * H * (E + H) + softmax)


def bench_train(
    *,
    vocab_size: int = 3000,
    batch_size: int = 32,
    seq_length: int = 64,
    rounds: int = 9,
    device: str = "auto",
) -> TrainReport:
    """Measure with random weights and characters, on torch's current number of threads."""
    place = resolve_device(device)
    formats = sorted({"float32", resolve_precision("auto", place)}, reverse=True)
    rows: list[StepRow] = []
    rates: dict[str, float] = dict.fromkeys(formats, 0.0)
    for hidden_size in SIZES:
        shape = (batch_size, seq_length, place)
        plain = plain_step(hidden_size, vocab_size, *shape)
        configs = {name: network_config(name, hidden_size, vocab_size) for name in NETWORKS}
        candidates = {"plain": freed_memory_returned()(_synchronised(plain, place))}
        for precision in formats:
            product = _square_product(precision, place)
            candidates[f"products {precision}"] = _synchronised(product, place)
            for name, config in configs.items():
                step = exact_float32()(chargen_step(config, precision, *shape))
                candidates[f"{name} {precision}"] = _synchronised(step, place)
        with freed_memory_kept():
            timings = alternate(candidates, rounds, settle=_SETTLING_STEPS)
        for precision in formats:
            products = f"products {precision}"
            rate = _PRODUCT_FLOPS / timings.median(products) / 1e9
            rates[precision] = max(rates[precision], rate)
            for name, config in configs.items():
                ours = f"{name} {precision}"
                work = flops_per_character(config) * batch_size * seq_length
                share = work / _PRODUCT_FLOPS
                rows.append(
                    StepRow(
                        hidden_size=hidden_size,
                        network=name,
                        precision=precision,
                        chars_per_second=batch_size * seq_length / timings.median(ours),
                        against_loop=timings.ratio("plain", ours),
                        of_products=timings.ratio(products, ours) * share,
                        gflops=work / timings.median(ours) / 1e9,
                    )
                )
    return TrainReport(
        machine=processor_name(),
        device=str(place),
        threads=torch.get_num_threads(),
        torch=torch.__version__,
        vocab_size=vocab_size,
        batch_size=batch_size,
        seq_length=seq_length,
        rounds=rounds,
        product_gflops=rates,
        rows=tuple(rows),
        memory=step_memory() if place.type == "cpu" else None,
    )


def _square_product(precision: str, device: torch.device) -> Callable[[], object]:
    with autocast(precision, device):
        dtype = product_dtype(torch.empty(0, device=device))
    a = torch.randn(_PRODUCT_SIZE, _PRODUCT_SIZE, device=device).to(dtype)
    out = torch.empty_like(a)
    return lambda: torch.mm(a, a, out=out)


def _synchronised(run: Callable[[], object], device: torch.device) -> Callable[[], None]:
    """Make ``run`` wait until an accelerator has finished."""

    def wait() -> None:
        run()
        if device.type == "cuda":
            torch.cuda.synchronize()
        elif device.type == "mps":
            torch.mps.synchronize()

    return wait


def step_memory(shape: tuple[int, int, int, int] = _MEMORY_SHAPE) -> dict[str, int] | None:
    """Measure the bytes that three steps add to the peak memory of a new process.

    Args:
        shape: H, |V|, B and T.
    """
    if peak_bytes() is None:
        return None
    context = multiprocessing.get_context("spawn")
    with context.Pool(1, maxtasksperchild=1) as pool:
        return {name: pool.apply(_peak_growth, (name, shape)) for name in ("chargen", "plain")}


def _peak_growth(name: str, sizes: tuple[int, int, int, int]) -> int:
    hidden_size, vocab_size, batch, window = sizes
    shape = (batch, window, torch.device("cpu"))
    if name == "chargen":
        step = chargen_step(network_config("loop", hidden_size, vocab_size), "float32", *shape)
    else:
        step = plain_step(hidden_size, vocab_size, *shape)
    before = peak_bytes() or 0
    with freed_memory_kept() if name == "chargen" else contextlib.nullcontext():
        for _ in range(3):
            step()
    return (peak_bytes() or 0) - before

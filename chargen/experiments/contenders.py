"""Who learns in ``chargen bench train --quality``: chargen, and references of public parts."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from chargen.bench.timing import Stopwatch
from chargen.bench.train import PlainModel
from chargen.corpus.manifest import Split
from chargen.corpus.prepared import PreparedCorpus
from chargen.corpus.windows import Windows, fit
from chargen.errors import MissingExtraError
from chargen.evaluation.scores import CharScores, by_character, score_characters
from chargen.training.configs import configs_of
from chargen.training.events import Finished
from chargen.training.loop import session_events
from chargen.training.presets import Extent
from chargen.training.session import Session
from chargen.training.setup import create_run, plan_run

Ids = NDArray[np.integer[Any]]
_NEVER = 10**9


@dataclass(frozen=True)
class Budget:
    """Seconds of training, or steps; what is not training is not counted."""

    amount: float
    in_steps: bool = False

    def spent(self, contender: Contender) -> float:
        return contender.steps if self.in_steps else contender.watch()

    def options(self) -> dict[str, float]:
        """The same as an option of ``chargen train``."""
        if self.in_steps:
            return {"max_steps": int(self.amount)}
        return {"max_minutes": self.amount / 60}


class Contender:
    """One that learns, a little at a time, by a clock that others stop.

    Attributes:
        name: in the report.
        budget: what it may spend.
        watch: runs while it learns.
        steps: made so far.
        parameters: numbers that it learns.
        done: whether its budget is spent.
    """

    def __init__(self, name: str, budget: Budget, parameters: int = 0) -> None:
        self.name, self.budget, self.parameters = name, budget, parameters
        self.watch = Stopwatch()
        self.steps, self.done = 0, False

    def advance(self) -> None:
        """Some steps; at the end of the budget ``done`` is set."""
        with self.watch.running():
            self._learn()
        self.done = self._is_done()

    def _learn(self) -> None:
        raise NotImplementedError

    def _is_done(self) -> bool:
        return self.budget.spent(self) >= self.budget.amount

    def score(self, ids: Ids) -> CharScores:
        raise NotImplementedError


class Chargen(Contender):
    """A run as ``chargen train --preset … --max-minutes …`` makes it, without validation."""

    def __init__(
        self,
        corpus: PreparedCorpus,
        folder: Path,
        preset: str,
        budget: Budget,
        *,
        seed: int,
        device: str,
        short: bool = False,
    ) -> None:
        extent = Extent.of(corpus)
        options = {**budget.options(), "seed": seed, "device": device, "sample_every": _NEVER}
        configs = configs_of(preset, options, extent)
        unseen = PreparedCorpus(corpus.path, replace(corpus.manifest, val=Split(0, 0)))
        super().__init__(f"{preset}, short" if short else preset, budget)
        self._tokenizer = corpus.tokenizer
        run = create_run(folder, plan_run(unseen, preset, *configs))
        with self.watch.running():
            self._session = Session(run, clock=self.watch)
        self._model = self._session.state.model
        self.parameters = _size(self._model)
        self._ended = False
        self._events = session_events(self._session, torch.get_num_threads(), lambda: False)

    def _learn(self) -> None:
        self._ended = isinstance(next(self._events), Finished)
        self.steps = self._session.state.step

    def _is_done(self) -> bool:
        """As planned; the last checkpoint and sample are left out."""
        return self._ended or self.steps == self._session.total_steps

    def score(self, ids: Ids) -> CharScores:
        return score_characters(self._model, self._tokenizer, ids)


class CharRNN(PlainModel):
    """char-rnn's network: two layers of 128 units."""

    def __init__(self, vocab_size: int) -> None:
        super().__init__(vocab_size, embedding_size=128, hidden_size=128, num_layers=2)

    @property
    def table(self) -> Tensor:
        return self.embedding.weight

    def initial_state(self, batch: int) -> Any:  # noqa: ARG002 — nn.LSTM makes its own
        return None

    def score(self, s: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.linear(s)
        return F.cross_entropy(logits, targets, reduction="none"), logits.argmax(1) == targets


class Plain(Contender):
    """The plain loop with char-rnn's defaults.

    Batch 50, windows of 50, RMSprop at 2e-3 with decay 0.95, after ten epochs 3 % less an epoch,
    gradients clipped at ±5: Karpathy, https://github.com/karpathy/char-rnn, train.lua.
    """

    def __init__(self, corpus: PreparedCorpus, budget: Budget, device: torch.device) -> None:
        self._model = CharRNN(corpus.tokenizer.size).to(device)
        super().__init__("plain loop", budget, _size(self._model))
        self._tokenizer, self._device = corpus.tokenizer, device
        batch, window = fit(len(corpus.train), 50, 50)
        self._windows = Windows(corpus.train, batch, window, corpus.tokenizer.newline_id)
        self._optimizer = torch.optim.RMSprop(self._model.parameters(), lr=2e-3, alpha=0.95)
        self._state: Any = None

    def _learn(self) -> None:
        ids, targets, fresh = self._windows.window(self.steps)
        epoch = self.steps // self._windows.steps_per_epoch
        if fresh and epoch >= 10:
            for group in self._optimizer.param_groups:
                group["lr"] *= 0.97
        s, state = self._model(
            torch.from_numpy(ids).to(self._device), None if fresh else self._state
        )
        self._state = tuple(tensor.detach() for tensor in state)
        logits = self._model.linear(s)
        wanted = torch.from_numpy(targets).to(self._device)
        loss = F.cross_entropy(logits.flatten(0, 1), wanted.flatten())
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_value_(self._model.parameters(), 5.0)
        self._optimizer.step()
        loss.item()
        self.steps += 1

    def score(self, ids: Ids) -> CharScores:
        return score_characters(self._model, self._tokenizer, ids)


class SmallGPT(Contender):
    """A small GPT of the package ``transformers``, with random weights.

    4 layers, 4 heads, 128 wide, context 64, batch 12, AdamW (0.9, 0.99), decay 0.1, warm-up 100,
    1e-3 falling to 1e-4 along a cosine over its budget, gradients clipped by norm 1: the setting
    for a CPU in https://github.com/karpathy/nanoGPT.
    """

    context, batch = 64, 12

    def __init__(
        self, corpus: PreparedCorpus, budget: Budget, device: torch.device, seed: int
    ) -> None:
        self._model = _gpt2(corpus.tokenizer.size, self.context).to(device)
        super().__init__("small GPT", budget, _size(self._model))
        self._tokenizer, self._device = corpus.tokenizer, device
        self._text = corpus.train
        self._draws = np.random.default_rng(seed)
        matrices = [p for p in self._model.parameters() if p.ndim > 1]
        vectors = [p for p in self._model.parameters() if p.ndim < 2]
        groups: list[dict[str, Any]] = [
            {"params": matrices},
            {"params": vectors, "weight_decay": 0.0},
        ]
        self._optimizer = torch.optim.AdamW(groups, 1e-3, (0.9, 0.99), weight_decay=0.1)

    def learning_rate(self) -> float:
        if self.steps < 100:
            return 1e-3 * (self.steps + 1) / 100
        share = min(1.0, self.budget.spent(self) / self.budget.amount)
        return 1e-4 + 9e-4 * 0.5 * (1 + math.cos(math.pi * share))

    def _learn(self) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = self.learning_rate()
        length = min(self.context, len(self._text) - 1)
        starts = self._draws.integers(len(self._text) - length, size=self.batch)
        rows = np.stack([self._text[n : n + length + 1] for n in starts]).astype(np.int64)
        ids = torch.from_numpy(rows).to(self._device)
        logits = self._model(input_ids=ids[:, :-1]).logits
        loss = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), 1.0)
        self._optimizer.step()
        loss.item()
        self.steps += 1

    @torch.no_grad()
    def score(self, ids: Ids, batch_size: int = 48) -> CharScores:
        """By windows that overlap by half: all but the first 32 pieces see 32 to 63 before."""
        half = self.context // 2
        count = max(1, -(-len(ids) // half) - 1)
        room = (count + 1) * half
        stream = np.zeros(room + 1, np.int64)
        stream[0], stream[1 : len(ids) + 1] = self._tokenizer.newline_id, ids
        windows = np.lib.stride_tricks.sliding_window_view(stream, self.context + 1)[::half]
        nats, correct = np.zeros(room), np.zeros(room, bool)
        for first in range(0, count, batch_size):
            rows = torch.tensor(windows[first : first + batch_size]).to(self._device)
            logits = self._model(input_ids=rows[:, :-1]).logits
            cost = F.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten(), reduction="none")
            right = (logits.argmax(2) == rows[:, 1:]).cpu().numpy()
            for n, (nats_of, right_of) in enumerate(
                zip(cost.view(len(rows), -1).cpu().numpy(), right, strict=True), first
            ):
                new = slice(half if n else 0, self.context)
                nats[n * half : (n + 2) * half][new] = nats_of[new]
                correct[n * half : (n + 2) * half][new] = right_of[new]
        return by_character(self._tokenizer, ids, nats[: len(ids)], correct[: len(ids)])


def _gpt2(vocab_size: int, context: int) -> Any:
    try:
        from transformers import GPT2Config, GPT2LMHeadModel
    except ImportError as error:
        raise MissingExtraError("transformers", "bench", "A comparison with a GPT") from error
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=vocab_size,
            n_positions=context,
            n_embd=128,
            n_layer=4,
            n_head=4,
            activation_function="gelu",
            resid_pdrop=0.0,
            embd_pdrop=0.0,
            attn_pdrop=0.0,
            use_cache=False,
            bos_token_id=None,
            eos_token_id=None,
            attn_implementation="sdpa",
        )
    )


def _size(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())

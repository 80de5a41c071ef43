"""The reference models of the experiment ``quality``: char-rnn and a small GPT."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from chargen.bench.train import PlainModel
from chargen.corpus.prepared import PreparedCorpus
from chargen.corpus.windows import Windows, fit
from chargen.errors import MissingExtraError
from chargen.evaluation.scores import CharScores, by_character, score_characters
from chargen.experiments.contenders import Budget, Contender, Ids, size_of


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

    Batch 50, windows of 50, RMSprop at 2e-3 with decay 0.95, reduced by 3 % per epoch from the
    tenth on, gradients clipped at ±5: Karpathy, https://github.com/karpathy/char-rnn, train.lua.
    """

    def __init__(
        self, corpus: PreparedCorpus, budget: Budget, device: torch.device, threads: int = 0
    ) -> None:
        super().__init__("plain loop", budget, threads)
        self._model = CharRNN(corpus.tokenizer.size).to(device)
        self.parameters = size_of(self._model)
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
    """A small GPT from the package ``transformers``, with random initial weights.

    4 layers, 4 heads, width 128, context 64, batch 12, AdamW (0.9, 0.99), weight decay 0.1, warm-up
    of 100 steps, cosine decay from 1e-3 to 1e-4 over its budget, gradients clipped at norm 1: the
    setting for a CPU in https://github.com/karpathy/nanoGPT.
    """

    context, batch = 64, 12

    def __init__(
        self,
        corpus: PreparedCorpus,
        budget: Budget,
        device: torch.device,
        threads: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__("small GPT", budget, threads)
        self._model = _gpt2(corpus.tokenizer.size, self.context).to(device)
        self.parameters = size_of(self._model)
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
        """Score windows that overlap by half.

        All pieces but the first 32 are predicted from 32 to 63 pieces before them.
        """
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

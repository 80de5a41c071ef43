"""A run that was read: its network, its vocabulary, its counts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from chargen.corpus.tokenizer import Tokenizer
from chargen.errors import CheckpointError
from chargen.network.base import Model
from chargen.network.model import CharModel
from chargen.ngrams import KneserNey
from chargen.runs.config import RunConfig

M = TypeVar("M", bound=Model)
_USES = {
    "lm": "A language model is for the commands sample, batch, write, infill, eval, embed, neurons "
    "and gradients.",
    "classify": "A classifier is for the commands classify, embed and eval.",
    "seq2seq": "A network that answers is for the commands sample, batch, write, eval, embed and "
    "attention.",
    "infill": "A network that fills gaps is for the commands infill, eval and embed.",
}


@dataclass(frozen=True)
class LoadedModel:
    """All that sampling and evaluation need.

    Attributes:
        path: of the run folder.
        network: with its weights, on the CPU.
        tokenizer, config: of the run.
        weights_sha256: identifies the weights.
        step: training steps after which they were taken.
        bits_per_char: of them on the validation split; None: not measured.
        ngram, ngram_sha256: the counts that are mixed in and what identifies them, or None.
    """

    path: Path
    network: Model
    tokenizer: Tokenizer
    config: RunConfig
    weights_sha256: str
    step: int
    bits_per_char: float | None = None
    ngram: KneserNey | None = None
    ngram_sha256: str | None = None

    @property
    def model(self) -> CharModel:
        """The language model.

        Raises:
            CheckpointError: the run has learnt another task.
        """
        return self.of_task(CharModel)

    def of_task(self, shape: type[M]) -> M:
        """The network, which has a certain shape; CheckpointError where it has another."""
        if isinstance(self.network, shape):
            return self.network
        task = self.config.model.task
        raise CheckpointError(
            f"{self.path} has learnt the task {task}, and this needs another.", _USES[task]
        )

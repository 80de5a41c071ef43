"""The size of a corpus, to which defaults are adapted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from chargen.options import Recipe

if TYPE_CHECKING:
    from chargen.corpus.prepared import PreparedCorpus


@dataclass(frozen=True)
class Extent:
    """The size of a corpus.

    Attributes:
        vocab_size: |V|.
        characters: to learn from.
        pieces: that these characters became.
        parallel: whether it holds pairs of equally long texts.
    """

    vocab_size: int
    characters: int
    pieces: int
    parallel: bool = False

    @classmethod
    def of(cls, corpus: PreparedCorpus) -> Extent:
        train = corpus.manifest.train
        return cls(corpus.tokenizer.size, train.characters, train.pieces, corpus.is_parallel)

    def is_large(self, recipe: Recipe) -> bool:
        """Whether the vocabulary is large; as an index, the second value of a recipe's pair."""
        return self.vocab_size >= recipe.large_vocabulary

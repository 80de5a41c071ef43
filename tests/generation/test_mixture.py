"""The mixture of a network with counts, shared by several runs of an engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from chargen.corpus.tokenizer import Tokenizer
from chargen.generation.mixture import Contexts, Mixture
from tests.generation.conftest import TEXT, make_counts


class Between(TorchDispatchMode):
    """Does something once, after the first operation of a kind: as another thread may."""

    def __init__(self, kind: str, act: Callable[[], object]) -> None:
        super().__init__()
        self._kind, self._act, self.done = kind, act, False

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        found = func(*args, **(kwargs or {}))
        if self._kind in str(func) and not self.done:
            self.done = True
            self._act()
        return found


def test_a_run_may_mix_its_rows_in_the_middle_of_anothers(tokenizer: Tokenizer) -> None:
    mixture = Mixture(make_counts(tokenizer), torch.device("cpu"))
    rows = 8
    ids = tokenizer.encode(TEXT).astype(np.int64)

    def begun(first: int) -> tuple[Tensor, Contexts]:
        contexts = Contexts(mixture, rows)
        contexts.step(ids[first : first + rows])
        o = torch.randn(rows, mixture.width, generator=torch.Generator().manual_seed(first))
        return o, contexts

    alone = [mixture.probabilities(*begun(first)) for first in (0, 40)]
    one, other = begun(0), begun(40)
    found: list[Tensor] = []
    with Between("index_select", lambda: found.append(mixture.probabilities(*other))) as between:
        mixed = mixture.probabilities(*one)
    assert between.done
    assert torch.equal(found[0], alone[1])
    assert torch.equal(mixed, alone[0])

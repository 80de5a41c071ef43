"""A text to its label: characters to a stack of cells to one vector to a softmax over values."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from chargen.machine.precision import no_autocast
from chargen.network.base import Model
from chargen.network.dropout import Dropout
from chargen.network.encoder import Encoder
from chargen.network.naive_bayes import NaiveBayes
from chargen.network.ngram_weights import Found, NgramWeights
from chargen.options import ModelConfig

_SHARE = 0.7
"""β: network, counts and weights tell the same in part, so their sum is too sure of it."""
_GIVEN = 0.5
"""Share of what the counts say that the weights of n-grams learn beside."""


class Classifier(Model):
    """Tells which value of a label a text has: many to one.

    x_t = √E · table[id_t],  y_1 … y_T = encoder(x_1 … x_T),
    p = [mean of y_t; maximum of y_t],  o = Y p + c,  the values' probabilities are softmax(o).

    With an ``ngram`` order the n-grams of texts with each value are counted, and their naive Bayes
    joins in, and so do learnt weights of n-grams: o = β [λ (Y p + c) + r + ℓ]; see ``NaiveBayes``
    and ``NgramWeights``. With ``ngram_layout`` both know a text's layout too, and with
    ``ngram_verses`` how its verses begin. β is 0.7, or 1 without ℓ; calibration scales it further,
    see ``calibrated``.

    Letters in shapes: T time steps, B texts, |V| pieces, E embedding size, D = 1 or 2 directions,
    H hidden size, P = 2·D·H numbers of a pooled text, L values of the label.

    The table is scaled as in a ``CharModel`` with tied weights, so that it can begin as one's does.
    With ``embedding_size`` 0 its rows are those of U, for each direction, and there is no scale.

    Attributes:
        encoder: reads texts in one direction or both.
        Y, c: of the output, (L, P) and (L,).
    """

    rows_of_labels = ("Y", "c")
    sparse_parameters = ("weighed.W",)

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.begins_with_neighbours = config.embedding_size > 0
        self.input_scale = math.sqrt(config.embedding_size or 1)
        self.encoder = Encoder(config, config.embedding_size, bidirectional=config.bidirectional)
        self.table = nn.Parameter(torch.empty(config.vocab_size, self.encoder.inputs))
        self.Y = nn.Parameter(torch.empty(config.labels, 2 * self.encoder.outputs))
        self.c = nn.Parameter(torch.empty(config.labels)) if config.bias else None
        self.counted: NaiveBayes | None = None
        if config.ngram_order:
            self.counted = NaiveBayes(
                config.ngram_order,
                config.vocab_size,
                config.labels,
                config.ngram_rows,
                layout=config.ngram_layout,
                verses=config.ngram_verses,
            )
        self.weighed: NgramWeights | None = None
        if self.counted is not None and config.ngram_weights:
            rows = len(self.counted.keys)
            self.weighed = NgramWeights(rows, config.ngram_weights, config.labels)

    @torch.no_grad()
    def reset_parameters(self, seed: int) -> None:
        """Set initial weights, a function of ``seed`` alone."""
        generator = torch.Generator().manual_seed(seed)
        self._draw_table(generator)
        self.encoder.reset_parameters(generator)
        spread = 1 / math.sqrt(self.Y.shape[1])
        self.Y.uniform_(-spread, spread, generator=generator)
        if self.c is not None:
            self.c.zero_()
        if self.counted is not None:
            self.counted.reset_parameters()
        if self.weighed is not None:
            self.weighed.reset_parameters()

    def drop_counts(self) -> None:
        """Judge by the network alone."""
        self.counted = self.weighed = None

    @torch.no_grad()
    def learn_counts(
        self, ids: Tensor, places: Tensor, values: Tensor, separates: Tensor | None = None
    ) -> None:
        """Count labelled texts, one after another; arguments as ``NaiveBayes.learn``.

        The biases c begin at the shares of texts with each value, and n-grams are counted if any
        are.
        """
        begun = values[(places == 0) & (values >= 0)]
        counts = torch.bincount(begun, minlength=self.config.labels).double() + 1
        if self.c is not None:
            self.c.copy_((counts / counts.sum()).log())
        if self.counted is not None:
            self.counted.learn(ids, places, values, separates)
            if self.weighed is not None:
                self.weighed.learn(self.counted.counts.sum(-1), len(begun))

    @contextmanager
    def calibrated(self, scale: float, offset: float) -> Iterator[None]:
        """A block in which the logits o are times ``scale``; after it, as before.

        Source: Guo et al., "On calibration of modern neural networks", ICML 2017.
        """
        del offset
        factors = [self.Y] if self.c is None else [self.Y, self.c]
        if self.counted is not None:
            factors = [self.counted.share, self.counted.kappa]
            if self.weighed is not None:
                factors.append(self.weighed.W)
        before = [each.detach().clone() for each in factors]
        with torch.no_grad():
            for each in factors:
                each.mul_(scale)
        try:
            yield
        finally:
            with torch.no_grad():
                for each, old in zip(factors, before, strict=True):
                    each.copy_(old)

    def given_by(self, source: Model) -> dict[str, Tensor]:
        """Return the weights of a classifier or a language model by their names here.

        What a classifier has counted is of its own texts, and isn't given.

        A language model gives its table and the forward cells. Where it has several layers, and
        this network reads both ways, the upper cells have other inputs, and only the lowest fits.
        """
        given = source.state_dict()
        if isinstance(source, Classifier):
            of_texts = ("counted.", "weighed.")
            return {name: each for name, each in given.items() if not name.startswith(of_texts)}
        found = {"table": given["table"] * (source.input_scale / self.input_scale)}
        layers = 1 if self.config.bidirectional else self.config.num_layers
        for name, each in given.items():
            part, _, rest = name.partition(".")
            if part == "layers" and int(rest.partition(".")[0]) < layers:
                found[f"encoder.ahead.{rest}"] = each
        return found

    def read(self, ids: Tensor, lengths: Tensor, dropout: Dropout | None = None) -> Tensor:
        """Read texts, ids (T, B) padded at the end: the encoder's outputs (T, B, D·H)."""
        x = F.embedding(ids, self.table) * self.input_scale
        y: Tensor = self.encoder(x, lengths, dropout)
        return y

    def outputs(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Return the encoder's outputs y, (T, B) to (T, B, D·H)."""
        return self.read(ids, lengths)

    def last(self, y: Tensor, lengths: Tensor) -> Tensor:
        """Return what each direction knows at its own end, (B, D·H)."""
        return self.encoder.last(y, lengths)

    def pooled(self, y: Tensor, lengths: Tensor) -> Tensor:
        """Return p of texts from outputs y (T, B, D·H): (B, P)."""
        beyond = torch.arange(len(y), device=y.device)[:, None] >= lengths
        most = y.masked_fill(beyond[..., None], -math.inf).amax(0)
        return torch.cat([self.encoder.mean(y, lengths), most], dim=-1)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """Return the logits o of texts: ids (T, B), lengths (B,) to (B, L)."""
        alone = self._alone(ids, lengths, None)
        if self.counted is None:
            return alone
        found = self.counted.find(ids, lengths)
        o = self._both(alone, self._counted(found, None))
        return o if self.weighed is None else _SHARE * (o + self.weighed(found))

    def _alone(self, ids: Tensor, lengths: Tensor, dropout: Dropout | None) -> Tensor:
        """Return what the network says without counts, Y p + c."""
        p = self.pooled(self.read(ids, lengths, dropout), lengths)
        with no_autocast(p):
            return F.linear(p.to(self.Y.dtype), self.Y, self.c)

    def _counted(self, found: Sequence[Found], own: Tensor | None) -> Tensor:
        """Return r; ``own`` (B,) are values that the texts were counted with."""
        assert self.counted is not None
        with no_autocast(self.table):
            r: Tensor = self.counted(found, own)
            return r

    def _both(self, alone: Tensor, r: Tensor) -> Tensor:
        """Return λ (Y p + c) + r."""
        assert self.counted is not None
        with no_autocast(alone):
            return self.counted.share * alone + r

    def loss(
        self, ids: Tensor, lengths: Tensor, values: Tensor, dropout: Dropout | None = None
    ) -> Tensor:
        """Mean nats a text, whose label has the values (B,); −1: it has none, and costs nothing.

        With counts that is the mean of both together and of the network alone: by the first alone
        it would only learn what the counts don't know, and next to nothing. The weights of n-grams
        learn from a third mean, that of r/2 + ℓ: without the network, since they know a text by
        heart once it was learnt from, and beside half of what the counts say, so that they learn
        more of what these don't know. r isn't learnt from this mean.
        """
        alone = self._alone(ids, lengths, dropout)
        costs = [_cost(alone, values)]
        if self.counted is not None:
            found = self.counted.find(ids, lengths)
            r = self._counted(found, values)
            costs.append(_cost(self._both(alone, r), values))
            if self.weighed is not None:
                costs.append(_cost(_GIVEN * r.detach() + self.weighed(found), values))
        return sum(costs[1:], costs[0]) / len(costs) / (values >= 0).sum().clamp(min=1)

    def parts(self) -> dict[str, dict[str, Tensor]]:
        """Return the parameters of each part by their names in the equations."""
        entry = "embedding" if self.config.embedding_size else "Uᵀ"
        output = {"Y": self.Y, "c": self.c}
        parts: dict[str, dict[str, Tensor]] = {
            "table": {entry: self.table},
            **self.encoder.parts(),
            "output": {name: p for name, p in output.items() if p is not None},
        }
        if self.counted is not None:
            parts["counts"] = {
                "κ": self.counted.kappa,
                "log a": self.counted.log_a,
                "λ": self.counted.share,
            }
        if self.weighed is not None:
            parts["n-grams"] = {"W": self.weighed.W}
        return parts


def _cost(o: Tensor, values: Tensor) -> Tensor:
    return F.cross_entropy(o, values, ignore_index=-1, reduction="sum")

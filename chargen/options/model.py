"""Options of the network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar

from chargen.options.cells import CELLS, NETWORK, cell_options
from chargen.options.field import Config, option
from chargen.options.names import meant

_Class = TypeVar("_Class", bound=type)

_AUTO = "auto"
_LONGEST_NGRAM = 16
_NGRAM_OF_LABELS = 3
_MIXED = ("lm", "seq2seq")
"""Tasks whose next piece may be predicted by counts as well."""


def _known_cells(value: str) -> str | None:
    unknown = [name for name in value.split(",") if name not in CELLS]
    return f"one of {', '.join(CELLS)}{meant(unknown[0], CELLS)}" if unknown else None


def _order(value: str) -> str | None:
    known = value == _AUTO or (value in map(str, range(_LONGEST_NGRAM + 1)))
    return None if known else f"{_AUTO}, or 0 to {_LONGEST_NGRAM}"


def _with_cell_options(config: _Class) -> _Class:
    """Add the options in the table of cells to a config."""
    for name, each in cell_options().items():
        config.__annotations__[name] = type(each.default).__name__
        setattr(config, name, each)
    return config


@dataclass(frozen=True)
@_with_cell_options
class ModelConfig(Config):
    """The shape of a network; the options in the table of cells are fields as well."""

    judged_whole = True

    vocab_size: int = option(
        help="|V|, the length of a one-hot vector: characters kept plus reserved pieces",
        low=1,
        derived=True,
    )
    cell: str = option(
        "lstm",
        f"Cell: {', '.join(CELLS)}; or one per layer, separated by commas, bottom first",
        rule=_known_cells,
        panel=NETWORK,
    )
    hidden_size: int = option(
        256, "H, units per layer", low=1, default_text="the preset's", panel=NETWORK
    )
    num_layers: int = option(
        1,
        "Number of layers",
        low=1,
        high=1000,
        default_text="one per cell of a list, else the preset's; 2 in small and base for a long "
        "text with a vocabulary of 3,000",
        panel=NETWORK,
    )
    embedding_size: int = option(
        128,
        "Length of a character's embedding; 0: one-hot",
        low=0,
        default_text="32, or 128 for a large vocabulary",
        panel=NETWORK,
    )
    bias: bool = option(
        True, "Biases of the recurrences and the output", negatable=True, panel=NETWORK
    )
    tie_weights: bool = option(
        False,
        "One matrix for input and output",
        negatable=True,
        default_text="for a large vocabulary",
        panel=NETWORK,
    )
    ngram: str = option(
        "0",
        "Longest n-grams whose counts are mixed with the network; auto: by the vocabulary, 3 for "
        "classify, none for texts with labels; 0: none",
        rule=_order,
        integers=True,
        default_text="auto; 0 in tiny and lecture",
        panel=NETWORK,
    )
    records: bool = option(
        False, help="Whether each text is read from its beginning to its end", derived=True
    )
    labels: int = option(
        0, help="Length of v: values of all label keys together", low=0, derived=True
    )
    ngram_rows: int = option(
        0, help="Most n-grams of a length that a classifier counts", low=0, derived=True
    )
    ngram_weights: int = option(
        0, help="Most n-grams that a classifier learns a weight of", low=0, derived=True
    )
    ngram_layout: bool = option(
        False,
        help="Whether a classifier counts pieces by their places, and how many recur",
        derived=True,
    )
    ngram_verses: bool = option(
        False,
        help="Whether a classifier counts how verses begin, after a mark or a line end",
        derived=True,
    )
    task: str = option(
        "lm",
        "What the network learns",
        choices={
            "lm": "to continue a text",
            "classify": "to tell a text's label",
            "seq2seq": "to answer a text with a text",
            "infill": "to fill gaps",
        },
        panel=NETWORK,
    )
    bidirectional: bool = option(
        False,
        "Read a text in both directions, for classify and seq2seq; infill always does",
        negatable=True,
        panel=NETWORK,
    )
    attention: str = option(
        "none",
        "How an answer looks back at the text, for seq2seq",
        choices={
            "none": "through the code alone",
            "dot": "by products of states",
            "additive": "by a layer of its own",
        },
        default_text="dot for seq2seq",
        panel=NETWORK,
    )
    also_reversed: bool = option(
        False,
        "Learn to answer second texts with first ones as well, for seq2seq",
        negatable=True,
        default_text="where the texts of a pair are equally long",
        panel=NETWORK,
    )

    @staticmethod
    def implied_by(given: Mapping[str, Any]) -> dict[str, Any]:
        """The values that follow from given ones: a list of cells has a layer for each."""
        cells = str(given.get("cell", "")).count(",") + 1
        return {"num_layers": cells} if cells > 1 and "num_layers" not in given else {}

    @classmethod
    def conflicts_in(cls, values: Mapping[str, Any]) -> list[str]:
        config = cls(**{"vocab_size": 1, **values})
        names, layers, found = config.layer_cells(), config.num_layers, []
        if len(names) != layers:
            found.append(f"`cell` names {len(names)} layers, but `num_layers` is {layers}")
        found += [
            f"`cell` is {config.cell}, but {name} can only be the last layer"
            for name in names[:-1]
            if CELLS[name].wants_output
        ]
        found += [
            f"`{name}` has no meaning for the cell {config.cell}"
            for name, default in config.idle_options().items()
            if getattr(config, name) != default
        ]
        if config.tie_weights and not config.can_tie() and config.task != "classify":
            found.append(
                "`tie_weights` needs an embedding, and a last layer that isn't fed the output"
            )
        if config.mixed_order and not config.can_mix():
            found.append(f"`ngram` is {config.ngram}, but the cell {config.cell} is fed the output")
        return found + config._conflicts_of_task()

    def _conflicts_of_task(self) -> list[str]:
        """Describe which options the task has no use for."""
        found = []
        if self.task == "lm" and self.bidirectional:
            found.append(
                "`bidirectional` is for a text that is there as a whole; a language model writes "
                "from left to right, and what comes later can't be read before it is written"
            )
        if self.attention != "none" and self.task != "seq2seq":
            found.append(f"`attention` is for the task seq2seq, and `task` is {self.task}")
        if self.also_reversed and self.task != "seq2seq":
            found.append(f"`also_reversed` is for the task seq2seq, and `task` is {self.task}")
        if self.task != "lm":
            found += [
                f"the cell {name} is fed the output, which only the task lm has"
                for name in dict.fromkeys(self.layer_cells())
                if CELLS[name].wants_output
            ]
            if self.tie_weights and self.task == "classify":
                found.append("`tie_weights` has no meaning for classify, whose output are labels")
            if self.ngram_order and self.task == "infill":
                found.append(
                    f"`ngram` is {self.ngram}, but infill goes by both sides of a character, and "
                    "counts only by what comes before it"
                )
        return found

    @property
    def ngram_order(self) -> int:
        """The order of the n-gram model; 0: there is none, or it isn't chosen yet."""
        return 0 if self.ngram == _AUTO else int(self.ngram)

    @property
    def mixed_order(self) -> int:
        """The order of the n-gram model that predicts pieces beside the network; 0: none does."""
        return self.ngram_order if self.task in _MIXED else 0

    @property
    def unit(self) -> str:
        """What a score of this network is measured in."""
        return "bits per label" if self.task == "classify" else "bits per character"

    @property
    def traits(self) -> tuple[str, ...]:
        """How a network of this task reads and what it learns, in words; nothing of a plain one."""
        if self.task == "infill":
            return ("read from both ends",)
        if self.task == "classify":
            return ("read in both directions",) if self.bidirectional else ()
        if self.task != "seq2seq":
            return ()
        return (
            f"encoder in {'both directions' if self.bidirectional else 'one direction'}",
            f"{'no' if self.attention == 'none' else self.attention} attention",
            *(["pairs learnt the other way round as well"] if self.also_reversed else []),
        )

    def with_ngram_order(self, suited: int) -> Self:
        """The same network with an order in place of ``auto``: ``suited``, or 0 if it can't mix.

        A classifier counts the n-grams of each label, for which short ones suit. A language model
        of records has none unless they are asked for: they predict its texts better, but know
        neither labels nor how many verses there were, and what is drawn breaks its form.
        """
        if self.ngram != _AUTO:
            return self
        if self.task == "classify":
            return replace(self, ngram=str(_NGRAM_OF_LABELS))
        by_itself = self.can_mix() and not (self.records and self.task == "lm")
        return replace(self, ngram=str(suited if by_itself else 0))

    def for_task(self, given: Mapping[str, Any]) -> Self:
        """The network of a run whose weights another run begins with, in the task of that one.

        Args:
            given: options of the other run.
        """
        task = given.get("task", self.task)
        if task == self.task or task != "classify":
            return self
        ngram, both = str(given.get("ngram", _AUTO)), given.get("bidirectional", False)
        made = replace(self, task=task, bidirectional=both, ngram=ngram)
        return replace(made, tie_weights=False, attention="none", also_reversed=False)

    def can_mix(self) -> bool:
        """Whether its output may be mixed with counts: no cell is fed the network's own output."""
        return self.task in _MIXED and not self._is_fed_output()

    def _is_fed_output(self) -> bool:
        return any(CELLS[name].wants_output for name in self.layer_cells())

    def can_tie(self) -> bool:
        """Return whether the embeddings can serve as V: there are some, and no cell owns V."""
        return self.embedding_size > 0 and self.task != "classify" and not self._is_fed_output()

    def can_be_averaged(self) -> bool:
        """Return whether several networks of these options, side by side, are one of the kind."""
        return self.task == "lm" and all(CELLS[name].side_by_side for name in self.layer_cells())

    def layer_cells(self) -> tuple[str, ...]:
        """Return the name of each layer's cell, bottom first."""
        names = tuple(self.cell.split(","))
        return names * self.num_layers if len(names) == 1 else names

    def options_of(self, cell: str) -> dict[str, Any]:
        """Return the values of the options that belong to ``cell``."""
        return {name: getattr(self, name) for name in CELLS[cell].options}

    def idle_options(self) -> dict[str, Any]:
        """Return the defaults of cell options that belong to none of this network's cells."""
        own = {name for cell in self.layer_cells() for name in CELLS[cell].options}
        return {n: each.default for n, each in cell_options().items() if n not in own}

    def without_idle_options(self) -> Self:
        """Return the same network, with cell options that it doesn't have at today's defaults."""
        return replace(self, **self.idle_options())

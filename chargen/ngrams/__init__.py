"""What counting tells about a text: frequencies, neighbours, and a Kneser-Ney model."""

from chargen.ngrams.frequencies import Neighbours, neighbour_information, piece_counts
from chargen.ngrams.model import KneserNey, count
from chargen.ngrams.order import choose_order
from chargen.ngrams.pruning import choose_drop, without_singletons
from chargen.ngrams.records import CountedTexts, beginning, joined, preceded
from chargen.ngrams.storage import from_arrays, to_arrays
from chargen.ngrams.texts import leave_one_out, score, states_before

__all__ = [
    "CountedTexts",
    "KneserNey",
    "Neighbours",
    "beginning",
    "choose_drop",
    "choose_order",
    "count",
    "from_arrays",
    "joined",
    "leave_one_out",
    "neighbour_information",
    "piece_counts",
    "preceded",
    "score",
    "states_before",
    "to_arrays",
    "without_singletons",
]

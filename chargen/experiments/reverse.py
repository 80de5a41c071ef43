"""Turning strings round: what fits through a code, and what attention adds."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chargen import api
from chargen.corpus.prepared import PreparedCorpus
from chargen.corpus.preparing import prepare
from chargen.experiments.outcome import ShowProgress, Table, silent
from chargen.experiments.runs import train_course
from chargen.inspection.plots import new_figure, save_figure
from chargen.options import CorpusConfig, TrainConfig, check

LONGEST = 20
"""Letters of the longest strings that are learnt; some that are tried are longer."""
ALPHABET = "abcdefghij"
_LENGTHS = (1, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24)
_PAIRS = 20_000
_TRIED = 50
_KINDS = (("none", False), ("none", True), ("dot", False), ("dot", True))


@dataclass(frozen=True)
class Turner:
    """A network that has learnt to turn strings round.

    Attributes:
        name: what it is.
        attention, bidirectional: its options.
        parameters: number of parameters.
        minutes: of training.
        exact: for each length, the share of strings turned round without a mistake.
    """

    name: str
    attention: str
    bidirectional: bool
    parameters: int
    minutes: float
    exact: tuple[float, ...]

    @property
    def reach(self) -> int:
        """The greatest length of which at least half of the answers are exact; 0: none."""
        shares = zip(_LENGTHS, self.exact, strict=True)
        return max((length for length, share in shares if share >= 0.5), default=0)


@dataclass(frozen=True)
class ReverseOutcome:
    """The result of ``compare_reversing``.

    Attributes:
        steps, hidden_size: of each network.
        lengths: of the strings that were tried.
        turners: the networks.
    """

    steps: int
    hidden_size: int
    lengths: tuple[int, ...]
    turners: tuple[Turner, ...]

    def tables(self) -> tuple[Table, ...]:
        return (
            Table(
                f"Strings of {len(ALPHABET)} letters turned round, {self.steps:,} steps on strings "
                f"of 1 to {LONGEST}, {self.hidden_size} units: exact answers by length",
                ("", *map(str, self.lengths), "parameters", "minutes"),
                tuple(
                    (
                        each.name,
                        *(f"{share:.0%}" for share in each.exact),
                        f"{each.parameters:,}",
                        f"{each.minutes:.1f}",
                    )
                    for each in self.turners
                ),
            ),
        )

    def findings(self) -> tuple[str, str]:
        def reach(attention: str) -> str:
            found = [each for each in self.turners if each.attention == attention]
            return " and ".join(
                f"{each.reach} letters {'in both directions' if each.bidirectional else 'in one'}"
                for each in found
            )

        return (
            "Through the code alone, at least half of the answers are still exact at "
            f"{reach('none')}.",
            f"With attention, that holds at {reach('dot')}.",
        )

    def draw(self, out: Path) -> None:
        figure = new_figure(7, 4.4)
        axes = figure.subplots()
        for n, each in enumerate(self.turners):
            axes.plot(
                self.lengths,
                each.exact,
                color=f"C{_KINDS.index((each.attention, False)) // 2}",
                linestyle="-" if each.bidirectional else "--",
                marker="os^v"[n % 4],
                markersize=4,
                label=each.name,
            )
        axes.axvline(LONGEST, color="grey", linestyle=":", label="longest string learnt")
        axes.set_xlabel("letters")
        axes.set_ylabel("share of exact answers")
        axes.set_title("Strings turned round")
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
        save_figure(figure, out)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def compare_reversing(
    *,
    steps: int = 1000,
    hidden_size: int = 64,
    seed: int = 0,
    threads: int = 0,
    on_progress: ShowProgress = silent,
) -> ReverseOutcome:
    """Train networks to turn strings round, and try them on strings of growing length.

    Args:
        steps: training steps of each.
        hidden_size: units of the decoder; the encoder has as many in all.
        seed: of strings and initial weights.
        threads: CPU threads; 0: torch's choice.
        on_progress: called with the progress.

    Raises:
        ConfigError: an option is not usable.
    """
    check(TrainConfig(seed=seed, threads=threads, max_steps=steps))
    draw = random.Random(seed)
    turners = []
    with tempfile.TemporaryDirectory() as folder:
        corpus = _corpus(Path(folder), draw)
        tried = [[_string(draw, length) for _ in range(_TRIED)] for length in _LENGTHS]
        for n, (attention, both) in enumerate(_KINDS):
            looks = "attention" if attention != "none" else "code alone"
            name = f"{looks}, {'both directions' if both else 'one direction'}"

            def on_share(share: float, done: int = n, name: str = name) -> None:
                on_progress(name, done + share, len(_KINDS))

            course = train_course(
                corpus,
                Path(folder),
                f"run{n}",
                on_share,
                task="seq2seq",
                attention=attention,
                bidirectional=both,
                hidden_size=hidden_size,
                max_steps=steps,
                eval_every=steps,
                sample_every=steps,
                seed=seed,
                threads=threads,
                device="cpu",
            )
            model = api.load(Path(folder) / f"run{n}", device="cpu")
            most = _LENGTHS[-1] + 1
            exact = tuple(
                _share_exact(model.answer(s, temperature=0, length=most), s) for s in tried
            )
            minutes = (course.seconds[-1] if course.seconds else 0.0) / 60
            turners.append(Turner(name, attention, both, course.parameters, minutes, exact))
    return ReverseOutcome(steps, hidden_size, _LENGTHS, tuple(turners))


def _corpus(folder: Path, draw: random.Random) -> PreparedCorpus:
    """Strings of all lengths alike, and each turned round."""
    lines = ["src\ttrg"]
    for _ in range(_PAIRS):
        text = _string(draw, draw.randint(1, LONGEST))
        lines.append(f"{text}\t{text[::-1]}")
    file = folder / "strings.tsv"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return prepare([file], folder / "corpus", CorpusConfig(records="pairs", val_frac=0.02))


def _string(draw: random.Random, length: int) -> str:
    return "".join(draw.choices(ALPHABET, k=length))


def _share_exact(answers: Sequence[str], strings: Sequence[str]) -> float:
    right = sum(a == s[::-1] for a, s in zip(answers, strings, strict=True))
    return right / len(strings)

"""Comparison of chargen, a plain PyTorch loop and a small GPT trained for equal time.

Two references that only count stand beside them: a Kneser-Ney model and 7-Zip's PPMd. Since PPMd
goes on learning from what it has read, chargen's run is also scored while it recalls that.

All are trained on the same 90 % of the text, alternating in short turns so that other load on the
machine affects all of them equally. Each has a clock that stops while others train and while it is
scored. All are scored on the same beginning of the other 10 %. Another run of chargen is planned
for an eighth of the time, because the learning rate of the full run is still high by then.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from chargen import api
from chargen.corpus.prepared import PreparedCorpus
from chargen.corpus.preparing import prepare
from chargen.corpus.shipped import PROSE, shipped_text
from chargen.errors import CorpusError
from chargen.evaluation.scores import head_of_text
from chargen.experiments.contenders import PRECISION, Budget, Chargen
from chargen.experiments.counting import counting_alone, ppmd
from chargen.experiments.curves import LearningCurve, draw_curves
from chargen.experiments.outcome import ShowProgress, Table, silent
from chargen.experiments.references import Plain, SmallGPT
from chargen.experiments.turns import learn_by_turns
from chargen.machine.devices import resolve_device
from chargen.machine.processor import processor_name
from chargen.options import CorpusConfig, TrainConfig, check

SHORT = 8
"""Divisor of the budget for the short run."""
_SCORED_AT_THE_END = 1 << 18
_IN_TURNS = ("chargen", "short", "plain", "gpt")
_CURVES = (*_IN_TURNS, "recalling", "counting", "ppmd")


@dataclass(frozen=True)
class QualityOutcome:
    """The result of ``compare_quality``, and the conditions.

    Attributes:
        precision: the number format in which all networks are trained.
        chargen: the run of a preset.
        short: the run of the same preset planned for an eighth of the budget.
        plain: the plain loop with char-rnn's defaults.
        gpt: the small GPT.
        recalling: the run of the preset, recalling what was read of the validation split.
        counting: a Kneser-Ney model, without a network.
        ppmd: a compressor, which goes on learning while it is scored.
    """

    machine: str
    device: str
    threads: int
    torch: str
    precision: str
    text: str
    vocab_size: int
    train_characters: int
    scored_characters: int
    seed: int
    chargen: LearningCurve
    short: LearningCurve
    plain: LearningCurve
    gpt: LearningCurve
    recalling: LearningCurve
    counting: LearningCurve
    ppmd: LearningCurve

    @property
    def curves(self) -> tuple[LearningCurve, ...]:
        return tuple(getattr(self, name) for name in _CURVES)

    @property
    def goal(self) -> float:
        """The end of the GPT's curve, in bits per character."""
        return self.gpt.points[-1].bits_per_char

    @property
    def share_of_gpts_time(self) -> float | None:
        """The time at which chargen's curve reaches the goal, relative to the GPT's time."""
        reached = self.chargen.seconds_to(self.goal)
        return None if reached is None else reached / self.gpt.seconds

    @property
    def short_over_gpts_time(self) -> float:
        return self.short.seconds / self.gpt.seconds

    @property
    def short_beats_gpt(self) -> bool:
        """Whether the short run ends at least as well as the GPT."""
        return self.short.bits_per_char <= self.gpt.bits_per_char

    def tables(self) -> tuple[Table, ...]:
        share = self.share_of_gpts_time
        reached = "never" if share is None else f"after {share:.3f} of its time"
        beats = "reached" if self.short_beats_gpt else "missed"
        return (
            Table(
                f"{self.text}, |V| = {self.vocab_size:,}; {self.machine}, {self.threads} threads, "
                f"{self.device}, {self.precision}, torch {self.torch}",
                ("", "parameters", "steps", "seconds", "bits/character", "to GPT's end"),
                tuple(
                    (
                        curve.name,
                        f"{curve.parameters:,}" if curve.parameters else "-",
                        f"{curve.points[-1].steps:,}",
                        f"{curve.seconds:.1f}",
                        f"{curve.bits_per_char:.3f}",
                        self._time_to_goal(name),
                    )
                    for name, curve in zip(_CURVES, self.curves, strict=True)
                ),
            ),
            Table(
                "The end of the GPT's curve",
                ("run", "reached"),
                (
                    (self.chargen.name, reached),
                    (self.short.name, f"{beats} in {self.short_over_gpts_time:.3f} of its time"),
                ),
            ),
        )

    def _time_to_goal(self, name: str) -> str:
        """When a network reaches the goal; the others are scored on a longer text than that."""
        if name not in _IN_TURNS:
            return "-"
        at = getattr(self, name).seconds_to(self.goal)
        return "never" if at is None else f"{at:.1f} s"

    def findings(self) -> tuple[str, str]:
        def against(curve: LearningCurve) -> str:
            less = curve.bits_per_char - self.chargen.bits_per_char
            return f"{abs(less):.3f} {'fewer' if less > 0 else 'more'} than {curve.name}"

        share = self.share_of_gpts_time
        reached = (
            f"reaches the end of the curve of {self.gpt.name} in {share:.2f} of its time"
            if share is not None
            else f"doesn't reach the end of the curve of {self.gpt.name}"
        )
        return (
            f"In equal time {self.chargen.name} ends at {self.chargen.bits_per_char:.3f} bits per "
            f"character, {against(self.plain)} and {against(self.gpt)}.",
            f"It {reached}.",
        )

    def caption(self) -> str:
        """Say what to see in the picture: how to read it, and what it shows."""
        return "\n".join(
            (
                "Lower is better, and farther left is sooner. The dotted line is the end of the "
                f"curve of {self.gpt.name}. Curves are of the split's beginning, stars of it all.",
                *self.findings(),
            )
        )

    def draw(self, out: Path) -> None:
        title = f"{self.text}, |V| = {self.vocab_size:,}"
        draw_curves(self.curves, self.short, self.goal, title, self.caption(), out)

    def to_dict(self) -> dict[str, Any]:
        return {
            **asdict(self),
            "share_of_gpts_time": self.share_of_gpts_time,
            "short_over_gpts_time": self.short_over_gpts_time,
            "short_beats_gpt": self.short_beats_gpt,
        }


def compare_quality(
    text: api.Source | None = None,
    *,
    minutes: float = 1.67,
    steps: int | None = None,
    preset: str = "small",
    vocab_size: int = 3000,
    seed: int = 0,
    device: str = "auto",
    threads: int = 0,
    on_progress: ShowProgress = silent,
) -> QualityOutcome:
    """Train all contenders on a text in turns, each for the same budget.

    Args:
        text: a text file; None is the shipped text ``shipan.txt``.
        minutes: minutes of training for each; scoring is not counted.
        steps: steps for each, instead of minutes.
        preset: chargen's preset.
        vocab_size: characters kept.
        seed: seed of initial weights and of the GPT's windows.
        device: the device to train on.
        threads: CPU threads; 0: torch's choice.
        on_progress: called with the progress.

    Raises:
        ConfigError: an option is not usable.
        CorpusError: the text can't be read or is too short.
        MissingExtraError: the package transformers or pyppmd is not installed.
    """
    settings = CorpusConfig(vocab_size=vocab_size)
    budget = Budget(minutes * 60) if steps is None else Budget(steps, in_steps=True)
    learning = {"seed": seed, "device": device, "threads": threads, **budget.options()}
    check(settings, TrainConfig.from_dict(learning))
    path = Path(shipped_text(PROSE) if text is None else text)
    place = resolve_device(device)
    with TemporaryDirectory() as folder, ExitStack() as stack:
        corpus = prepare([path], Path(folder) / "corpus", settings)
        if not len(corpus.val):
            raise CorpusError(f"{path} is too short to be split.", "Use a longer text.")
        contenders = _contenders(corpus, Path(folder), preset, budget, seed, place, threads)
        for each in contenders:
            stack.callback(each.close)
        val = head_of_text(corpus.tokenizer, corpus.val, _SCORED_AT_THE_END)
        curves = learn_by_turns(contenders, corpus.tokenizer, val, on_progress)
        curves.append(contenders[0].recalling(curves[0], val))
        curves += [counting_alone(corpus, val), ppmd(corpus, val)]
    return QualityOutcome(
        machine=processor_name(),
        device=str(place),
        threads=threads or torch.get_num_threads(),
        torch=torch.__version__,
        precision=PRECISION,
        text=path.name,
        vocab_size=corpus.tokenizer.size,
        train_characters=corpus.manifest.train.characters,
        scored_characters=int(corpus.tokenizer.character_starts(val).sum()),
        seed=seed,
        **dict(zip(_CURVES, curves, strict=True)),
    )


def _contenders(
    corpus: PreparedCorpus,
    folder: Path,
    preset: str,
    budget: Budget,
    seed: int,
    device: torch.device,
    threads: int,
) -> tuple[Chargen, Chargen, Plain, SmallGPT]:
    """Make the contenders, with their initial weights."""

    def run(name: str, spent: Budget) -> Chargen:
        return Chargen(
            corpus, folder, name, preset, spent, seed=seed, device=device, threads=threads
        )

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return (
            run(preset, budget),
            run(f"{preset}, short", budget.part(SHORT)),
            Plain(corpus, budget, device, threads),
            SmallGPT(corpus, budget, device, threads, seed),
        )

"""What the user should know of a run before it begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chargen.corpus.opening import Named, is_prepared, paths_of, texts_of
from chargen.corpus.remarks import remarks_on_sizes, text_line
from chargen.corpus.sources import passed_over

if TYPE_CHECKING:
    from chargen.corpus.prepared import PreparedCorpus
    from chargen.runs.config import RunConfig

_UNLIKE = 0.05
"""Share of unknown pieces from which on a validation split is reported as unlike its text."""
_FEW_STEPS = 50


def notes_on(asked_for: Named, corpus: PreparedCorpus, config: RunConfig) -> list[str]:
    """What the user should know of a new run, one line each; ``asked_for`` is the text named."""
    notes = []
    if asked_for is None:
        (text,) = texts_of(None)
        notes.append(f"No text was named: training on the shipped text {text.name}.")
    elif not is_prepared(asked_for):
        notes += passed_over(paths_of(asked_for))
    manifest = corpus.manifest
    notes += [text_line(manifest), *manifest.warnings, *remarks_on_sizes(manifest)]
    notes += [*_note_on_validation(corpus), *_note_on_steps(config)]
    asked, used = config.asked, config.training
    shrunk = []
    if "batch_size" in asked:
        shrunk.append(f"batch {used.batch_size} instead of {asked['batch_size']}")
    if "seq_length" in asked:
        shrunk.append(f"windows of {used.seq_length} instead of {asked['seq_length']}")
    if shrunk:
        notes.append(f"The text is short: {', '.join(shrunk)}.")
    return notes


def _note_on_steps(config: RunConfig) -> list[str]:
    """A note where the steps that were asked for are a beginning at most."""
    steps = config.training.max_steps
    if steps is None or steps >= _FEW_STEPS:
        return []
    what = "step is" if steps == 1 else "steps are"
    return [f"{steps:,} {what} a trial: a text is learnt in hundreds or thousands of steps."]


def _note_on_validation(corpus: PreparedCorpus) -> list[str]:
    """A note where the validation split has characters that the training split never shows."""
    from chargen.corpus.prepared import piece_counts

    size = corpus.tokenizer.size
    unseen = piece_counts(corpus.train, size) == 0
    share = float(piece_counts(corpus.val, size)[unseen].sum()) / max(1, len(corpus.val))
    if share < _UNLIKE:
        return []
    return [
        f"{share:.0%} of the validation split, the end of the text, is characters that the "
        "training split doesn't have, so its scores say little. Put a typical part at the end of "
        "the text, or keep no validation split (`val_frac=0`)."
    ]

"""``chargen train``: a text to a model."""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from chargen.cells import CELLS
from chargen.cli import options as opt
from chargen.cli.boundary import INTERRUPTED, TERMINATED, Terminated
from chargen.cli.find_lr import show_find_lr
from chargen.config import ACTIVATIONS, OPTIMIZERS, RECURRENT_INITS, TrainConfig
from chargen.errors import ConfigError
from chargen.training.presets import DEFAULT_PRESET, PRESETS

if TYPE_CHECKING:
    from chargen.corpus.prepared import Progress

_DEFAULTS = TrainConfig()
NETWORK = "The network; what is not given comes from the preset"
LEARNING = "Learning"
BUDGET = "How long: one of these, or by the size of the text"


def train(
    corpus: Annotated[
        list[Path] | None,
        typer.Argument(help="Text files, or a prepared folder; without: the shipped prose."),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option("--preset", help=f"{', '.join(PRESETS)}. \\[default: {DEFAULT_PRESET}]"),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--name", help="Of the run folder. \\[default: corpus-cell-number]"),
    ] = None,
    out_dir: opt.OutDir = Path("checkpoints"),
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on with the run --name (begun if it isn't there), or the newest."
        ),
    ] = False,
    init_from: Annotated[
        str | None, typer.Option("--init-from", help="A run whose weights are the initial ones.")
    ] = None,
    cell: Annotated[
        str | None,
        typer.Option(
            "--cell",
            help=f"{', '.join(CELLS)}; or one a layer, with commas, bottom first.",
            rich_help_panel=NETWORK,
        ),
    ] = None,
    hidden_size: Annotated[
        int | None, typer.Option("--hidden-size", help="Units a layer.", rich_help_panel=NETWORK)
    ] = None,
    num_layers: Annotated[
        int | None, typer.Option("--num-layers", help="Layers.", rich_help_panel=NETWORK)
    ] = None,
    embedding_size: Annotated[
        int | None,
        typer.Option(
            "--embedding-size",
            help="Length of a character's vector; 0: one-hot.",
            rich_help_panel=NETWORK,
        ),
    ] = None,
    activation: Annotated[
        str | None,
        typer.Option(
            "--activation",
            help=f"{', '.join(ACTIVATIONS)}{opt.only_for('activation')}.",
            rich_help_panel=NETWORK,
        ),
    ] = None,
    recurrent_init: Annotated[
        str | None,
        typer.Option(
            "--recurrent-init",
            help=f"W at the start: {', '.join(RECURRENT_INITS)}{opt.only_for('recurrent_init')}.",
            rich_help_panel=NETWORK,
        ),
    ] = None,
    dt: Annotated[
        float | None,
        typer.Option(
            "--dt",
            help=f"Length of an Euler step, in characters: 1, 1/2, …{opt.only_for('dt')}.",
            rich_help_panel=NETWORK,
        ),
    ] = None,
    modules: Annotated[
        int | None,
        typer.Option(
            "--modules",
            help=f"Groups of units, of periods 1, 2, 4, …{opt.only_for('modules')}.",
            rich_help_panel=NETWORK,
        ),
    ] = None,
    teacher_forcing: Annotated[
        bool | None,
        typer.Option(
            "--teacher-forcing/--no-teacher-forcing",
            help="Whether true characters come back instead of the output"
            f"{opt.only_for('teacher_forcing')}.",
            rich_help_panel=NETWORK,
        ),
    ] = None,
    bias: Annotated[
        bool | None,
        typer.Option("--bias/--no-bias", help="With or without biases.", rich_help_panel=NETWORK),
    ] = None,
    tie_weights: Annotated[
        bool | None,
        typer.Option(
            "--tie-weights/--no-tie-weights",
            help="Whether a character's vector serves at the output too.",
            rich_help_panel=NETWORK,
        ),
    ] = None,
    dropout: Annotated[
        float | None,
        typer.Option(
            "--dropout",
            help="Share of units dropped on input, between layers, and before the output. "
            "\\[default: by the text's size]",
            rich_help_panel=LEARNING,
        ),
    ] = None,
    dropout_growth: Annotated[
        float | None,
        typer.Option(
            "--dropout-growth",
            help="Added to it at every doubling of 1 + the passes, up to 0.5. "
            "\\[default: by the text's size; 0 with --dropout]",
            rich_help_panel=LEARNING,
        ),
    ] = None,
    seq_length: Annotated[
        int | None,
        typer.Option(
            "--seq-length",
            help="Characters a window (truncated BPTT). "
            f"\\[default: {_DEFAULTS.seq_length}, or the preset's]",
            rich_help_panel=LEARNING,
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            "--batch-size",
            help=f"Lanes. \\[default: {_DEFAULTS.batch_size}, or the preset's]",
            rich_help_panel=LEARNING,
        ),
    ] = None,
    gradient_accumulation_steps: Annotated[
        int | None,
        typer.Option(
            "--gradient-accumulation-steps",
            help="Parts of the batch, computed one after the other: less memory, same result. "
            "\\[default: 1]",
            rich_help_panel=LEARNING,
        ),
    ] = None,
    optimizer: Annotated[
        str | None,
        typer.Option(
            "--optimizer",
            help=f"{', '.join(OPTIMIZERS)}. \\[default: {_DEFAULTS.optimizer}]",
            rich_help_panel=LEARNING,
        ),
    ] = None,
    lr: Annotated[
        float | None,
        typer.Option(
            "--lr",
            help="Learning rate after warm-up. \\[default: by text and network]",
            rich_help_panel=LEARNING,
        ),
    ] = None,
    weight_decay: Annotated[
        float | None,
        typer.Option(
            "--weight-decay",
            help="Of matrices; L2 for sgd and rmsprop. \\[default: by the vocabulary; 0 for those]",
            rich_help_panel=LEARNING,
        ),
    ] = None,
    warmup_steps: Annotated[
        int | None,
        typer.Option(
            "--warmup-steps",
            help=f"Steps of rising rate. \\[default: {_DEFAULTS.warmup_steps}, or the preset's]",
            rich_help_panel=LEARNING,
        ),
    ] = None,
    grad_clip: Annotated[
        float | None,
        typer.Option(
            "--grad-clip",
            help=f"Largest gradient norm; 0: off. \\[default: {_DEFAULTS.grad_clip:g}]",
            rich_help_panel=LEARNING,
        ),
    ] = None,
    epochs: Annotated[
        float | None,
        typer.Option("--epochs", help="Passes over the text.", rich_help_panel=BUDGET),
    ] = None,
    max_steps: Annotated[
        int | None,
        typer.Option("--max-steps", help="Windows, in all.", rich_help_panel=BUDGET),
    ] = None,
    max_minutes: Annotated[
        float | None,
        typer.Option(
            "--max-minutes", help="Minutes, evaluations included.", rich_help_panel=BUDGET
        ),
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            "--patience",
            help="Evaluations without a better one before it stops; 0: never.",
            rich_help_panel=BUDGET,
        ),
    ] = None,
    eval_every: Annotated[
        int | None,
        typer.Option("--eval-every", help="Steps between evaluations. \\[default: a tenth]"),
    ] = None,
    sample_every: Annotated[
        int | None,
        typer.Option("--sample-every", help="Steps between samples. \\[default: as evaluations]"),
    ] = None,
    save_every: Annotated[
        int | None,
        typer.Option(
            "--save-every", help="Steps between checkpoints; one a minute is written anyway."
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", help="Of initial weights and dropout. \\[default: 0]")
    ] = None,
    threads: Annotated[
        int | None, typer.Option("--threads", help="CPU threads. \\[default: torch's choice]")
    ] = None,
    device: Annotated[
        str | None, typer.Option("--device", help="auto, cpu, cuda or mps. \\[default: auto]")
    ] = None,
    find_lr: Annotated[
        bool,
        typer.Option(
            "--find-lr",
            help="Make no run: try learning rates, draw the loss over them, and suggest one.",
        ),
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="With --find-lr: a PNG to draw.")
    ] = None,
    tensorboard: Annotated[
        bool,
        typer.Option(
            "--tensorboard", help="Write curves and samples for TensorBoard into the run folder."
        ),
    ] = False,
    precision: Annotated[
        str | None,
        typer.Option(
            "--precision",
            help="Of matrix products: float32, bfloat16, or auto: bfloat16 on a GPU that is made "
            "for it. \\[default: auto]",
        ),
    ] = None,
    vocab_size: opt.VocabSize = None,
    oov: opt.Oov = None,
    encoding: opt.Encoding = None,
    errors: opt.Errors = None,
    convert: opt.Convert = None,
    val_frac: opt.ValFrac = None,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
    debug: opt.Debug = False,
) -> None:
    """Train a recurrent network on a text, and keep it in a run folder."""
    from chargen import api
    from chargen.cli.terminal.console import Terminal

    corpus_config = opt.given(
        vocab_size=vocab_size,
        oov=oov,
        encoding=encoding,
        errors=errors,
        convert=convert,
        val_frac=val_frac,
    )
    values = {
        name: value for name, value in locals().items() if name in api.TrainOptions.__annotations__
    }
    if find_lr:
        show_find_lr(
            list(corpus) if corpus else None,
            png=out,
            as_json=as_json,
            quiet=quiet,
            resume=resume,
            preset=preset,
            out_dir=out_dir,
            init_from=init_from,
            corpus_config=corpus_config,
            **opt.given(**values),
        )
        return
    if out is not None:
        raise ConfigError("--out needs --find-lr.", "Add it; a run has its place by --out-dir.")
    terminal = Terminal(quiet=quiet)
    with _stop_signals() as stopped, terminal.training() as view:

        def on_progress(progress: Progress) -> None:
            if stopped:  # no run is there yet that could be saved
                raise KeyboardInterrupt if stopped[0] == signal.SIGINT else Terminated
            view.preparing(progress.phase, progress.done, progress.total)

        run = api.train(
            list(corpus) if corpus else None,
            preset=preset,
            name=name,
            out_dir=out_dir,
            resume=resume,
            init_from=init_from,
            tensorboard=tensorboard,
            corpus_config=corpus_config,
            on_event=view.event,
            on_progress=on_progress,
            stop=lambda: bool(stopped),
            **opt.given(**values),  # type: ignore[arg-type]
        )
    if as_json:
        report = {
            "run": str(run.path),
            "steps": run.steps,
            "reason": run.reason,
            "bits_per_char": run.bits_per_char,
        }
        typer.echo(json.dumps(report, ensure_ascii=False))
    if run.reason == "interrupted":
        raise typer.Exit(TERMINATED if stopped[0] == signal.SIGTERM else INTERRUPTED)


@contextlib.contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """SIGINT and SIGTERM are noted in the list, once; a second one acts as it always does."""
    seen: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def note(number: int, _frame: FrameType | None) -> None:
        seen.append(number)
        for each, handler in before.items():
            signal.signal(each, handler)

    for number in before:
        signal.signal(number, note)
    try:
        yield seen
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

"""Generating texts in bulk, and comparing them with the training text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chargen.options import (
    BatchConfig,
    CorpusConfig,
    SamplingConfig,
    WorkersConfig,
    check,
    distribute,
    keyword_options,
)

if TYPE_CHECKING:
    from chargen.evaluation.novelty import Novelty
    from chargen.generation.batch.asked import BatchOptions, BatchProgress
    from chargen.generation.engine import Engine
    from chargen.generation.generator import Generator
    from chargen.generation.poems.forms import Form


@keyword_options(BatchConfig, SamplingConfig, WorkersConfig)
def batch(
    jobs: str | Path,
    out: str | Path,
    run: str | Path | None = None,
    *,
    runs_dir: str | Path | None = None,
    form: Form | str | Mapping[str, Any] | None = None,
    ngram: bool = True,
    on_begin: Callable[[Generator, int], None] | None = None,
    on_progress: Callable[[BatchProgress], None] | None = None,
    **options: Any,
) -> None:
    """Generate a text for every job in a file; an interrupted batch can be resumed.

    Args:
        jobs: a file of JSON lines, or a text file with one prompt per line; ``-`` is standard
            input.
        out: the file to write, one JSON object per text; ``-`` is standard output.
        run: a run folder, or a name in ``runs_dir``; None is the newest run. Where there is none,
            it is ``verse`` if ``form`` or the first job asks for a poem, else ``stories``.
        runs_dir: the folder of runs.
        form: the form of jobs that don't name one: an object, a name or JSON.
        ngram: False: the network alone, without the run's n-gram counts.
        on_begin: called with the model and the number of texts before anything is written.
        on_progress: called after each text.
        options: as in ``chargen batch``; sampling options are the jobs' defaults.

    Raises:
        ConfigError: options are unknown, out of range or contradictory; names all of them. Or the
            run has no use for one.
        GenerationError: the jobs can't be read or carried out, or the output exists.
        CheckpointError: the run is missing or damaged.
        WorkerError: workers can't be started or can't go on; the output can be resumed.
    """
    from chargen.api.inspecting import load
    from chargen.generation.batch.jobs import begins_with_form, open_jobs
    from chargen.generation.batch.output import check_output, output_path
    from chargen.generation.batch.run import Batch
    from chargen.generation.batch.workers import generation
    from chargen.workers.starting import check_workers, waiting_processes

    todo, wanted, workers = _wanted(form, options)
    out = output_path(out)
    check_workers(workers)
    with open_jobs(str(jobs)) as file, ExitStack() as stack:
        check_output(str(jobs), out, resume=todo.resume, force=todo.force)
        waiting = waiting_processes(stack, workers, ["chargen.generation.generator", "torch"])
        poems = wanted.defaults.form is not None or begins_with_form(file, str(jobs))
        model = load(run, runs_dir=runs_dir, device=todo.device, ngram=ngram, poems=poems)
        engine = _engine(model, todo)
        generate, most_waiting = generation(
            stack, model, engine, workers, ngram=ngram, keep_going=todo.keep_going, waiting=waiting
        )
        work = Batch(engine, file, str(jobs), out, wanted, model.identity(), generate, most_waiting)
        inventory = work.inventory()
        if on_begin:
            on_begin(model, inventory.lines)
        for progress in work.run(inventory, resume=todo.resume, force=todo.force):
            if on_progress:
                on_progress(progress)


def _engine(model: Generator, todo: BatchConfig) -> Engine:
    from chargen.generation.generator import engine_of

    return engine_of(
        model, slots=todo.batch_size, oov_prompt=todo.oov_prompt, logprobs=todo.logprobs
    )


def merge(outputs: Sequence[str | Path], out: str | Path, *, force: bool = False) -> int:
    """Join the outputs of all shards of a batch into the file that the whole batch writes.

    Args:
        outputs: of ``batch`` with ``shard``, in any order; the files beside them are passed over.
        out: the file to write; ``-`` is standard output.
        force: replace an existing file.

    Returns:
        The number of lines.

    Raises:
        GenerationError: a shard is missing, there twice, unfinished, damaged or of another batch.
    """
    from chargen.generation.batch.merging import merge
    from chargen.generation.batch.output import output_path

    return merge([Path(each) for each in outputs], output_path(out), force=force)


def _wanted(
    form: Form | str | Mapping[str, Any] | None, options: Mapping[str, Any]
) -> tuple[BatchConfig, BatchOptions, WorkersConfig]:
    from chargen.generation.asking import problems_of_beam
    from chargen.generation.batch.asked import BatchOptions
    from chargen.generation.batch.jobs import Defaults
    from chargen.generation.poems.asked import read_form
    from chargen.options.workers import parts_of_shard

    asked, drawn, shared = distribute(options, BatchConfig, SamplingConfig, WorkersConfig)
    sampling, todo, workers = SamplingConfig(**drawn), BatchConfig(**asked), WorkersConfig(**shared)
    wanted_form, problems = read_form(form)
    problems += problems_of_beam(sampling, todo.num_samples, todo.best_of)
    check(sampling, todo, workers, also=problems)
    defaults = Defaults(sampling, todo.seed, todo.num_samples, todo.best_of, wanted_form)
    kept = {n: getattr(todo, n) for n in ("ordered", "keep_going", "with_prompt")}
    return todo, BatchOptions(defaults, **kept, shard=parts_of_shard(todo.shard or "")), workers


@keyword_options(CorpusConfig)
def novelty(texts: str | Path, corpus: str | Path, **options: Any) -> Novelty:
    """Measure how much of generated texts is copied from a corpus or repeated between them.

    Args:
        texts: an output of ``batch``, or a text file with ``---`` lines between texts.
        corpus: the text that the model was trained on.
        options: how the corpus is read, such as ``encoding``.

    Raises:
        CorpusError, GenerationError: a file can't be read or has no texts.
        MissingExtraError: a package that the comparison needs is not installed.
    """
    from chargen.api.corpora import read_text
    from chargen.evaluation.novelty import measure, read_texts

    return measure(read_texts(texts), read_text(corpus, **options))

"""Reading of job files: each line is a job, or has problems."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from chargen.errors import ChargenError, GenerationError, system_error_text
from chargen.generation.asking import each_text, number_of_texts, problems_of_beam
from chargen.generation.batch.fields import JobFields, id_of, parse_job, plain_job
from chargen.generation.poems.forms import Form
from chargen.generation.requests import Request
from chargen.generation.seeds import sample_seed
from chargen.options import BatchConfig, SamplingConfig

_JSON_SUFFIXES = (".jsonl", ".ndjson", ".json")
MOST_LISTED = 20
"""Invalid lines that an error names."""
_BOM = b"\xef\xbb\xbf"
_CHUNK_BYTES = 1 << 20
MOST_LINE_BYTES = 4 << 20
"""Of a job, prompt included."""
MOST_PIPED_BYTES = 1 << 30
"""Of all jobs, where they come through a pipe or from a device."""


@dataclass(frozen=True)
class Defaults:
    """Defaults for the fields of jobs.

    Attributes:
        sampling: sampling options.
        seed: seed from which, with the id of a job, its seed is derived.
        num_samples: texts per job.
        best_of: texts drawn for each of them.
        form: form of the texts.
    """

    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    seed: int = 0
    num_samples: int = 1
    best_of: int = 1
    form: Form | None = None

    def request(self) -> Request:
        """What a job asks for that has no prompt and no fields of its own."""
        return Request("", self.sampling, self.seed, self.form, self.best_of)


@dataclass(frozen=True)
class Job:
    """A valid line of a job file.

    Attributes:
        id: its id, by default the number of the line.
        line: the number of the line, from 1.
        request: the request; the seeds of several samples are derived from its seed.
        samples: number of texts.
    """

    id: str | int
    line: int
    request: Request
    samples: int = 1

    def requests(self) -> Iterator[Request]:
        """Yield a request per text; there may be a million."""
        yield from each_text(self.request, self.samples)


@dataclass(frozen=True)
class BadLine:
    """An invalid line of a job file: its id or number, and its problems, field by field."""

    id: str | int
    line: int
    problems: tuple[str, ...]

    def __str__(self) -> str:
        return "; ".join(f"line {self.line}, {problem}" for problem in self.problems)


@contextmanager
def open_jobs(path: str) -> Iterator[BinaryIO]:
    """Open a job file so that it can be read twice; a pipe is copied to disk first.

    ``-`` is standard input.

    Raises:
        GenerationError: the file can't be read.
    """
    with ExitStack() as stack:
        try:
            given = sys.stdin.buffer if path == "-" else stack.enter_context(Path(path).open("rb"))
            file: BinaryIO = given
            if not (_is_plain(given) and given.tell() == 0):
                file = stack.enter_context(tempfile.TemporaryFile())
                _spool(given, file, path)
        except OSError as error:
            raise _unreadable(path, error) from error
        yield file


def _is_plain(file: BinaryIO) -> bool:
    try:
        return stat.S_ISREG(os.fstat(file.fileno()).st_mode)
    except io.UnsupportedOperation:  # in memory
        return False


def _spool(given: BinaryIO, file: BinaryIO, path: str) -> None:
    """Copy what has no size of its own; GenerationError where it doesn't end."""
    size = 0
    for chunk in _chunks(given, path):
        size += len(chunk)
        if size > MOST_PIPED_BYTES:
            raise GenerationError(
                f"The jobs in {_called(path)} have more than {MOST_PIPED_BYTES >> 30} GiB.",
                "Save them to a file, which may have any size, and name it.",
            )
        file.write(chunk)
    file.seek(0)


def sha256_of_jobs(file: BinaryIO, path: str) -> str:
    """The SHA-256 of all jobs; GenerationError where a line is too long."""
    file.seek(0)
    digest = hashlib.sha256()
    for chunk in _chunks(file, path):
        digest.update(chunk)
    return digest.hexdigest()


def _chunks(file: BinaryIO, path: str) -> Iterator[bytes]:
    """All that is left of a file; GenerationError where a line is too long."""
    line = 0
    while chunk := file.read(_CHUNK_BYTES):
        end = chunk.rfind(b"\n")
        line = len(chunk) - end - 1 + (line if end < 0 else 0)
        if line > MOST_LINE_BYTES:
            raise _too_long(path)
        yield chunk


def _line(file: BinaryIO, path: str) -> bytes:
    """The next line, empty at the end; GenerationError where it is too long."""
    line = file.readline(MOST_LINE_BYTES + 1)
    if len(line) > MOST_LINE_BYTES:
        raise _too_long(path)
    return line


def _too_long(path: str) -> GenerationError:
    return GenerationError(
        f"A line in {_called(path)} has more than {MOST_LINE_BYTES >> 20} MiB.",
        "Give jobs with shorter prompts, one a line.",
    )


def _called(path: str) -> str:
    return "standard input" if path == "-" else path


def _unreadable(path: str, error: OSError) -> GenerationError:
    if isinstance(error, IsADirectoryError):
        return GenerationError(f"{path} is a folder.", "Name a file of jobs.")
    if isinstance(error, FileNotFoundError):
        return GenerationError(f"There is no file {path}.", "Check the path.")
    return GenerationError(
        f"The jobs can't be read: {system_error_text(error)}.",
        "Check the permissions and the space for temporary files.",
    )


def is_json(name: str, file: BinaryIO) -> bool:
    """Return whether a job file holds JSON lines, by its suffix or its first line."""
    suffix = Path(name).suffix.lower()
    if suffix in _JSON_SUFFIXES or suffix == ".txt":
        return suffix != ".txt"
    file.seek(0)
    lines = iter(lambda: _line(file, name), b"")
    first = next((line for line in lines if line.removeprefix(_BOM).strip()), b"")
    return first.removeprefix(_BOM).lstrip().startswith(b"{")


def begins_with_form(file: BinaryIO, name: str) -> bool:
    """Return whether the first job of a file names a form of its own."""
    if not is_json(name, file):
        return False
    jobs = read_jobs(file, as_json=True, defaults=Defaults(), check=lambda _request: None)
    first = next(jobs, None)
    return isinstance(first, Job) and first.request.form is not None


def read_jobs(
    file: BinaryIO,
    *,
    as_json: bool,
    defaults: Defaults,
    check: Callable[[Request], None],
    blanks: bool = False,
) -> Iterator[Job | BadLine]:
    """Yield the jobs of a file from its beginning.

    Args:
        file: the job file, in UTF-8.
        as_json: whether a line is a JSON object; otherwise it is a prompt.
        defaults: defaults for the fields of jobs.
        check: raises ChargenError if a request can't be carried out.
        blanks: whether blank lines are prompts; otherwise they are skipped.
    """
    file.seek(0)
    for number, line in enumerate(iter(lambda: _line(file, "the job file"), b""), 1):
        data = line.removeprefix(_BOM) if number == 1 else line
        if not data.strip() and (as_json or not blanks):
            continue
        try:
            text = data.decode().removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError as error:
            yield BadLine(number, number, (f"byte {error.start + 1}: not UTF-8",))
            continue
        fields = parse_job(text) if as_json else plain_job(text)
        if isinstance(fields, JobFields):
            yield _job(fields, number, defaults, check)
        else:
            yield BadLine(id_of(text, number), number, fields)


def _job(
    fields: JobFields, number: int, defaults: Defaults, check: Callable[[Request], None]
) -> Job | BadLine:
    job_id = number if fields.id is None else fields.id
    sampling, wrong = _sampling(defaults.sampling, tuple(fields.given(SamplingConfig).items()))
    own = fields.given(BatchConfig)
    form = defaults.form
    if fields.form is not None:
        form = Form.from_dict(fields.form.model_dump(exclude_none=True))
    problems = [*wrong, *BatchConfig.problems_in(own)]
    problems += [] if form is None else form.problems()
    samples = own.get("num_samples", defaults.num_samples)
    best_of = own.get("best_of", defaults.best_of)
    problems += problems_of_beam(sampling, samples, best_of)
    if problems:
        return BadLine(job_id, number, tuple(line.replace("`", "") for line in problems))
    seed = own["seed"] if "seed" in own else sample_seed(defaults.seed, job_id)
    request = Request(fields.prompt, sampling, seed, form, best_of)
    try:
        check(request)
    except ChargenError as error:
        return BadLine(job_id, number, (error.message.rstrip("."),))
    return Job(job_id, number, request, number_of_texts(request, samples))


@lru_cache(1024)
def _sampling(
    defaults: SamplingConfig, given: tuple[tuple[str, Any], ...]
) -> tuple[SamplingConfig, list[str]]:
    """The options of a job, and their problems; most jobs have those of one before."""
    config = replace(defaults, **dict(given))
    return config, config.problems()


def error_of_bad_jobs(bad: list[BadLine], count: int) -> GenerationError:
    """The error about ``count`` invalid lines, some of which are ``bad``."""
    shown = sorted(bad, key=lambda line: line.line)[:MOST_LISTED]
    listed = "; ".join(map(str, shown))
    more = f"; and {count - len(shown)} more" if count > len(shown) else ""
    noun = "line is" if count == 1 else "lines are"
    return GenerationError(
        f"{count} {noun} not usable: {listed}{more}.",
        "Correct the job file, or write the errors to the output with `keep_going=True`.",
    )

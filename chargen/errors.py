"""The exceptions of chargen: one line says what is wrong, another what to do."""

from __future__ import annotations


class ChargenError(Exception):
    """Base of all errors that a user can correct.

    Args:
        message: what is wrong, with names and numbers, in one line.
        remedy: what to do, in one line; may be empty.

    Attributes:
        rank: of the process that raised it, where several train one run together; else None.
    """

    rank: int | None = None

    def __init__(self, message: str, remedy: str = "") -> None:
        self.message, self.remedy = printable(message), printable(remedy)
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message}\n{self.remedy}" if self.remedy else self.message


class ConfigError(ChargenError):
    """An option is out of range or unknown, or options contradict each other."""


class CorpusError(ChargenError):
    """A text or prepared corpus can't be read, or can't be used for training."""


class CheckpointError(ChargenError):
    """A run folder is missing, damaged, in use, or in another format."""


class TrainingError(ChargenError):
    """A training run can't continue."""


class OtherFailedError(TrainingError):
    """Another process of the same run has failed and says why; this one only ends."""

    def __init__(self) -> None:
        super().__init__("Another process of the run has failed, and says why.")


class GenerationError(ChargenError):
    """A prompt, job or form can't be carried out."""


class WorkerError(ChargenError):
    """Workers can't be started, or can't go on with what they share."""


class MissingExtraError(ChargenError):
    """An optional dependency isn't installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package}, which is not installed.",
            f"Install it with pip install '.[{extra}]' in the folder of the project.",
        )


def printable(text: str) -> str:
    """Replace what UTF-8 can't encode, such as undecodable bytes of a path, by escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def system_error_text(error: OSError) -> str:
    """Return the message of the operating system, without Python's ``[Errno N]`` in front."""
    reason = error.strerror or str(error)
    return f"{reason}: {error.filename}" if error.filename else reason


class ChargenWarning(UserWarning):
    """Something that a user should know about a result that is nevertheless there."""

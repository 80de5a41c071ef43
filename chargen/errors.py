"""Everything that chargen raises on purpose: one line that says what, one that says what to do."""

from __future__ import annotations


class ChargenError(Exception):
    """Base of all errors that a user can mend.

    Args:
        message: what is wrong, with names and numbers, in one line.
        remedy: what to do about it, in one line; may be empty.
    """

    def __init__(self, message: str, remedy: str = "") -> None:
        self.message, self.remedy = printable(message), printable(remedy)
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message}\n{self.remedy}" if self.remedy else self.message


class ConfigError(ChargenError):
    """Options that are out of range, unknown, or contradict each other."""


class CorpusError(ChargenError):
    """A text or prepared corpus that can't be read, or that nothing can be learnt from."""


class CheckpointError(ChargenError):
    """A run folder that is missing, damaged, in use, or of another format."""


class TrainingError(ChargenError):
    """A training run that can't go on."""


class GenerationError(ChargenError):
    """A prompt, job or form that the model can't fulfil."""


class MissingExtraError(ChargenError):
    """An optional dependency that isn't installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package}, which is not installed.",
            f"Install it: pip install '.[{extra}]', in the folder of the project.",
        )


def printable(text: str) -> str:
    """``text`` as UTF-8 can encode it: bytes of a path that are no UTF-8 become escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def system_error_text(error: OSError) -> str:
    """What the operating system said, without Python's ``[Errno N]`` in front."""
    reason = error.strerror or str(error)
    return f"{reason}: {error.filename}" if error.filename else reason

"""Every error a user can meet, with the exit code that the command line gives it."""

from __future__ import annotations

EXIT_DONE = 0  # done
EXIT_NO = 1  # done, and the answer is no, as in grep and diff
EXIT_USER = 2  # the user must change something
EXIT_BUG = 3  # a bug of ours, so that scripts can tell it apart
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells report a signal
EXIT_TERMINATED = 143  # 128 + SIGTERM


def say_count(count: int, noun: str) -> str:
    """A number with its noun: `1 bit`, `2 bits`, `1,000 arrays`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def visible(text: str) -> str:
    """Text that cannot move a cursor, fake another line or turn its direction.

    Names come from files of other people: what is not printable shows as its escape.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class XbarcError(Exception):
    """A problem that the user can understand and act on.

    Args:
        message: what was found and what was expected.
        where: the file, layer or field it was found in.
        hint: what to do about it.
    """

    exit_code = EXIT_USER

    def __init__(self, message: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        prefix = f"{self.where}: " if self.where else ""
        suffix = f"; hint: {self.hint}" if self.hint else ""
        return f"{prefix}{self.message}{suffix}"

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.message, self.where, self.hint))


def _rebuild(kind: type[XbarcError], message: str, where: str, hint: str) -> XbarcError:
    return kind(message, where=where, hint=hint)


class ModelError(XbarcError):
    """The ONNX file is damaged, inconsistent or not what it claims to be."""


class UnsupportedError(ModelError):
    """The ONNX file is fine, but neither a crossbar nor ONNX Runtime can run a part of it."""


class TargetError(XbarcError):
    """A target file has wrong, missing or unknown fields."""


class MappingError(XbarcError):
    """The network does not fit the target; the message says by how much."""


class ProgramError(XbarcError):
    """A compiled program is damaged, of another format, or does not belong to the model."""


class InputError(XbarcError):
    """Input data has the wrong names, shapes, types or values."""


class WorkerError(XbarcError):
    """A process that shared the work died twice."""


class VerifyError(XbarcError):
    """A rule of the intermediate representation is broken: a bug in xbarc itself."""

    exit_code = EXIT_BUG

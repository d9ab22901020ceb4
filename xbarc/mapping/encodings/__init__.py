"""Encodings: how signed weights sit on cells that are never negative.

Each is only another `A`, `R`, `a` and `beta`: no engine ever asks which one it is. To add an
encoding, write its file with a class that has the methods of `Encoding`, name it here, and add its
row to `docs/reference/encodings.md`.
"""

from xbarc.errors import MappingError
from xbarc.mapping.encodings.base import Encoded, Encoding, Pattern
from xbarc.mapping.encodings.differential import Differential
from xbarc.mapping.encodings.offset import Offset

_ENCODINGS: tuple[Encoding, ...] = (
    Differential(),
    Differential(analog=True),
    Offset(),
    Offset(flip=False),
)


def encoding_names() -> tuple[str, ...]:
    """Names that `--encoding` takes."""
    return tuple(encoding.name for encoding in _ENCODINGS)


def find_encoding(name: str) -> Encoding:
    """The encoding of this name.

    Raises:
        MappingError: no such encoding; the message lists those there are.
    """
    for encoding in _ENCODINGS:
        if encoding.name == name:
            return encoding
    known = ", ".join(encoding_names())
    raise MappingError(f"no encoding '{name}'", where="--encoding", hint=f"one of {known}")


__all__ = ["Encoded", "Encoding", "Pattern", "encoding_names", "find_encoding"]

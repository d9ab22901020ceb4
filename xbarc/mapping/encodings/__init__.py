"""Encodings: how signed weights sit on cells that are never negative.

Each is only another `A`, `R`, `a` and `beta`: no engine ever asks which one it is. To add an
encoding, write its file with a class that has the methods of `Encoding`, name it here, and add its
row to `docs/reference/encodings.md`.
"""

from xbarc.errors import MappingError
from xbarc.mapping.encodings.base import Encoded, Encoding, Pattern, Region
from xbarc.mapping.encodings.centred import Centred
from xbarc.mapping.encodings.complement import TwosComplement
from xbarc.mapping.encodings.differential import Differential
from xbarc.mapping.encodings.offset import Offset
from xbarc.mapping.encodings.single import OneSigned
from xbarc.mapping.encodings.tree import Tree, bias_column, connection, segmented
from xbarc.mapping.encodings.unipolar import Unipolar

_ENCODINGS: tuple[Encoding, ...] = (
    Differential(),
    Differential(analog=True),
    Offset(),
    Offset(flip=False),
    bias_column(),
    bias_column(analog=True),
    bias_column(mid=True),
    connection(),
    connection(analog=True),
    segmented(4),
    segmented(4, analog=True),
    OneSigned(),
    Unipolar(),
    TwosComplement(),
    Centred(),
    Centred(analog=True),
)


def encoding_names() -> tuple[str, ...]:
    """Names that `--encoding` takes; the number of `segmented:4` may be another."""
    return tuple(encoding.name for encoding in _ENCODINGS)


def find_encoding(name: str) -> Encoding:
    """The encoding of this name.

    Raises:
        MappingError: no such encoding; the message lists those there are.
    """
    for encoding in _ENCODINGS:
        if encoding.name == name:
            return encoding
    found = _segmented(name)
    if found is not None:
        return found
    known = ", ".join(encoding_names())
    raise MappingError(f"no encoding '{name}'", where="--encoding", hint=f"one of {known}")


def _segmented(name: str) -> Encoding | None:
    """`segmented:K` with any count of outputs a segment."""
    analog = name.endswith("-analog")
    head, _, count = name.removesuffix("-analog").partition(":")
    if head != "segmented" or not (count.isdecimal() and len(count) <= 4 and int(count)):
        return None
    return segmented(int(count), analog=analog)


__all__ = [
    "Centred",
    "Differential",
    "Encoded",
    "Encoding",
    "Pattern",
    "Region",
    "Tree",
    "encoding_names",
    "find_encoding",
]

"""Encodings: how signed weights sit on cells that are never negative.

Each is only another `A`, `R`, `a` and `beta`: no engine ever asks which one it is. To add an
encoding, write its file with a class that has the methods of `Encoding`, name it here, and add its
row to `docs/reference/encodings.md`. Encodings of other people come through `load_encoding`.
"""

from typing import cast

from xbarc.errors import MappingError
from xbarc.mapping.encodings.base import ByWeight, Encoded, Encoding, Pattern, Region
from xbarc.mapping.encodings.centred import Centred
from xbarc.mapping.encodings.complement import TwosComplement
from xbarc.mapping.encodings.differential import Differential
from xbarc.mapping.encodings.foreign import check_meaning, check_piece, probe_encoding
from xbarc.mapping.encodings.offset import Offset
from xbarc.mapping.encodings.one_signed import OneSigned
from xbarc.mapping.encodings.tree import Tree, bias_column, connection, segmented_connection
from xbarc.mapping.encodings.unipolar import Unipolar
from xbarc.options import AUTO, Cells, Method
from xbarc.plugins import Door, Guarded, guard, is_foreign, load_method, origin

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
    segmented_connection(4),
    segmented_connection(4, analog=True),
    OneSigned(),
    Unipolar(),
    TwosComplement(),
    Centred(),
    Centred(analog=True),
)

ENCODINGS = Door("encoding", "--encoding", "xbarc.encodings", Encoding, "check_encoding")
_SEGMENTED = "segmented"


def encoding_names() -> tuple[str, ...]:
    """Names that `--encoding` takes; the number of `segmented:4` may be another."""
    return tuple(encoding.name for encoding in _ENCODINGS)


def find_encoding(name: str) -> Encoding:
    """The encoding of this name.

    Raises:
        MappingError: no such encoding; the message lists those there are.
    """
    found = _ours(name)
    if found is not None:
        return found
    known = ", ".join(encoding_names())
    raise MappingError(f"no encoding '{name}'", where="--encoding", hint=f"one of {known}")


def load_encoding(given: str | Method) -> Encoding:
    """An encoding from here or elsewhere, checked.

    Args:
        given: a name of ours, one that an installed package registers, `package:Name`, or an object
            with the methods of `Encoding`.

    Raises:
        MappingError: there is none, or it lacks something; the message says what.
    """
    method: object = given
    if isinstance(given, str):
        found = _ours(given)
        if found is not None:
            return found
        if given.startswith(f"{_SEGMENTED}:"):  # a count that is none, not a package
            return find_encoding(given)
        method = load_method(ENCODINGS, given, encoding_names())
    # Ours, or one that was checked before: a program of many layers probes an encoding once.
    if isinstance(method, Guarded) or not is_foreign(method):
        return cast(Encoding, method)
    taken = guard(ENCODINGS, method, lambda name: name == AUTO or _ours(name) is not None)
    probe_encoding(taken)
    return cast(Encoding, taken)


def encoding_of(options: Cells, name: str | None = None) -> Encoding:
    """The encoding that options name, or that of a step that was made with them.

    Args:
        options: where others than ours have been loaded.
        name: of the step's encoding, which may differ where encodings are chosen layer by layer.
    """
    given = options.encoding
    if given is None or isinstance(given, str):
        return find_encoding(name or options.encoding_name)
    return cast(Encoding, given) if name in (None, given.name) else find_encoding(str(name))


def encoding_origin(encoding: object) -> str:
    """Class, package and version of an encoding from elsewhere."""
    return origin(ENCODINGS, encoding)


def _ours(name: str) -> Encoding | None:
    for encoding in _ENCODINGS:
        if encoding.name == name:
            return encoding
    return _find_segmented(name)


def _find_segmented(name: str) -> Encoding | None:
    """`segmented:K` with any count of outputs a segment."""
    analog = name.endswith("-analog")
    head, _, count = name.removesuffix("-analog").partition(":")
    # Four digits bound what is converted; a segment of 9,999 outputs is `acm` in all but name.
    if head != _SEGMENTED or not (count.isdecimal() and len(count) <= 4 and int(count)):
        return None
    return segmented_connection(int(count), analog=analog)


__all__ = [
    "ByWeight",
    "Centred",
    "Differential",
    "Encoded",
    "Encoding",
    "Offset",
    "Pattern",
    "Region",
    "Tree",
    "check_meaning",
    "check_piece",
    "encoding_names",
    "encoding_of",
    "encoding_origin",
    "find_encoding",
    "load_encoding",
]

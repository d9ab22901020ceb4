"""Damage of program folders: fields, arrays, fragments and files, sealed again or not."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from safetensors import SafetensorError

from tests.fuzz.mutations import NAMES, REALS, WHOLES, flip_bytes, mutate
from tests.sealing import reshape, seal
from xbarc.numerics.types import AnyArray

Forgery = Callable[[np.random.Generator, Path], None]
WORDS = (*NAMES, "../../x", "/etc/hostname", "a\nb", "\u202ex", "a\x00b", "@SUM(A1)", "float32")
EXTREMES = (*WHOLES, 2**40, 2**61, -(2**61), 2**32, 2**80)
KINDS = ("int8", "uint8", "int32", "int64", "float32", "float64", "bool", "uint64", "float16")


def leaves(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every value of a JSON document that holds no other, with its path."""
    items = data.items() if isinstance(data, dict) else enumerate(data)
    for key, value in items:
        if isinstance(value, dict | list):
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key), value


def holder(data: Any, path: tuple[Any, ...]) -> Any:
    """What holds the value at a path."""
    for key in path[:-1]:
        data = data[key]
    return data


def put(data: Any, path: tuple[Any, ...], value: object) -> None:
    """Set the value at a path."""
    holder(data, path)[path[-1]] = value


def whole_fields(data: Any) -> list[tuple[Any, ...]]:
    """Paths of every integer of `program.json`, the format's number apart."""
    found = leaves(data)
    return [
        p for p, v in found if isinstance(v, int) and not isinstance(v, bool) and p[0] != "format"
    ]


def _pick(rng: np.random.Generator, options: Any) -> Any:
    return options[int(rng.integers(len(options)))]


def _field(rng: np.random.Generator, program: Path) -> None:
    """An extreme of a field's own type, or a value of another type."""

    def change(data: dict[str, Any]) -> None:
        found = [item for item in leaves(data) if item[0][0] not in ("files", "seal", "sources")]
        path, value = _pick(rng, found)
        options: tuple[object, ...] = (None, 0, 1.5, "x", True, [], {})
        if isinstance(value, str):
            options = WORDS
        elif isinstance(value, float) and rng.random() < 0.9:
            options = tuple(real for real in REALS if np.isfinite(real))
        elif isinstance(value, int) and rng.random() < 0.9:
            options = EXTREMES
        put(data, path, _pick(rng, options))

    seal(program, change)


def _number(rng: np.random.Generator, program: Path) -> None:
    """An extreme in a field that is an integer."""
    seal(program, lambda data: put(data, _pick(rng, whole_fields(data)), _pick(rng, EXTREMES)))


def _layer_field(rng: np.random.Generator, program: Path) -> None:
    """A small change of a number of a layer: what a rule may take for sound."""

    def change(data: dict[str, Any]) -> None:
        paths = [path for path in whole_fields(data) if path[0] == "steps"]
        if paths:
            path = _pick(rng, paths)
            put(data, path, holder(data, path)[path[-1]] + int(rng.integers(-3, 4)))

    seal(program, change)


def _entries(rng: np.random.Generator, program: Path) -> None:
    """A list with one more, one less, one twice; a key that goes."""

    def change(data: dict[str, Any]) -> None:
        found = [path for path, _ in leaves(data) if len(path) > 1 and path[0] != "target"]
        path = _pick(rng, found)
        part = holder(data, path[: int(rng.integers(2, len(path) + 1))])
        if isinstance(part, list) and part:
            place = int(rng.integers(len(part)))
            rest = part[:place] + part[place + 1 :]
            part[:] = _pick(rng, (rest, [*part, part[place]], part[::-1], [], part * 5))
        elif isinstance(part, dict) and part:
            part.pop(_pick(rng, sorted(part)))

    seal(program, change)


def _array(rng: np.random.Generator, program: Path) -> None:
    """Another element type, shape or value of an array, or none."""

    def change(arrays: dict[str, Any]) -> None:
        name = _pick(rng, sorted(arrays))
        choice = rng.random()
        if choice < 0.05:
            arrays.pop(name)
        elif choice < 0.25:
            with np.errstate(all="ignore"):
                arrays[name] = arrays[name].astype(_pick(rng, KINDS))
        elif choice < 0.4:
            arrays[name] = _other_shape(rng, arrays[name])
        else:
            arrays[name] = _other_values(rng, arrays[name])

    reshape(program, change)


def _other_shape(rng: np.random.Generator, array: AnyArray) -> AnyArray:
    options = (
        array.reshape(-1),
        array[None],
        array[:0],
        array[: max(0, len(array) - 1)],
        np.concatenate([array, array]),
        array.T,
        array.reshape(-1)[:1].reshape((1,) * array.ndim) if array.size else array,
    )
    return np.ascontiguousarray(_pick(rng, options))


def _other_values(rng: np.random.Generator, array: AnyArray) -> AnyArray:
    array = array.copy()
    if not array.size:
        return array
    flat = array.reshape(-1)
    where = slice(None) if rng.random() < 0.3 else int(rng.integers(flat.size))
    if array.dtype.kind == "f":
        flat[where] = _pick(rng, REALS)
    elif array.dtype.kind == "b":
        flat[where] = ~flat[where]
    else:
        limits = np.iinfo(array.dtype)
        near = [int(flat[0]) + step for step in (-1, 1)]
        value = _pick(rng, (limits.min, limits.max, 0, 1, -1, limits.max // 2, *near))
        flat[where] = min(max(value, limits.min), limits.max)
    return array


def _fragment(rng: np.random.Generator, program: Path) -> None:
    """A digital fragment that is damaged as models are."""
    found = sorted((program / "digital").iterdir())
    if not found:
        return
    path = _pick(rng, found)
    data = path.read_bytes()
    if rng.random() < 0.5:
        data = flip_bytes(rng, data)
    else:
        with suppress(DecodeError):
            model = onnx.load_from_string(data)
            mutate(rng, model, program)
            data = model.SerializeToString(deterministic=True)
    path.write_bytes(data)
    seal(program)


def _bytes(rng: np.random.Generator, program: Path) -> None:
    """Bytes that change or end early in any file, its checksum mended half of the time."""
    path = _pick(rng, sorted(item for item in program.rglob("*") if item.is_file()))
    path.write_bytes(flip_bytes(rng, path.read_bytes()))
    if rng.random() < 0.5 and path.name != "program.json":
        seal(program)


def _files(rng: np.random.Generator, program: Path) -> None:
    """A file that is missing, extra, a link, a pipe or a folder."""
    path = _pick(rng, sorted(item for item in program.rglob("*") if item.is_file()))
    choice = int(rng.integers(6))
    if choice == 0:
        (program / _pick(rng, ("notes.txt", "placement.json", "digital/00099.onnx"))).write_bytes(
            b""
        )
        return
    path.unlink()
    if choice == 1:
        path.symlink_to(_pick(rng, ("/dev/zero", "/etc/hostname", "nowhere", ".", path.name)))
    elif choice == 2:
        path.mkdir()
    elif choice == 3:
        os.mkfifo(path)
    elif choice == 4:
        path.write_bytes(b"")


FORGERIES: tuple[tuple[Forgery, float], ...] = (
    (_number, 0.25),
    (_layer_field, 0.15),
    (_field, 0.15),
    (_entries, 0.08),
    (_array, 0.22),
    (_fragment, 0.07),
    (_bytes, 0.05),
    (_files, 0.03),
)


def forge(rng: np.random.Generator, program: Path) -> None:
    """Damage a program folder in place, once or twice."""
    weights = np.array([weight for _, weight in FORGERIES])
    for _ in range(int(rng.choice([1, 1, 1, 2]))):
        forgery, _ = FORGERIES[int(rng.choice(len(FORGERIES), p=weights / weights.sum()))]
        with suppress(
            OSError, ValueError, SafetensorError
        ):  # a second change may find nothing left to read
            forgery(rng, program)
        if forgery is _files:  # reading a pipe or /dev/zero would never end
            return

"""Every integer field and every array of a program at its extremes, one at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from tests.fuzz.bases import MAKES, base, copy_base
from tests.fuzz.forgeries import KINDS, put, whole_fields
from tests.sealing import reshape, seal
from xbarc.numerics.types import AnyArray

FIELD_EXTREMES = (-(2**63), -1, 0, 1, 2**31, 2**61, 2**63 - 1)


@dataclass(frozen=True)
class Extreme:
    """A program with one thing changed; `change` edits its folder and seals it again."""

    name: str
    program: str
    change: Callable[[Path], None]

    def write(self, place: Path) -> Path:
        """The changed copy."""
        program = copy_base(self.program, place)
        self.change(program)
        return program


def fields() -> Iterator[Extreme]:
    """Each integer of `program.json` that another kind of layer has not shown yet."""
    seen = set()
    for name in MAKES:
        data = json.loads((base(name) / "program.json").read_text("utf-8"))
        for path in whole_fields(data):
            key = (_kind(data, path), tuple("#" if n == 1 else part for n, part in enumerate(path)))
            if key in seen:
                continue
            seen.add(key)
            for value in FIELD_EXTREMES:
                text = f"{name}: {'.'.join(map(str, path))} = {value}"
                yield Extreme(text, name, partial(seal, edit=partial(put, path=path, value=value)))


def _kind(data: Any, path: tuple[Any, ...]) -> str:
    """What decides how a field of a layer is read."""
    if path[0] != "steps":
        return ""
    step = data["steps"][path[1]]
    part = "geometry" if path[2] == "input_shape" else path[2]
    inner = step.get(part)
    return f"{step['kind']} {inner.get('kind', '') if isinstance(inner, dict) else ''}"


def arrays() -> Iterator[Extreme]:
    """Each array of each kind of layer: other element types, other shapes, extreme numbers."""
    seen = set()
    for name in MAKES:
        data = json.loads((base(name) / "program.json").read_text("utf-8"))
        for key, array in sorted(load_file(base(name) / "cells.safetensors").items()):
            number, _, part = key.partition(".")
            step = data["steps"][int(number)]
            kind = (step["geometry"]["kind"], step["quantizer"]["kind"], part)
            if kind in seen:
                continue
            seen.add(kind)
            for text, other in _others(array):
                change = partial(_replace, key=key, array=other)
                yield Extreme(f"{name}: {key} {text}", name, change)


def _replace(program: Path, key: str, array: AnyArray) -> None:
    reshape(program, lambda found: found.update({key: array}))


def _others(array: AnyArray) -> Iterator[tuple[str, AnyArray]]:
    for kind in KINDS:
        if array.dtype != kind:
            with np.errstate(all="ignore"):
                yield f"as {kind}", array.astype(kind)
    shapes = {
        "flat": array.reshape(-1),
        "with an axis more": array[None],
        "empty": array[:0],
        "one short": array[:-1],
        "twice": np.concatenate([array, array]),
    }
    for text, other in shapes.items():
        yield text, np.ascontiguousarray(other)
    yield from _numbers(array)


def _numbers(array: AnyArray) -> Iterator[tuple[str, AnyArray]]:
    """One entry, and all, at the ends of the element type and at small numbers."""
    if array.dtype.kind == "f":
        ends = np.finfo(array.dtype)
        values: tuple[float, ...] = (np.nan, np.inf, -1.0, 0.0, float(ends.max), float(ends.tiny))
    else:
        whole = np.iinfo(array.dtype)
        values = tuple(sorted({whole.min, max(whole.min, -1), 0, 1, whole.max}))
    for value in values if array.size else ():
        changed = array.copy()
        changed.reshape(-1)[-1] = value
        yield f"with {value} at the end", changed
        yield f"all {value}", np.full_like(array, value)

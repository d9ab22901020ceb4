"""Inputs that the user fixes: each becomes an initialiser of the type and shape it declares."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
import onnx_ir as ir

from xbarc.errors import InputError
from xbarc.frontend.graph import name_of
from xbarc.numerics import AnyArray

_OPTION = "--fix-input"


def fix_inputs(model: ir.Model, fixed: Mapping[str, Any]) -> bool:
    """Replace inputs by constants; say whether any was.

    Raises:
        InputError: there is no such input, or a value does not fit it.
    """
    arrays = fixed_arrays(model, fixed)
    for name, array in arrays.items():
        value = next(value for value in model.graph.inputs if name_of(value) == name)
        model.graph.inputs.remove(value)
        value.const_value = ir.tensor(array, name=name)
        model.graph.initializers[name] = value
    return bool(arrays)


def fixed_arrays(model: ir.Model, fixed: Mapping[str, Any]) -> dict[str, AnyArray]:
    """What fixed inputs hold, as arrays that the model takes.

    Raises:
        InputError: there is no such input, or a value does not fit it.
    """
    weights = model.graph.initializers  # which old exporters list among the inputs
    inputs = {name_of(v): v for v in model.graph.inputs if name_of(v) not in weights}
    unknown = sorted(set(fixed) - set(inputs))
    if unknown:
        known = ", ".join(_describe(value) for value in inputs.values()) or "none"
        raise InputError(
            f"the model has no input '{unknown[0]}'", where=_OPTION, hint=f"its inputs: {known}"
        )
    return {name: _array(given, inputs[name]) for name, given in fixed.items()}


def _describe(value: ir.Value) -> str:
    kind = "no tensor" if value.dtype is None else value.dtype.name.lower()
    sizes = [size if isinstance(size, int) else size.value for size in value.shape or ()]
    shape = ", ".join("?" if size is None else str(size) for size in sizes)
    return f"{name_of(value)} ({kind if value.shape is None else f'{kind}[{shape}]'})"


def _array(given: Any, value: ir.Value) -> AnyArray:
    if value.dtype is None or value.dtype == ir.DataType.STRING:
        raise _misfit(value, "it is not a tensor of numbers, which alone can be fixed")
    try:
        plain = np.asarray(given)
    except (ValueError, OverflowError) as error:
        raise _misfit(value, f"the lists given are not an array: {error}") from error
    return _give_type(_give_shape(plain, value), value, value.dtype.numpy())


def _give_shape(plain: AnyArray, value: ir.Value) -> AnyArray:
    """In the declared shape: a number or a plain list fills it where at most one axis is open."""
    if value.shape is None:
        return plain
    wanted = [size if isinstance(size, int) else -1 for size in value.shape]
    pairs = zip(plain.shape, wanted, strict=False)
    if plain.ndim == len(wanted) and all(want in (-1, size) for size, want in pairs):
        return plain
    least = prod(size for size in wanted if size >= 0)
    # One open axis takes what the others leave; two could be filled in several ways.
    fits = plain.size % least == 0 if -1 in wanted and least else plain.size == least
    if plain.ndim > 1 or wanted.count(-1) > 1 or not fits:
        raise _misfit(value, f"{plain.size} numbers of shape {list(plain.shape)} given")
    return plain.reshape(wanted)


def _give_type(plain: AnyArray, value: ir.Value, kind: np.dtype[Any]) -> AnyArray:
    """In the declared type, if it holds every number."""
    with np.errstate(all="ignore"):
        array = plain.astype(kind) if plain.dtype.kind in "biuf" else None
    # Compared as Python integers, which do not wrap: 300 must not become 44 in an int8.
    whole = kind.kind in "biu"
    if array is None or (whole and not np.array_equal(array.astype(object), plain.astype(object))):
        raise _misfit(value, f"{str(plain.tolist())[:60]} given")
    if not whole and np.any(np.isinf(array.astype(np.float64)) & np.isfinite(plain)):
        raise _misfit(value, f"{str(plain.tolist())[:60]} given, which it does not hold")
    return array


def _misfit(value: ir.Value, found: str) -> InputError:
    hint = f"expected {_describe(value)}"
    return InputError(f"input '{name_of(value)}': {found}", where=_OPTION, hint=hint)

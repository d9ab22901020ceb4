# mypy: disable-error-code="no-untyped-call,import-untyped"
"""The converter of noisy sums in float32, 32 vectors at a time, in LLVM's own words."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from xbarc.executor.byte_ops import I32, I64, call, load, store, take
from xbarc.executor.lanes import LANES

_FLOAT = ir.FloatType()
_SUMS, _REAL = ir.VectorType(I32, LANES), ir.VectorType(_FLOAT, LANES)


def _splat(builder: Any, number: Any, vector: ir.VectorType) -> Any:
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), number, I32(0))
    return take(builder, first, [0] * vector.count)


def _scale_sums(builder: Any, places: list[Any], added: Any, scale: Any) -> Any:
    """Codes before they are rounded down and clamped."""
    sums, sigma, drawn = places
    shifted = builder.add(load(builder, sums, _SUMS, 4), _splat(builder, added, _SUMS))
    factors = (load(builder, at, _REAL, 4) for at in (sigma, drawn))
    real = builder.fadd(builder.sitofp(shifted, _REAL), builder.fmul(*factors))
    return builder.fmul(real, _splat(builder, scale, _REAL))


def _is_far(builder: Any, part: Any, window: Any) -> Any:
    """Whether a code's fraction is farther from both borders than the window; false for NaN."""
    one = ir.Constant(_FLOAT, 1.0)
    below = builder.fcmp_ordered(">=", part, _splat(builder, window, _REAL))
    end = _splat(builder, builder.fsub(one, window), _REAL)
    return builder.and_(below, builder.fcmp_ordered("<=", part, end))


SETTINGS = 5
"""Numbers of 32 bits that the setting of a conversion and a slice takes: what is added to a sum
before it is scaled, codes per step of the grid (float32), lo, step and largest code."""


def _load_setting(builder: Any, address: Any) -> list[Any]:
    """The numbers of a setting; the second one is real."""
    kinds = [I32, _FLOAT, I32, I32, I32]
    places = [builder.add(address, I64(4 * place)) for place in range(SETTINGS)]
    return [
        builder.load(builder.inttoptr(place, kind.as_pointer()), align=4)
        for place, kind in zip(places, kinds, strict=True)
    ]


def _read_codes(builder: Any, codes: Any, setting: list[Any], by: Any, window: Any) -> list[Any]:
    """Values of codes and misses, both zero where a code waits, and the codes that do not wait."""
    lo, step, top = setting
    rounded = call(builder, f"llvm.floor.v{LANES}f32", _REAL, codes)
    far = _is_far(builder, builder.fsub(codes, rounded), window)
    zero = ir.Constant(_REAL, [0.0] * LANES)
    end = _splat(builder, builder.sitofp(top, _FLOAT), _REAL)
    kept = builder.select(builder.fcmp_ordered(">", rounded, zero), rounded, zero)
    kept = builder.select(builder.fcmp_ordered("<", kept, end), kept, end)
    value = builder.mul(builder.fptosi(kept, _SUMS), _splat(builder, step, _SUMS))
    value = builder.add(value, _splat(builder, lo, _SUMS))
    value = builder.shl(value, _splat(builder, by, _SUMS))
    wrong = builder.and_(far, builder.fcmp_unordered("!=", kept, rounded))
    return [builder.select(far, value, ir.Constant(_SUMS, None)), builder.sext(wrong, _SUMS), far]


def _read_plane(builder: Any, where: list[Any], setting: Any, by: Any, window: Any) -> list[Any]:
    """One plane; `where` is sums, sigma, normal numbers and the mask of codes that wait."""
    added, scale, *rest = _load_setting(builder, setting)
    codes = _scale_sums(builder, where[:3], added, scale)
    value, wrong, far = _read_codes(builder, codes, rest, by, window)
    waiting = builder.not_(builder.bitcast(far, ir.IntType(LANES)))
    builder.store(waiting, builder.inttoptr(where[3], waiting.type.as_pointer()), align=4)
    return [value, wrong, waiting]


@intrinsic
def read_planes(_context: Any, places: Any, strides: Any, rest: Any) -> tuple[Any, Any]:
    """Codes of all planes of 32 vectors, joined; gives whether some wait.

    Three tuples: addresses of sums in steps of the grid, of sigma, of normal numbers, of masks of
    the codes that wait (out), of settings, and of joined codes (set) and misses (added to); bytes
    from one plane's to the next for the first five; planes in 64 bits and the window in float32.
    """

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        where, apart, (planes, window) = (cgutils.unpack_tuple(builder, part) for part in arguments)
        missed = load(builder, where[6], _SUMS, 4)
        entry = builder.block
        loop, done = (builder.append_basic_block(f"noisy.{name}") for name in ("loop", "done"))
        builder.branch(loop)
        builder.position_at_end(loop)
        count, waiting = builder.phi(I64), builder.phi(I32)
        total, misses = builder.phi(_SUMS), builder.phi(_SUMS)
        at = [builder.add(a, builder.mul(count, b)) for a, b in zip(where, apart, strict=False)]
        by = builder.trunc(count, I32)
        value, wrong, mask = _read_plane(builder, at[:4], at[4], by, window)
        following = builder.add(count, I64(1))
        added = [builder.add(total, value), builder.sub(misses, wrong)]
        some = builder.or_(waiting, mask)
        builder.cbranch(builder.icmp_signed("<", following, planes), loop, done)
        starts = (I64(0), I32(0), ir.Constant(_SUMS, None), missed)
        for phi, start, end in zip(
            (count, waiting, total, misses), starts, (following, some, *added), strict=True
        ):
            phi.add_incoming(start, entry)
            phi.add_incoming(end, loop)
        builder.position_at_end(done)
        store(builder, added[0], where[5], 4)
        store(builder, added[1], where[6], 4)
        return builder.icmp_unsigned("!=", some, I32(0))

    return types.boolean(places, strides, rest), generate

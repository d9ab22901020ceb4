# mypy: disable-error-code="no-untyped-call,import-untyped"
"""The lookup loop in LLVM's own words: a byte shuffle that numba has no name for.

Each intrinsic takes addresses and counts, and works on 32 lanes, one an input vector. Only
`convert_unit` runs on every CPU; the other two need the shuffle of AVX2.
"""

from __future__ import annotations

from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 32
"""Input vectors that one pass of the loop handles."""

NIBBLES = 8
"""Lookups that are added as bytes before they are widened to 16 bits."""

DIGIT_BITS = 3
"""Cells enter tables in digits of 3 bits: 8 sums of 4 digits reach 8 x 4 x 7 = 224, a byte."""

HAS_SHUFFLE = bool(llvm.get_host_cpu_features().get("avx2", False))
"""Whether this CPU has the byte shuffle that the quick loop needs."""

_I8, _I16, _I32, _I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
_TABLE, _BYTES = ir.VectorType(_I8, 16), ir.VectorType(_I8, LANES)
_WORDS, _SUMS = ir.VectorType(_I16, 16), ir.VectorType(_I32, 16)


def _shuffle_mask(indices: list[int]) -> ir.Constant:
    return ir.Constant(ir.VectorType(_I32, len(indices)), indices)


def _lookup_group(builder: Any, table: Any, index: Any) -> Any:
    """Sum of `NIBBLES` lookups as bytes; table and index are addresses."""
    shuffle = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(_BYTES, [_BYTES, _BYTES]), "llvm.x86.avx2.pshuf.b"
    )
    total = None
    for k in range(NIBBLES):
        at = builder.inttoptr(builder.add(table, _I64(16 * k)), _TABLE.as_pointer())
        entries = builder.load(at, align=16)
        undefined = ir.Constant(_TABLE, ir.Undefined)
        both = builder.shuffle_vector(entries, undefined, _shuffle_mask(list(range(16)) * 2))
        where = builder.inttoptr(builder.add(index, _I64(LANES * k)), _BYTES.as_pointer())
        found = builder.call(shuffle, [both, builder.load(where, align=32)])
        total = found if total is None else builder.add(total, found)
    return total


def _halves(builder: Any, total: Any) -> list[Any]:
    undefined = ir.Constant(_BYTES, ir.Undefined)
    spans = (list(range(16)), list(range(16, 32)))
    return [
        builder.zext(builder.shuffle_vector(total, undefined, _shuffle_mask(span)), _WORDS)
        for span in spans
    ]


def _emit_sums(builder: Any, table: Any, index: Any, groups: Any) -> list[Any]:
    """A loop over groups of lookups; gives two vectors of 16-bit sums."""
    entry = builder.block
    loop = builder.append_basic_block("lookup.loop")
    done = builder.append_basic_block("lookup.done")
    builder.branch(loop)
    builder.position_at_end(loop)
    count = builder.phi(_I64)
    sums = [builder.phi(_WORDS), builder.phi(_WORDS)]
    tables = builder.add(table, builder.mul(count, _I64(16 * NIBBLES)))
    places = builder.add(index, builder.mul(count, _I64(LANES * NIBBLES)))
    halves = _halves(builder, _lookup_group(builder, tables, places))
    added = [builder.add(old, new) for old, new in zip(sums, halves, strict=True)]
    following = builder.add(count, _I64(1))
    builder.cbranch(builder.icmp_signed("<", following, groups), loop, done)
    count.add_incoming(_I64(0), entry)
    count.add_incoming(following, loop)
    for phi, value in zip(sums, added, strict=True):
        phi.add_incoming(ir.Constant(_WORDS, None), entry)
        phi.add_incoming(value, loop)
    builder.position_at_end(done)
    return added


def _splat(builder: Any, value: Any) -> Any:
    undefined = ir.Constant(_SUMS, ir.Undefined)
    first = builder.insert_element(undefined, value, _I32(0))
    return builder.shuffle_vector(first, undefined, _shuffle_mask([0] * 16))


@intrinsic
def add_sums(
    _context: Any, _table: Any, _index: Any, _groups: Any, _shift: Any, _out: Any
) -> tuple[Any, Any]:
    """`out[0:32] += sums << shift`, int32; arguments are addresses, counts and a shift."""
    signature = types.void(types.uintp, types.uintp, types.intp, types.int32, types.uintp)

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        table, index, groups, shift, out = arguments
        sums = _emit_sums(builder, table, index, groups)
        by = _splat(builder, shift)
        base = builder.inttoptr(out, _SUMS.as_pointer())
        for half, words in enumerate(sums):
            place = builder.gep(base, [_I32(half)])
            wide = builder.shl(builder.zext(words, _SUMS), by)
            builder.store(builder.add(builder.load(place, align=4), wide), place, align=4)
        return context.get_dummy_value()

    return signature, generate


def _emit_convert(builder: Any, sums: list[Any], numbers: list[Any], bases: list[Any]) -> None:
    """Converter of step 1 and shift-and-add on two vectors of 16 sums of 32 bits."""
    lo, top, shift = (_splat(builder, value) for value in numbers)
    zero = ir.Constant(_SUMS, [0] * 16)
    for half, wide in enumerate(sums):
        joined, outside = (builder.gep(base, [_I32(half)]) for base in bases)
        code = builder.sub(wide, lo)
        kept = builder.select(builder.icmp_signed(">", code, zero), code, zero)
        kept = builder.select(builder.icmp_signed("<", kept, top), kept, top)
        missed = builder.zext(builder.icmp_signed("!=", kept, code), _SUMS)
        builder.store(builder.add(builder.load(outside, align=4), missed), outside, align=4)
        value = builder.shl(builder.add(kept, lo), shift)
        builder.store(builder.add(builder.load(joined, align=4), value), joined, align=4)


@intrinsic
def convert_unit(
    _context: Any, _sums: Any, _lo: Any, _top: Any, _shift: Any, _joined: Any, _outside: Any
) -> tuple[Any, Any]:
    """Converter of step 1 and shift-and-add on 32 lanes of int32; arguments are addresses."""
    signature = types.void(
        types.uintp, types.int32, types.int32, types.int32, types.uintp, types.uintp
    )

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        first, lo, top, shift, *others = arguments
        base, *bases = [builder.inttoptr(at, _SUMS.as_pointer()) for at in (first, *others)]
        sums = [builder.load(builder.gep(base, [_I32(half)]), align=4) for half in range(2)]
        _emit_convert(builder, sums, [lo, top, shift], bases)
        return context.get_dummy_value()

    return signature, generate


@intrinsic
def sum_and_convert(
    _context: Any,
    _table: Any,
    _index: Any,
    _groups: Any,
    _lo: Any,
    _top: Any,
    _shift: Any,
    _joined: Any,
    _outside: Any,
) -> tuple[Any, Any]:
    """Lookups and converter in one go, for one plane a slice and one digit a cell."""
    signature = types.void(
        *(types.uintp, types.uintp, types.intp),
        *(types.int32, types.int32, types.int32),
        *(types.uintp, types.uintp),
    )

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        table, index, groups, lo, top, shift, *others = arguments
        sums = [builder.zext(words, _SUMS) for words in _emit_sums(builder, table, index, groups)]
        bases = [builder.inttoptr(at, _SUMS.as_pointer()) for at in others]
        _emit_convert(builder, sums, [lo, top, shift], bases)
        return context.get_dummy_value()

    return signature, generate

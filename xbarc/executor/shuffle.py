# mypy: disable-error-code="no-untyped-call,import-untyped"
"""The lookup loop in LLVM's own words: a byte shuffle that numba has no name for.

Each intrinsic takes addresses and counts, and works on 32 lanes, one an input vector. Only
`convert_unit` runs on every CPU; the others need a byte shuffle (`byte_ops.HAS_SHUFFLE`).
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from xbarc.executor.byte_ops import look_up, table_of
from xbarc.executor.lanes import LANES, NIBBLES

_I8, _I16, _I32, _I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
_TABLE, _BYTES = ir.VectorType(_I8, 16), ir.VectorType(_I8, LANES)
_WORDS, _SUMS = ir.VectorType(_I16, 16), ir.VectorType(_I32, 16)


def _shuffle_mask(indices: list[int]) -> ir.Constant:
    return ir.Constant(ir.VectorType(_I32, len(indices)), indices)


def _lookup_group(builder: Any, table: Any, places: list[Any]) -> list[Any]:
    """Sums of `NIBBLES` lookups as bytes, one vector an address of packed planes."""
    totals: list[Any] = [None] * len(places)
    for k in range(NIBBLES):
        both = table_of(builder, builder.add(table, _I64(16 * k)))
        for plane, place in enumerate(places):
            where = builder.inttoptr(builder.add(place, _I64(LANES * k)), _BYTES.as_pointer())
            found = look_up(builder, both, builder.load(where, align=32))
            old = totals[plane]
            totals[plane] = found if old is None else builder.add(old, found)
    return totals


def _widen_bytes(builder: Any, total: Any) -> list[Any]:
    """Bytes as two vectors of 16-bit numbers: those of even lanes, then those of odd lanes.

    `lane_order` deals vectors over lanes so that these are the first and the second sixteen.
    """
    words = builder.bitcast(total, _WORDS)
    low = builder.and_(words, ir.Constant(_WORDS, [255] * 16))
    return [low, builder.lshr(words, ir.Constant(_WORDS, [8] * 16))]


def _emit_sums(builder: Any, table: Any, index: Any, groups: Any, stride: Any, planes: int) -> Any:
    """A loop over groups of lookups; gives two vectors of 16-bit sums for each plane."""
    entry = builder.block
    loop = builder.append_basic_block("lookup.loop")
    done = builder.append_basic_block("lookup.done")
    builder.branch(loop)
    builder.position_at_end(loop)
    count = builder.phi(_I64)
    sums = [builder.phi(_WORDS) for _ in range(2 * planes)]
    tables = builder.add(table, builder.mul(count, _I64(16 * NIBBLES)))
    first = builder.add(index, builder.mul(count, _I64(LANES * NIBBLES)))
    places = [builder.add(first, builder.mul(stride, _I64(p))) for p in range(planes)]
    totals = _lookup_group(builder, tables, places)
    words = [half for total in totals for half in _widen_bytes(builder, total)]
    added = [builder.add(old, new) for old, new in zip(sums, words, strict=True)]
    following = builder.add(count, _I64(1))
    builder.cbranch(builder.icmp_signed("<", following, groups), loop, done)
    count.add_incoming(_I64(0), entry)
    count.add_incoming(following, loop)
    for phi, value in zip(sums, added, strict=True):
        phi.add_incoming(ir.Constant(_WORDS, None), entry)
        phi.add_incoming(value, loop)
    builder.position_at_end(done)
    return added


def _splat(builder: Any, value: Any, vector: ir.VectorType = _SUMS) -> Any:
    undefined = ir.Constant(vector, ir.Undefined)
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
        sums = _emit_sums(builder, table, index, groups, _I64(0), 1)
        by = _splat(builder, shift)
        base = builder.inttoptr(out, _SUMS.as_pointer())
        for half, words in enumerate(sums):
            place = builder.gep(base, [_I32(half)])
            wide = builder.shl(builder.zext(words, _SUMS), by)
            builder.store(builder.add(builder.load(place, align=4), wide), place, align=4)
        return context.get_dummy_value()

    return signature, generate


def _emit_convert(builder: Any, planes: list[list[Any]], numbers: list[Any], out: Any) -> None:
    """Converter of step 1 and shift-and-add.

    Args:
        builder: of the function.
        planes: two vectors of 16 sums of 32 bits for each plane, one after another in weight.
        numbers: lo, largest code, and the shift of the first plane.
        out: vectors of joined codes, and of conversions outside the range.
    """
    lo, top, first = (_splat(builder, value) for value in numbers)
    zero = ir.Constant(_SUMS, [0] * 16)
    for half in range(2):
        joined, outside = (builder.gep(base, [_I32(half)]) for base in out)
        total, missed = builder.load(joined, align=4), builder.load(outside, align=4)
        for plane, sums in enumerate(planes):
            code = builder.sub(sums[half], lo)
            kept = builder.select(builder.icmp_signed(">", code, zero), code, zero)
            kept = builder.select(builder.icmp_signed("<", kept, top), kept, top)
            wrong = builder.sext(builder.icmp_signed("!=", kept, code), _SUMS)
            missed = builder.sub(missed, wrong)
            shift = builder.add(first, ir.Constant(_SUMS, [plane] * 16))
            total = builder.add(total, builder.shl(builder.add(kept, lo), shift))
        builder.store(total, joined, align=4)
        builder.store(missed, outside, align=4)


def _emit_narrow(builder: Any, planes: list[list[Any]], numbers: list[Any], out: Any) -> None:
    """As `_emit_convert`, in 16 bits: `15 (|lo| + largest code)` must not exceed 32767."""
    lo, top = (_splat(builder, builder.trunc(value, _I16), _WORDS) for value in numbers[:2])
    first = _splat(builder, numbers[2])
    zero = ir.Constant(_WORDS, [0] * 16)
    one = ir.Constant(_WORDS, [1] * 16)
    for half in range(2):
        total, missed = zero, zero
        for sums in reversed(planes):
            code = builder.sub(sums[half], lo)
            kept = builder.select(builder.icmp_signed(">", code, zero), code, zero)
            kept = builder.select(builder.icmp_signed("<", kept, top), kept, top)
            wrong = builder.sext(builder.icmp_signed("!=", kept, code), _WORDS)
            missed = builder.sub(missed, wrong)
            total = builder.add(builder.shl(total, one), builder.add(kept, lo))
        joined, outside = (builder.gep(base, [_I32(half)]) for base in out)
        wide = builder.shl(builder.sext(total, _SUMS), first)
        builder.store(builder.add(builder.load(joined, align=4), wide), joined, align=4)
        count = builder.zext(missed, _SUMS)
        builder.store(builder.add(builder.load(outside, align=4), count), outside, align=4)


def _emit_any(builder: Any, planes: list[list[Any]], numbers: list[Any], out: Any) -> None:
    """Converter of any step, one setting a plane, and shift-and-add.

    The quotient of integers whose sizes add to less than 2**24 is never rounded up to a whole
    number in float32.

    Args:
        builder: of the function.
        planes: two vectors of 16 sums of 32 bits for each plane, one after another in weight.
        numbers: addresses of lo, step and largest code of the first plane, bytes from one plane's
            to the next, and the shift of the first plane.
        out: vectors of joined codes, and of conversions outside the range.
    """
    *bases, stride, first = numbers
    real = ir.VectorType(ir.FloatType(), 16)
    floor = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(real, [real]), "llvm.floor.v16f32"
    )
    zero, one = ir.Constant(_SUMS, [0] * 16), ir.Constant(_SUMS, [1] * 16)
    shift = _splat(builder, first)
    totals = [[builder.load(builder.gep(base, [_I32(h)]), align=4) for base in out] for h in (0, 1)]
    for plane, sums in enumerate(planes):
        places = [builder.add(base, builder.mul(stride, _I64(plane))) for base in bases]
        loaded = [builder.load(builder.inttoptr(at, _I32.as_pointer())) for at in places]
        lo, step, top = (_splat(builder, value) for value in loaded)
        divisor = builder.sitofp(builder.shl(step, one), real)
        for half in range(2):
            doubled = builder.add(builder.shl(builder.sub(sums[half], lo), one), step)
            ratio = builder.fdiv(builder.sitofp(doubled, real), divisor)
            code = builder.fptosi(builder.call(floor, [ratio]), _SUMS)
            kept = builder.select(builder.icmp_signed(">", code, zero), code, zero)
            kept = builder.select(builder.icmp_signed("<", kept, top), kept, top)
            wrong = builder.sext(builder.icmp_signed("!=", kept, code), _SUMS)
            value = builder.shl(builder.add(builder.mul(kept, step), lo), shift)
            totals[half][0] = builder.add(totals[half][0], value)
            totals[half][1] = builder.sub(totals[half][1], wrong)
        shift = builder.add(shift, one)
    for half in range(2):
        for base, total in zip(out, totals[half], strict=True):
            builder.store(total, builder.gep(base, [_I32(half)]), align=4)


def _make_any(planes: int) -> Any:
    """An intrinsic for converters of any step, over so many planes."""

    @intrinsic
    def sum_and_convert(_context: Any, places: Any, numbers: Any, results: Any) -> tuple[Any, Any]:
        def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            where, given, out = (cgutils.unpack_tuple(builder, part) for part in arguments)
            pairs = _wide_sums(builder, where, planes)
            _emit_any(builder, pairs, given, _vectors_at(builder, out))
            return context.get_dummy_value()

        return types.void(places, numbers, results), generate

    return sum_and_convert


def _wide_sums(builder: Any, where: list[Any], planes: int) -> list[list[Any]]:
    """Two vectors of 32-bit sums for each plane; `where` is table, planes, bytes apart, groups."""
    table, index, stride, groups = where
    words = _emit_sums(builder, table, index, groups, stride, planes)
    halves = [builder.zext(half, _SUMS) for half in words]
    return [halves[2 * p : 2 * p + 2] for p in range(planes)]


def _vectors_at(builder: Any, addresses: list[Any]) -> list[Any]:
    """Addresses as those of vectors of 32-bit numbers."""
    return [builder.inttoptr(at, _SUMS.as_pointer()) for at in addresses]


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
        _emit_convert(builder, [sums], [lo, top, shift], bases)
        return context.get_dummy_value()

    return signature, generate


def _make_unit(planes: int, *, narrow: bool = False) -> Any:
    """An intrinsic for converters of step 1, over so many planes."""

    @intrinsic
    def sum_and_convert(_context: Any, places: Any, numbers: Any, results: Any) -> tuple[Any, Any]:
        def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            where, given, out = (cgutils.unpack_tuple(builder, part) for part in arguments)
            if narrow:
                table, index, stride, groups = where
                words = _emit_sums(builder, table, index, groups, stride, planes)
                pairs = [words[2 * p : 2 * p + 2] for p in range(planes)]
                _emit_narrow(builder, pairs, given, _vectors_at(builder, out))
            else:
                pairs = _wide_sums(builder, where, planes)
                _emit_convert(builder, pairs, given, _vectors_at(builder, out))
            return context.get_dummy_value()

        return types.void(places, numbers, results), generate

    return sum_and_convert


sum_and_convert = _make_unit(1)
"""Lookups and converter in one go, for one plane a slice and one digit a cell.

Three tuples: the addresses of the table and of the plane, bytes from one plane to the next and
groups of `NIBBLES`, in 64 bits each; lo, largest code and the shift of the first plane, in 32 bits;
the addresses of joined codes and of conversions outside the range.
"""

sum_and_convert_four = _make_unit(4)
"""The same for four planes with one setting: each table is loaded once for all of them."""


sum_and_convert_any = _make_any(1)
"""As `sum_and_convert`, for any step; `|lo|` and step stay below `ANY_REACH`.

The second tuple holds the addresses of lo, step and largest code, bytes from one plane's to the
next, and the shift.
"""

sum_and_convert_four_any = _make_any(4)
"""The same for four planes with a setting each."""

ANY_REACH = 1 << 20
"""Sums, `|lo|` and steps below this keep the quotient of the converter exact in float32."""

sum_and_convert_four_narrow = _make_unit(4, narrow=True)
"""The same in 16 bits throughout, for converters of few bits."""

NARROW_REACH = 32767 // 15
"""Largest `|lo| + largest code` of the narrow form; sums must not exceed 32767 either."""


def lane_order() -> list[int]:
    """The vector of each lane of a chunk: even lanes hold the first sixteen, odd the others."""
    return [lane // 2 + 16 * (lane % 2) for lane in range(LANES)]


@intrinsic
def pack_nibble(
    _context: Any, _first: Any, _second: Any, _third: Any, _fourth: Any, _out: Any, _stride: Any
) -> tuple[Any, Any]:
    """Bits of four wordlines of 32 lanes as numbers 0 to 15, one vector of bytes per bit plane.

    The first four arguments are addresses of 32 codes of one byte; plane `p` is stored at
    `out + p * stride`. Runs on every CPU.
    """
    signature = types.void(*[types.uintp] * 5, types.intp)

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        *rows, out, stride = arguments
        vector = _BYTES.as_pointer()
        codes = [builder.load(builder.inttoptr(row, vector), align=1) for row in rows]
        one = ir.Constant(_BYTES, [1] * LANES)
        for plane in range(8):
            by = ir.Constant(_BYTES, [plane] * LANES)
            number = None
            for k, code in enumerate(codes):
                bit = builder.and_(builder.lshr(code, by), one)
                moved = builder.shl(bit, ir.Constant(_BYTES, [k] * LANES))
                number = moved if number is None else builder.or_(number, moved)
            at = builder.add(out, builder.mul(stride, _I64(plane)))
            builder.store(number, builder.inttoptr(at, vector), align=32)
        return context.get_dummy_value()

    return signature, generate

# mypy: disable-error-code="no-untyped-call,import-untyped"
"""Sums that stay bytes: sixteen input vectors, two bit planes of each side by side.

A converter with lo and code up to 254 cannot tell sums beyond 255 apart, so its column sums are
added as bytes that stop at 255, whatever the count of rows. The lanes of a vector of 32 bytes are,
in turn, an even bit plane and the odd one above it of one input: a multiply-add of neighbours joins
them, and nothing is widened before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from xbarc.executor.byte_ops import (
    BYTES,
    I16,
    I32,
    I64,
    WORDS,
    call,
    join_pairs,
    load,
    look_up,
    store,
    table_of,
    take,
)
from xbarc.executor.lanes import LANES, NIBBLES

PAIRS = 4
"""Pairs of bit planes in a byte of a code; codes of four bits and fewer take half of them."""


def _broadcast(builder: Any, value: Any, vector: ir.VectorType) -> Any:
    undefined = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(undefined, value, I32(0))
    return take(builder, first, [0] * vector.count)


def _add_tables(
    builder: Any, tables: Any, index: Any, planes: list[Any], sums: list[Any]
) -> list[Any]:
    """Lookups of `NIBBLES` tables added to sums that stop at 255."""
    for k in range(NIBBLES):
        place = builder.inttoptr(builder.add(index, I64(2 * k)), I16.as_pointer())
        # The number of a table and not its address: two bytes for four cells, so that a column of
        # 128 cells is 64 bytes.
        number = builder.zext(builder.load(place, align=2), I64)
        table = table_of(builder, builder.add(tables, builder.shl(number, I64(4))))
        for pair, plane in enumerate(planes):
            where = load(builder, builder.add(plane, I64(LANES * k)), BYTES, 32)
            found = look_up(builder, table, where)
            sums[pair] = call(builder, "llvm.uadd.sat.v32i8", BYTES, sums[pair], found)
    return sums


def _sum_planes(builder: Any, cells: Sequence[Any], inputs: Sequence[Any], pairs: int) -> list[Any]:
    """Sums of all tables of a conversion, a vector for each pair of planes.

    Args:
        builder: of the function.
        cells: addresses of all tables, and of the numbers of those of the conversion.
        inputs: address of the planes, bytes from one pair to the next, groups of `NIBBLES`.
        pairs: of planes.
    """
    (tables, numbers), (index, stride, groups) = cells, inputs
    entry = builder.block
    loop, done = (builder.append_basic_block(f"bytes.{name}") for name in ("loop", "done"))
    builder.branch(loop)
    builder.position_at_end(loop)
    count = builder.phi(I64)
    before = [builder.phi(BYTES) for _ in range(pairs)]
    number = builder.add(numbers, builder.mul(count, I64(2 * NIBBLES)))
    first = builder.add(index, builder.mul(count, I64(LANES * NIBBLES)))
    planes = [builder.add(first, builder.mul(stride, I64(pair))) for pair in range(pairs)]
    after = _add_tables(builder, tables, number, planes, list(before))
    following = builder.add(count, I64(1))
    builder.cbranch(builder.icmp_signed("<", following, groups), loop, done)
    count.add_incoming(I64(0), entry)
    count.add_incoming(following, loop)
    for phi, value in zip(before, after, strict=True):
        # Sums stay in registers from the first table to the last.
        phi.add_incoming(ir.Constant(BYTES, None), entry)
        phi.add_incoming(value, loop)
    builder.position_at_end(done)
    return after


def _clamp(builder: Any, value: Any, lo: Any, high: Any) -> Any:
    below = builder.select(builder.icmp_unsigned("<", value, high), value, high)
    return builder.select(builder.icmp_unsigned(">", below, lo), below, lo)


def _splat(builder: Any, number: Any, vector: ir.VectorType) -> Any:
    return _broadcast(builder, builder.trunc(number, vector.element), vector)


def _convert_bytes(builder: Any, sums: list[Any], numbers: list[Any], seen: Any) -> tuple[Any, Any]:
    """Codes of step 1 joined to 16 bits, and `seen` with the conversions inside the range added."""
    lo, high = (_splat(builder, number, BYTES) for number in numbers)
    total, two = ir.Constant(WORDS, None), ir.Constant(WORDS, [2] * 16)
    # Highest pair first: what was joined so far moves up by two bits, and no pair needs a shift of
    # its own.
    for planes in reversed(sums):
        code = _clamp(builder, planes, lo, high)
        # -1 where the clamp changed nothing: subtracting it counts.
        kept = builder.sext(builder.icmp_unsigned("==", code, planes), BYTES)
        seen = builder.sub(seen, kept)
        total = builder.add(builder.shl(total, two), join_pairs(builder, code))
    return total, seen


def _convert_steps(builder: Any, sums: list[Any], numbers: list[Any], seen: Any) -> tuple[Any, Any]:
    """The same for any step, in 16 bits; `magic` divides by twice the step."""
    lo, step, top, magic = (_splat(builder, number, WORDS) for number in numbers)
    zero, one = ir.Constant(WORDS, None), ir.Constant(WORDS, [1] * 16)
    low, eight = ir.Constant(WORDS, [255] * 16), ir.Constant(WORDS, [8] * 16)
    # `2 (S - lo) + step`, so that dividing by twice the step rounds halves up without a fraction.
    shift = builder.sub(step, builder.shl(lo, one))
    total = zero
    for planes in reversed(sums):
        words = builder.bitcast(planes, WORDS)
        inside = []
        # Odd planes lie in the upper bytes of a word, even ones in the lower: both are treated as
        # 16-bit numbers in turn.
        for half in (builder.lshr(words, eight), builder.and_(words, low)):
            doubled = builder.add(builder.shl(half, one), shift)
            wide = [builder.zext(value, ir.VectorType(I32, 16)) for value in (doubled, magic)]
            sixteen = ir.Constant(ir.VectorType(I32, 16), [16] * 16)
            code = builder.trunc(builder.lshr(builder.mul(*wide), sixteen), WORDS)
            reached = builder.icmp_signed(">=", doubled, zero)
            kept = builder.select(builder.icmp_unsigned("<", code, top), code, top)
            kept = builder.select(reached, kept, zero)
            within = builder.and_(reached, builder.icmp_unsigned("==", kept, code))
            inside.append(builder.sext(within, WORDS))
            value = builder.add(builder.mul(kept, step), lo)
            total = builder.add(builder.shl(total, one), value)
        odd, even = inside
        mask = builder.or_(builder.shl(odd, eight), builder.and_(even, low))
        seen = builder.sub(seen, builder.bitcast(mask, BYTES))
    return total, seen


def _make_converter(pairs: int, convert: Callable[..., tuple[Any, Any]]) -> Any:
    """An intrinsic that takes places and numbers of a converter, a tuple each."""

    @intrinsic
    def convert_planes(_context: Any, places: Any, numbers: Any) -> tuple[Any, Any]:
        def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            cells, inputs, (joined, inside), given = _unpack_arguments(builder, arguments)
            sums = _sum_planes(builder, cells, inputs, pairs)
            seen = load(builder, inside, BYTES, 1)
            total, seen = convert(builder, sums, given, seen)
            store(builder, seen, inside, 1)
            store(builder, total, joined, 1)
            return context.get_dummy_value()

        return types.void(places, numbers), generate

    return convert_planes


def _unpack_arguments(builder: Any, arguments: Any) -> tuple[list[Any], ...]:
    """Places of cells, of inputs and of results, and the numbers of the converter."""
    places, numbers = (cgutils.unpack_tuple(builder, part) for part in arguments)
    return places[:2], places[2:5], places[5:7], numbers


sum_and_convert = _make_converter(PAIRS, _convert_bytes)
"""Sums, converter of step 1 and shift-and-add of eight bit planes of sixteen vectors.

The first argument holds, in 64 bits each: the addresses of all tables, of the numbers of those of
the conversion, and of the planes; bytes from one pair of planes to the next; groups of `NIBBLES`;
where 16 joined codes of 16 bits are written, and where 32 bytes are that count conversions inside
the range. The second, in 32 bits: `lo` and the largest sum inside the range.
"""

sum_and_convert_half = _make_converter(PAIRS // 2, _convert_bytes)
"""The same for four bit planes."""

sum_and_convert_steps = _make_converter(PAIRS, _convert_steps)
"""The same for any step: lo, step, largest code, and what divides by twice the step."""

sum_and_convert_steps_half = _make_converter(PAIRS // 2, _convert_steps)
"""The same for four bit planes."""


def _make_packer(pairs: int) -> Any:
    @intrinsic
    def pack_pairs(
        _context: Any,
        _first: Any,
        _second: Any,
        _third: Any,
        _fourth: Any,
        _out: Any,
        _stride: Any,
    ) -> tuple[Any, Any]:
        signature = types.void(*[types.uintp] * 5, types.intp)

        def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            *rows, out, stride = arguments
            codes = [load(builder, row, BYTES, 1) for row in rows]
            one = ir.Constant(BYTES, [1] * LANES)
            for pair in range(pairs):
                by = ir.Constant(BYTES, [2 * pair] * LANES)
                number = ir.Constant(BYTES, None)
                for k, code in enumerate(codes):
                    bit = builder.and_(builder.lshr(code, by), one)
                    place = ir.Constant(BYTES, [k] * LANES)
                    number = builder.or_(number, builder.shl(bit, place))
                store(builder, number, builder.add(out, builder.mul(stride, I64(pair))), 32)
            return context.get_dummy_value()

        return signature, generate

    return pack_pairs


pack_pairs = _make_packer(PAIRS)
"""Bits of four wordlines as numbers 0 to 15, one vector of bytes a pair of bit planes.

The first four arguments are addresses of 32 bytes: a code, the code shifted down by one, and so on
for sixteen codes. Pair `p` is stored at `out + p * stride`.
"""

pack_pairs_half = _make_packer(PAIRS // 2)
"""The same for four bit planes."""

# mypy: disable-error-code="no-untyped-call,import-untyped"
"""Sums of 24 bits by shuffles of bytes: each entry of a table is four digits, a byte each.

An entry is what four cells add up to, a whole number of grid steps: three digits of 5, 5 and 6 bits
without a sign, and one of 8 that wraps. Digits of 5 bits are added eight times before they leave a
byte, those of 6 bits four times; then they are widened to 16 bits. The last digit is never widened,
since the sum is known to lie in a window of 256 of its steps.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from xbarc.executor.byte_ops import BYTES, I16, I32, I64, WORDS, load, look_up, store, take
from xbarc.executor.byte_ops import table_of as whole_table
from xbarc.executor.lanes import DIGITS, LANES, LOW_DIGIT_BITS, NIBBLES

_LOW = (1 << LOW_DIGIT_BITS) - 1
# Additions of a digit before its byte is full: 8 x 31 and 4 x 63.
_HELD = (NIBBLES, NIBBLES, NIBBLES // 2)
# Values of a 16-bit window of a sum, which leaves out its lowest ten bits.
_WINDOW = (1 << 14) - 1


def _constant(vector: ir.VectorType, number: int) -> ir.Constant:
    return ir.Constant(vector, [number] * vector.count)


def _widen_bytes(builder: Any, digits: Any) -> list[Any]:
    """Bytes as two vectors of 16 bits: those of even lanes, then those of odd ones."""
    words = builder.bitcast(digits, WORDS)
    low = builder.and_(words, _constant(WORDS, 255))
    return [low, builder.lshr(words, _constant(WORDS, 8))]


class _Plane:
    """Sums of one plane while they are made."""

    def __init__(self, words: list[Any], top: Any) -> None:
        self.words = words
        self.top = top
        self.bytes: list[Any] = [None] * (DIGITS - 1)

    def add(self, builder: Any, digit: int, found: Any) -> None:
        """Add one lookup."""
        if digit == DIGITS - 1:
            self.top = builder.add(self.top, found)
            return
        old = self.bytes[digit]
        self.bytes[digit] = found if old is None else builder.add(old, found)

    def widen_digit(self, builder: Any, digit: int) -> None:
        """Empty the bytes of a digit: pairs of lanes as they lie, and the odd lanes."""
        both = builder.bitcast(self.bytes[digit], WORDS)
        odd = builder.lshr(both, _constant(WORDS, 8))
        for half, words in enumerate((both, odd)):
            at = 2 * digit + half
            self.words[at] = builder.add(self.words[at], words)
        self.bytes[digit] = None

    def halves(self, builder: Any, digit: int) -> list[Any]:
        """Sums of a digit over the even lanes and over the odd ones.

        Pairs overflow 16 bits, the even lanes alone do not: what is left after the odd ones are
        subtracted is right.
        """
        both, odd = self.words[2 * digit : 2 * digit + 2]
        return [builder.sub(both, builder.shl(odd, _constant(WORDS, 8))), odd]


def _add_group(builder: Any, table: Any, index: list[Any], sums: list[_Plane]) -> None:
    """`NIBBLES` tables over all planes."""
    for k in range(NIBBLES):
        where = [load(builder, builder.add(at, I64(LANES * k)), BYTES, 32) for at in index]
        for digit in range(DIGITS):
            entries = whole_table(builder, builder.add(table, I64(16 * (DIGITS * k + digit))))
            for plane, indices in zip(sums, where, strict=True):
                plane.add(builder, digit, look_up(builder, entries, indices))
            if digit < DIGITS - 1 and (k + 1) % _HELD[digit] == 0:
                for plane in sums:
                    plane.widen_digit(builder, digit)


def _sum_planes(builder: Any, places: list[Any], planes: int) -> list[_Plane]:
    """A loop over groups of tables; `places` is table, planes, bytes apart, groups."""
    table, index, stride, groups = places
    entry = builder.block
    loop, done = (builder.append_basic_block(f"digits.{name}") for name in ("loop", "done"))
    builder.branch(loop)
    builder.position_at_end(loop)
    count = builder.phi(I64)
    before = [
        [*(builder.phi(WORDS) for _ in range(2 * (DIGITS - 1))), builder.phi(BYTES)]
        for _ in range(planes)
    ]
    tables = builder.add(table, builder.mul(count, I64(16 * DIGITS * NIBBLES)))
    first = builder.add(index, builder.mul(count, I64(LANES * NIBBLES)))
    where = [builder.add(first, builder.mul(stride, I64(plane))) for plane in range(planes)]
    sums = [_Plane(list(phis[:-1]), phis[-1]) for phis in before]
    _add_group(builder, tables, where, sums)
    following = builder.add(count, I64(1))
    builder.cbranch(builder.icmp_signed("<", following, groups), loop, done)
    count.add_incoming(I64(0), entry)
    count.add_incoming(following, loop)
    for phis, plane in zip(before, sums, strict=True):
        for phi, value in zip(phis, [*plane.words, plane.top], strict=True):
            phi.add_incoming(ir.Constant(phi.type, None), entry)
            phi.add_incoming(value, loop)
    builder.position_at_end(done)
    return sums


def _join_digits(builder: Any, plane: _Plane, half: int, base: Any) -> tuple[Any, Any]:
    """The sum of sixteen lanes: without its lowest ten bits and less `base`, and those bits."""
    by = _constant(WORDS, LOW_DIGIT_BITS)
    first, second, third = (plane.halves(builder, digit)[half] for digit in range(DIGITS - 1))
    second = builder.add(second, builder.lshr(first, by))
    third = builder.add(third, builder.lshr(second, by))
    top = builder.shl(_widen_bytes(builder, plane.top)[half], _constant(WORDS, 6))
    window = builder.sub(builder.add(top, third), base)
    low = [builder.and_(digit, _constant(WORDS, _LOW)) for digit in (second, first)]
    lowest = builder.or_(builder.shl(low[0], by), low[1])
    return builder.and_(window, _constant(WORDS, _WINDOW)), lowest


def _splat_word(builder: Any, address: Any) -> Any:
    """A 16-bit number from memory, in all lanes."""
    number = builder.load(builder.inttoptr(address, I16.as_pointer()), align=2)
    return _splat(builder, number, WORDS)


def _splat(builder: Any, number: Any, vector: ir.VectorType) -> Any:
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), number, I32(0))
    return take(builder, first, [0] * vector.count)


def _clamp(builder: Any, code: Any, top: Any) -> Any:
    zero = _constant(WORDS, 0)
    kept = builder.select(builder.icmp_signed(">", code, zero), code, zero)
    return builder.select(builder.icmp_signed("<", kept, top), kept, top)


def _convert_unit(builder: Any, sums: Any, numbers: list[Any]) -> tuple[Any, Any]:
    """Value of a code of step 1, and where the sum lay outside."""
    kept = _clamp(builder, sums, numbers[0])
    return kept, builder.icmp_signed("!=", kept, sums)


def _convert_steps(builder: Any, sums: Any, numbers: list[Any]) -> tuple[Any, Any]:
    """The same for any step: a product divides, and a factor of 0 stands for step 1."""
    top, factor, step = numbers
    wide = ir.VectorType(I32, WORDS.count)
    reached = builder.icmp_signed(">=", sums, _constant(WORDS, 0))
    held = builder.select(reached, sums, _constant(WORDS, 0))
    product = builder.mul(builder.zext(held, wide), builder.zext(factor, wide))
    code = builder.trunc(builder.lshr(product, _constant(wide, 16)), WORDS)
    code = builder.select(builder.icmp_unsigned("==", factor, _constant(WORDS, 0)), held, code)
    kept = builder.select(builder.icmp_unsigned("<", code, top), code, top)
    inside = builder.and_(reached, builder.icmp_unsigned("==", kept, code))
    return builder.mul(kept, step), builder.not_(inside)


def _make_converter(planes: int, *, steps: bool) -> Any:
    """An intrinsic over so many planes, one after another in weight."""

    @intrinsic
    def convert_planes(_context: Any, places: Any, numbers: Any, results: Any) -> tuple[Any, Any]:
        def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            where, (settings, shift), out = (
                cgutils.unpack_tuple(builder, part) for part in arguments
            )
            sums = _sum_planes(builder, where, planes)
            by = _splat(builder, builder.trunc(shift, I16), WORDS)
            for half in (0, 1):
                joined, outside = (builder.add(at, I64(LANES * half)) for at in out)
                total, missed = (load(builder, at, WORDS, 2) for at in (joined, outside))
                for plane in reversed(range(planes)):
                    first = builder.add(settings, I64(2 * SETTINGS * plane))
                    base, offset, *rest = (
                        _splat_word(builder, builder.add(first, I64(2 * place)))
                        for place in range(5 if steps else 3)
                    )
                    window, _ = _join_digits(builder, sums[plane], half, base)
                    scaled = builder.ashr(builder.add(window, offset), by)
                    convert = _convert_steps if steps else _convert_unit
                    value, wrong = convert(builder, scaled, rest)
                    missed = builder.sub(missed, builder.sext(wrong, WORDS))
                    total = builder.add(builder.shl(total, _constant(WORDS, 1)), value)
                store(builder, total, joined, 2)
                store(builder, missed, outside, 2)
            return context.get_dummy_value()

        return types.void(places, numbers, results), generate

    return convert_planes


SETTINGS = 8
"""Numbers of 16 bits that the setting of a conversion and a plane takes: base of the window, what
is added before the shift, largest code, what divides by the step, step; the others are not read."""

convert_two = _make_converter(2, steps=False)
"""Sums, converter of step 1 and shift-and-add of two planes of 32 vectors.

Three tuples: the addresses of the tables and of the planes, bytes from one plane to the next and
groups of `NIBBLES`; the address of the settings of the first plane and the shift; the addresses of
joined codes, which are shifted up before, and of counts of conversions outside the range.
"""

convert_one = _make_converter(1, steps=False)
"""The same for one plane."""

convert_two_steps = _make_converter(2, steps=True)
"""The same for any step."""

convert_one_steps = _make_converter(1, steps=True)
"""The same for one plane and any step."""


def _make_sums(planes: int) -> Any:
    """An intrinsic over so many planes that converts nothing."""

    @intrinsic
    def sum_planes(_context: Any, places: Any, settings: Any, out: Any) -> tuple[Any, Any]:
        def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
            where = cgutils.unpack_tuple(builder, arguments[0])
            wide = ir.VectorType(I32, WORDS.count)
            for plane, sums in enumerate(_sum_planes(builder, where, planes)):
                base = _splat_word(builder, builder.add(arguments[1], I64(2 * SETTINGS * plane)))
                for half in (0, 1):
                    window, lowest = _join_digits(builder, sums, half, base)
                    total = builder.add(builder.zext(window, wide), builder.sext(base, wide))
                    total = builder.shl(total, _constant(wide, 2 * LOW_DIGIT_BITS))
                    total = builder.add(total, builder.zext(lowest, wide))
                    place = builder.add(arguments[2], I64(4 * LANES * plane + 2 * LANES * half))
                    store(builder, total, place, 4)
            return context.get_dummy_value()

        return types.void(places, settings, out), generate

    return sum_planes


sum_two = _make_sums(2)
"""Sums of two planes of 32 vectors, in 32 bits; axes: plane, vector.

The tuple of places of `convert_two`, the address of the settings and that of the sums.
"""

sum_one = _make_sums(1)
"""The same for one plane."""

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
"""Comparisons of binary sums, 512 vectors side by side: one bit of a machine word is one vector.

A plane holds one wordline for all vectors of a block. The cells of a column only say which planes
are added up, so a sum is a chain of full adders on whole words: sixteen planes at a time go into
four planes of low bits and a carry, which ripples into the higher ones (the carry-save tree that
population counts of long bit strings use). A threshold is compared bit by bit, lowest first, and
the outcome is one more plane, added to the votes.

The adders are written as vector instructions of LLVM, which fits them to what the machine has.
`senses.py` is the typed face, and the only caller.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from xbarc.executor.lanes import AT_ONCE, LOW_BITS, WORDS
from xbarc.numerics import compiled

_compiled = compiled(error_model="numpy")

_BYTES = 32  # of a vector register of AVX2; LLVM splits it where registers are narrower

_WORD = ir.IntType(64)
_PLANE = ir.VectorType(_WORD, WORDS)
_instruction: Any = intrinsic  # its own types describe the builder, not the function built


class _Memory:
    """Planes of an array, one behind the other, as LLVM sees them."""

    def __init__(self, context: Any, builder: Any, kind: Any, array: Any) -> None:
        self.builder = builder
        self.first = context.make_array(kind)(context, builder, array).data

    def place(self, plane: Any) -> Any:
        number = plane if isinstance(plane, ir.Value) else ir.Constant(_WORD, plane)
        offset = self.builder.mul(number, ir.Constant(_WORD, WORDS))
        return self.builder.bitcast(self.builder.gep(self.first, [offset]), _PLANE.as_pointer())

    def load(self, plane: Any) -> Any:
        found = self.builder.load(self.place(plane))
        # numpy promises eight bytes; without this LLVM would assume the 64 of the vector.
        found.align = 8
        return found

    def store(self, value: Any, plane: Any) -> None:
        self.builder.store(value, self.place(plane)).align = 8


def _full_adder(builder: Any, x: Any, y: Any, z: Any) -> tuple[Any, Any]:
    """Sum and carry."""
    half = builder.xor(x, y)
    return builder.xor(half, z), builder.or_(builder.and_(x, y), builder.and_(half, z))


@_instruction
def _add_sixteen(_typing, planes, rows, _first, counts, carry):
    """Add planes `rows[first:first + 16]` to the low planes of `counts`; `carry` is worth 16."""

    def generate(context, builder, signature, arguments):
        source, numbers, target, out = (
            _Memory(context, builder, signature.args[i], arguments[i]) for i in (0, 1, 3, 4)
        )
        # The four low planes stay in registers while sixteen are added.
        low = [target.load(bit) for bit in range(LOW_BITS)]

        def tree(depth, start):
            """The carry of `2**depth` planes."""
            if not depth:
                index = builder.add(arguments[2], ir.Constant(_WORD, start))
                return source.load(builder.load(builder.gep(numbers.first, [index])))
            left, right = tree(depth - 1, start), tree(depth - 1, start + (1 << (depth - 1)))
            low[depth - 1], carried = _full_adder(builder, low[depth - 1], left, right)
            return carried

        # Fifteen adders for sixteen planes, in a tree: the longest way is four of them.
        out.store(tree(LOW_BITS, 0), 0)
        for bit in range(LOW_BITS):
            target.store(low[bit], bit)
        return context.get_dummy_value()

    return types.void(planes, rows, types.int64, counts, carry), generate


@_instruction
def _ripple(_typing, target, _plane, carry):
    """Add `carry` to a plane; it becomes the carry of that."""

    def generate(context, builder, signature, arguments):
        sums = _Memory(context, builder, signature.args[0], arguments[0])
        moved = _Memory(context, builder, signature.args[2], arguments[2])
        x, y = sums.load(arguments[1]), moved.load(0)
        sums.store(builder.xor(x, y), arguments[1])
        moved.store(builder.and_(x, y), 0)
        return context.get_dummy_value()

    return types.void(target, types.int64, carry), generate


@_instruction
def _at_least(_typing, counts, _plane, _bit, reached):
    """One bit of a comparison: what was reached below it decides where both have the same bit."""

    def generate(context, builder, signature, arguments):
        source = _Memory(context, builder, signature.args[0], arguments[0])
        kept = _Memory(context, builder, signature.args[3], arguments[3])
        count, below = source.load(arguments[1]), kept.load(0)
        both, either = builder.and_(count, below), builder.or_(count, below)
        asked = builder.icmp_signed("!=", arguments[2], ir.Constant(_WORD, 0))
        kept.store(builder.select(asked, both, either), 0)
        return context.get_dummy_value()

    return types.void(counts, types.int64, types.int64, reached), generate


@_instruction
def _set_bit(_typing, codes, _first, _mask, _bit, out):
    """Set a bit in bytes of `out`, from `first` on, where codes have the bit of the mask."""
    byte = ir.IntType(8)
    several = ir.VectorType(byte, _BYTES)

    def generate(context, builder, signature, arguments):
        source, target = (
            builder.bitcast(
                builder.gep(
                    _Memory(context, builder, signature.args[i], arguments[i]).first,
                    [arguments[1]],
                ),
                several.as_pointer(),
            )
            for i in (0, 4)
        )

        def spread(number):
            one = builder.insert_element(
                ir.Constant(several, ir.Undefined),
                builder.trunc(number, byte),
                ir.Constant(ir.IntType(32), 0),
            )
            same = ir.Constant(ir.VectorType(ir.IntType(32), _BYTES), None)
            return builder.shuffle_vector(one, ir.Constant(several, ir.Undefined), same)

        codes_, old = builder.load(source), builder.load(target)
        codes_.align = old.align = 1
        zero = ir.Constant(several, None)
        hit = builder.icmp_signed("!=", builder.and_(codes_, spread(arguments[2])), zero)
        new = builder.or_(old, builder.select(hit, spread(arguments[3]), zero))
        builder.store(new, target).align = 1
        return context.get_dummy_value()

    return types.void(codes, types.int64, types.int64, types.int64, out), generate


@_compiled
def compare(states, rows, shifts, lists, thresholds, bits, before, votes):
    """Add to `votes` how many thresholds the sums of one segment reach.

    Args:
        states: words; axes: block, state, place, word of a plane.
        rows: place of the input and mask of states of each wordline; axes: which, wordline.
        shifts: how much further each position of a window finds its places.
        lists: which planes each conversion adds up: wordlines, wordlines that are not driven,
            and one that never is; axes: conversion, a multiple of 16.
        thresholds: axes: level, conversion.
        bits: of the largest sum, at least `LOW_BITS`.
        before: how large votes can be already.
        votes: words; axes: block, position, conversion, bit, word of a plane.
    """
    planes = np.zeros((2 * rows.shape[1] + 1, WORDS), np.uint64)
    counts = np.zeros((bits, WORDS), np.uint64)
    carry = np.zeros((1, WORDS), np.uint64)
    for block in range(states.shape[0]):
        for position in range(shifts.size):
            _drive(states[block], rows, shifts[position], planes)
            for conversion in range(lists.shape[0]):
                _count(planes, lists[conversion], counts, carry)
                target = votes[block, position, conversion]
                for level in range(thresholds.shape[0]):
                    _reach(counts, thresholds[level, conversion], carry)
                    _carry_on(target, 0, before + level + 1, carry)


@_compiled
def _drive(states, rows, shift, planes):
    """Planes of wordlines, and behind them those of wordlines that are not driven."""
    count = rows.shape[1]
    for row in range(count):
        line = planes[row]
        line[:] = 0
        for state in range(states.shape[0]):
            if (rows[1, row] >> state) & 1:
                source = states[state, rows[0, row] + shift]
                for word in range(WORDS):
                    line[word] |= source[word]
        for word in range(WORDS):
            # A wordline that a column subtracts is added as its opposite, less one: the thresholds
            # hold the difference.
            planes[count + row, word] = ~line[word]


@_compiled
def _count(planes, chosen, counts, carry):
    counts[:] = 0
    for first in range(0, chosen.size, AT_ONCE):
        _add_sixteen(planes, chosen, first, counts, carry)
        _carry_on(counts, LOW_BITS, first + AT_ONCE, carry)


@_compiled
def _carry_on(target, bit, largest, carry):
    """Add a carry worth `2**bit` to sums that are at most `largest` then."""
    left = largest >> bit
    # As far as a sum can reach by now: early carries are short.
    while left and bit < target.shape[0]:
        _ripple(target, bit, carry)
        bit, left = bit + 1, left >> 1


@_compiled
def _reach(counts, threshold, reached):
    """Which sums reach a threshold; below its lowest bit that is set all do."""
    bits = counts.shape[0]
    # A threshold above the largest sum has bits that no count has, and would read past its planes.
    possible = threshold <= 0 or threshold >> bits == 0
    reached[:] = ~np.uint64(0) if possible else np.uint64(0)
    if threshold <= 0 or not possible:
        return
    bit = 0
    while (threshold >> bit) & 1 == 0:
        bit += 1
    for b in range(bit, bits):
        _at_least(counts, b, (threshold >> b) & 1, reached)


@_compiled
def pack(codes, states):
    """Which vectors each input drives, in each of its states.

    Args:
        codes: uint8, one bit a state; axes: vector, place.
        states: bytes of eight vectors each; is filled; axes: state, eight vectors, place.
    """
    states[:] = 0
    for vector in range(codes.shape[0]):
        for state in range(states.shape[0]):
            _move_bit(codes[vector], state, vector & 7, states[state, vector >> 3])


@_compiled
def _move_bit(source, bit, place, out):
    """Set a bit of `out`, bytes, where `source` has one."""
    whole = source.size // _BYTES * _BYTES
    for i in range(0, whole, _BYTES):
        _set_bit(source, i, 1 << bit, 1 << place, out)
    # What is left of the last register, byte by byte.
    for i in range(whole, source.size):
        out[i] |= np.uint8(((source[i] >> bit) & 1) << place)


@_compiled
def unpack(votes, out):
    """Votes as numbers.

    Args:
        votes: bytes of eight vectors each; axes: bit, eight vectors, conversion.
        out: is added to; axes: vector (at most as many), conversion.
    """
    byte = np.zeros(out.shape[1], np.uint8)
    for vector in range(out.shape[0]):
        line = out[vector]
        for low in range(0, votes.shape[0], 8):
            byte[:] = 0
            for bit in range(low, min(low + 8, votes.shape[0])):
                _move_bit(votes[bit, vector >> 3], vector & 7, bit - low, byte)
            for i in range(line.size):
                line[i] += np.int32(byte[i]) << low

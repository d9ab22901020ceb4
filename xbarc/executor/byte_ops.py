# mypy: disable-error-code="no-untyped-call,import-untyped"
"""The two byte instructions that LLVM has no common name for, on x86 and on ARM."""

from __future__ import annotations

from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba.core import cgutils

from xbarc.executor.lanes import LANES

ARM = llvm.get_process_triple().startswith(("aarch64", "arm64"))
"""Whether code is made for a CPU of 64-bit ARM, all of which have the table lookup of NEON."""

HAS_SHUFFLE = ARM or bool(llvm.get_host_cpu_features().get("avx2", False))
"""Whether this CPU looks up 16 bytes by 16 or more indices in one instruction."""

I8, I16, I32, I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
TABLE, BYTES = ir.VectorType(I8, 16), ir.VectorType(I8, LANES)
WORDS = ir.VectorType(I16, LANES // 2)


def call(builder: Any, name: str, result: Any, *arguments: Any) -> Any:
    """Call of a function of LLVM."""
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    function = cgutils.get_or_insert_function(builder.module, kind, name)
    return builder.call(function, list(arguments))


def take(builder: Any, value: Any, lanes: list[int]) -> Any:
    """The lanes of a vector that are named."""
    mask = ir.Constant(ir.VectorType(I32, len(lanes)), lanes)
    return builder.shuffle_vector(value, ir.Constant(value.type, ir.Undefined), mask)


def load(builder: Any, address: Any, vector: ir.VectorType, align: int) -> Any:
    """A vector from an address that is a number."""
    return builder.load(builder.inttoptr(address, vector.as_pointer()), align=align)


def store(builder: Any, value: Any, address: Any, align: int) -> None:
    """A vector to an address that is a number."""
    place = builder.inttoptr(address, value.type.as_pointer())
    builder.store(value, place, align=align)


def table_of(builder: Any, address: Any) -> Any:
    """A table of 16 bytes, as `look_up` takes it."""
    entries = load(builder, address, TABLE, 16)
    return entries if ARM else take(builder, entries, [*range(16), *range(16)])


def look_up(builder: Any, table: Any, where: Any) -> Any:
    """Entries of a table at 32 indices from 0 to 15."""
    if not ARM:
        return call(builder, "llvm.x86.avx2.pshuf.b", BYTES, table, where)
    halves = (take(builder, where, list(range(first, first + 16))) for first in (0, 16))
    found = [call(builder, "llvm.aarch64.neon.tbl1.v16i8", TABLE, table, half) for half in halves]
    mask = ir.Constant(ir.VectorType(I32, LANES), list(range(LANES)))
    return builder.shuffle_vector(*found, mask)


def join_pairs(builder: Any, code: Any) -> Any:
    """Even lanes and twice the odd ones, as 16 bits."""
    if not ARM:
        weights = ir.Constant(BYTES, [1, 2] * (LANES // 2))
        return call(builder, "llvm.x86.avx2.pmadd.ub.sw", WORDS, code, weights)
    words = builder.bitcast(code, WORDS)
    even = builder.and_(words, ir.Constant(WORDS, [255] * WORDS.count))
    odd = builder.lshr(words, ir.Constant(WORDS, [8] * WORDS.count))
    return builder.add(even, builder.shl(odd, ir.Constant(WORDS, [1] * WORDS.count)))

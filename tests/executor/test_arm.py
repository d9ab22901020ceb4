# mypy: disable-error-code="no-untyped-call"
"""The loops of bytes as machine code for ARM: cross-compiled, and run by an emulator.

Needs a cross compiler and an emulator: `apt-get install gcc-aarch64-linux-gnu qemu-user`.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import pytest
from llvmlite import ir
from numba import types

from xbarc.executor import byte_ops, byte_sums, digit_sums, shuffle
from xbarc.executor.lanes import DIGITS, LANES, NIBBLES
from xbarc.executor.sliced import _magic_of, _tables_of_four
from xbarc.numerics.types import AnyArray

TRIPLE = "aarch64-linux-gnu"
_COMPILER, _EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64"
GROUPS, CASES = 4, 64
COUNT = GROUPS * NIBBLES

MAIN = """
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
void bytes(uintptr_t, uintptr_t, uintptr_t, intptr_t, intptr_t, uintptr_t, uintptr_t,
           int32_t, int32_t);
void steps(uintptr_t, uintptr_t, uintptr_t, intptr_t, intptr_t, uintptr_t, uintptr_t,
           int32_t, int32_t, int32_t, int32_t);
void sums(uintptr_t, uintptr_t, intptr_t, int32_t, uintptr_t);
static uint8_t tables[4096] __attribute__((aligned(64)));
static uint8_t planes[4 * %(count)d * 32] __attribute__((aligned(64)));
static uint8_t wide[%(count)d * 16] __attribute__((aligned(64)));
static uint16_t numbers[%(count)d], joined[16];
static uint8_t inside[32];
static int32_t total[32];
static void need(size_t found) { if (!found) exit(3); }
int main(void) {
  int32_t n[5];
  need(fread(tables, 1, sizeof tables, stdin));
  while (fread(n, 4, 5, stdin) == 5) {
    need(fread(numbers, 2, %(count)d, stdin));
    need(fread(planes, 1, sizeof planes, stdin));
    for (int i = 0; i < 32; i++) { inside[i] = 0; total[i] = i; }
    uintptr_t t = (uintptr_t)tables, c = (uintptr_t)numbers, p = (uintptr_t)planes;
    if (n[1] == 1)
      bytes(t, c, p, %(count)d * 32, %(groups)d, (uintptr_t)joined, (uintptr_t)inside, n[0], n[4]);
    else
      steps(t, c, p, %(count)d * 32, %(groups)d, (uintptr_t)joined, (uintptr_t)inside,
            n[0], n[1], n[2], n[3]);
    for (int i = 0; i < %(count)d; i++)
      for (int e = 0; e < 16; e++) wide[16 * i + e] = tables[16 * numbers[i] + e];
    sums((uintptr_t)wide, p, %(groups)d, 2, (uintptr_t)total);
    fwrite(joined, 2, 16, stdout);
    fwrite(inside, 1, 32, stdout);
    fwrite(total, 4, 32, stdout);
  }
  return 0;
}
"""


REAL = """
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
void real(uintptr_t, uintptr_t, intptr_t, intptr_t, uintptr_t, uintptr_t);
static uint8_t tables[%(count)d * 64] __attribute__((aligned(64)));
static uint8_t planes[2 * %(count)d * 32] __attribute__((aligned(64)));
static int16_t settings[16];
static int32_t sums[64];
int main(void) {
  while (fread(tables, 1, sizeof tables, stdin) == sizeof tables) {
    if (fread(planes, 1, sizeof planes, stdin) != sizeof planes) exit(3);
    if (fread(settings, 2, 16, stdin) != 16) exit(3);
    real((uintptr_t)tables, (uintptr_t)planes, %(count)d * 32, %(groups)d, (uintptr_t)settings,
         (uintptr_t)sums);
    fwrite(sums, 4, 64, stdout);
  }
  return 0;
}
"""


class _Context:
    """What an intrinsic asks of numba's compiler."""

    def get_dummy_value(self) -> None:
        return None


_BITS = {types.uintp: 64, types.intp: 64, types.int32: 32}
_PLACES = types.UniTuple(types.intp, 7)
_ADDRESSES = types.UniTuple(types.intp, 4)
_NUMBERS = {count: types.UniTuple(types.int32, count) for count in (2, 4)}


def _emit(module: ir.Module, name: str, intrinsic: Any, *kinds: Any) -> None:
    """A plain function with the body of an intrinsic; entries of a tuple are arguments."""
    given = kinds or [None] * intrinsic._defn.__code__.co_argcount
    signature, generate = intrinsic._defn(*([None] if kinds else []), *given)
    flat = [kind for part in signature.args for kind in getattr(part, "types", (part,))]
    parts = [ir.IntType(_BITS[kind]) for kind in flat]
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), parts), name)
    builder = ir.IRBuilder(function.append_basic_block())
    left = list(function.args)
    generate(
        _Context(), builder, signature, [_taken(builder, part, left) for part in signature.args]
    )
    builder.ret_void()


def _taken(builder: Any, kind: Any, left: list[Any]) -> Any:
    """The next argument, or as many as a tuple takes."""
    if not isinstance(kind, types.UniTuple):
        return left.pop(0)
    found = ir.Constant(ir.ArrayType(left[0].type, kind.count), ir.Undefined)
    for place in range(kind.count):
        found = builder.insert_value(found, left.pop(0), place)
    return found


def _object() -> tuple[bytes, str]:
    module = ir.Module("loops")
    module.triple = TRIPLE
    _emit(module, "bytes", byte_sums.sum_and_convert, _PLACES, _NUMBERS[2])
    _emit(module, "steps", byte_sums.sum_and_convert_steps, _PLACES, _NUMBERS[4])
    _emit(module, "sums", shuffle.add_sums)
    _emit(module, "real", digit_sums.sum_two, _ADDRESSES, types.intp, types.intp)
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    machine = llvm.Target.from_triple(TRIPLE).create_target_machine(opt=3, reloc="pic")
    parsed = llvm.parse_assembly(str(module))
    return machine.emit_object(parsed), machine.emit_assembly(parsed)


def test_arm_looks_tables_up_in_one_instruction(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(byte_ops, "ARM", True)
    text = _object()[1]
    assert text.count("\ttbl\t") >= 2 * NIBBLES * (2 * byte_sums.PAIRS + 1)
    assert "uqadd" in text


@pytest.mark.slow
@pytest.mark.skipif(
    not (shutil.which(_COMPILER) and shutil.which(_EMULATOR)), reason=f"needs {_EMULATOR}"
)
def test_arm_computes_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(byte_ops, "ARM", True)
    rng = np.random.default_rng(0)
    tables = _tables_of_four(2)
    given, wanted = [tables.tobytes()], b""
    for case in range(CASES):
        step = 1 if case % 2 else int(rng.integers(2, 9))
        lo, top = int(rng.integers(0, 60)), int(rng.integers(0, (254 - 60) // step))
        magic = int(_magic_of(np.array([step]))[0][0])
        numbers = rng.integers(0, 256, COUNT).astype(np.uint16)
        planes = rng.integers(0, 16, (byte_sums.PAIRS, COUNT, LANES)).astype(np.uint8)
        settings = np.array([lo, step, top, magic, lo + top], dtype=np.int32)
        given.append(settings.tobytes() + numbers.tobytes() + planes.tobytes())
        wanted += _right(tables, numbers, planes, (lo, step, top))
    assert _emulate(tmp_path, MAIN, b"".join(given)) == wanted


def _emulate(folder: Path, main: str, given: bytes) -> bytes:
    """What a program around the loops prints."""
    (folder / "loops.o").write_bytes(_object()[0])
    (folder / "main.c").write_text(main % {"count": COUNT, "groups": GROUPS})
    command = [_COMPILER, "-O2", "-static", "main.c", "loops.o", "-o", "loops"]
    subprocess.run(command, cwd=folder, check=True)
    run = subprocess.run(
        [_EMULATOR, "loops"], cwd=folder, input=given, capture_output=True, check=True
    )
    return run.stdout


@pytest.mark.slow
@pytest.mark.skipif(
    not (shutil.which(_COMPILER) and shutil.which(_EMULATOR)), reason=f"needs {_EMULATOR}"
)
def test_arm_adds_real_cells_to_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(byte_ops, "ARM", True)
    rng = np.random.default_rng(1)
    given, wanted = [], b""
    for low in rng.integers(-9000, 9000, CASES):
        # Sums of 32 tables that span less than the window of 2**24, wherever it lies.
        entries = rng.integers(0, (1 << 24) // COUNT - 40, (COUNT, 16)) + (int(low) << 10) // COUNT
        digits = [entries & 31, entries >> 5 & 31, entries >> 10 & 63, entries >> 16 & 255]
        tables = np.stack(digits, axis=1).astype(np.uint8)
        assert tables.shape == (COUNT, DIGITS, 16)
        planes = rng.integers(0, 16, (2, COUNT, LANES)).astype(np.uint8)
        base = np.full((2, digit_sums.SETTINGS), int(low) - 1, dtype=np.int16)
        given += [tables.tobytes(), planes.tobytes(), base.tobytes()]
        sums = entries[np.arange(COUNT)[:, None], planes].sum(axis=1)
        by_vector = sums.reshape(2, LANES // 2, 2).transpose(0, 2, 1)  # even lanes, then odd ones
        wanted += by_vector.astype(np.int32).tobytes()
    assert _emulate(tmp_path, REAL, b"".join(given)) == wanted


def _right(
    tables: AnyArray, numbers: AnyArray, planes: AnyArray, numbers_of: tuple[int, int, int]
) -> bytes:
    """Joined codes, counts inside the range and sums, in plain numpy."""
    lo, step, top = numbers_of
    rows = np.arange(COUNT)[None, :, None]
    sums = tables[numbers].astype(np.int64)[rows, planes].sum(axis=1)
    code = (2 * (sums - lo) + step) // (2 * step)
    kept = np.clip(code, 0, top)
    weight = np.array([1, 2])[None, None, :] << 2 * np.arange(byte_sums.PAIRS)[:, None, None]
    value = ((kept * step + lo).reshape(-1, LANES // 2, 2) * weight).sum(axis=(0, 2))
    inside = (kept == code).sum(axis=0)
    by_vector = sums[0].reshape(LANES // 2, 2).T.reshape(-1)  # even lanes, then odd ones
    total = np.arange(LANES) + (by_vector << 2)
    parts = (value.astype(np.uint16), inside.astype(np.uint8), total.astype(np.int32))
    return b"".join(part.tobytes() for part in parts)

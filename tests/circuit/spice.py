"""Arrays with wires as ngspice solves them."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from xbarc.circuit.lines import LineModel
from xbarc.numerics.types import AnyArray, Float64Array

COMMAND = "ngspice"


def spice_currents(cells: AnyArray, lines: LineModel, volts: AnyArray) -> Float64Array:
    """Amperes into the sense terminals, by ngspice: one copy of the array for each drive.

    Args:
        cells: siemens, above zero; axes: row, column.
        lines: the wires; resistances above zero.
        volts: axes: drive, row.

    Returns:
        Axes: drive, column.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        netlist = "\n".join(_netlist(cells, lines, volts)) + "\n"
        (folder / "array.cir").write_text(netlist, encoding="ascii")
        command = [COMMAND, "-b", "-r", "array.raw", "array.cir"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=300)
        found = _read_currents((folder / "array.raw").read_bytes())
    return found.reshape(len(volts), cells.shape[1])


def _netlist(cells: AnyArray, lines: LineModel, volts: AnyArray) -> Iterator[str]:
    rows, columns = cells.shape
    yield "array with wires"
    # Newton's steps end on these; the circuit is linear, so the first step is the solution.
    yield ".options reltol=1e-12 abstol=1e-30 vntol=1e-20 noacct"
    drivers, senses = [f"d{i}" for i in range(rows)], [f"s{j}" for j in range(columns)]
    yield f".subckt array {' '.join(drivers + senses)}"
    yield from _resistors(cells, lines)
    yield ".ends"
    for copy, drive in enumerate(volts):
        inputs = [f"i{copy}_{i}" for i in range(rows)]
        ends = [f"e{copy}_{j}" for j in range(columns)]
        yield f"x{copy} {' '.join(inputs + ends)} array"
        for name, value in zip(inputs, drive, strict=True):
            yield f"v{name} {name} 0 {float(value)!r}"
        for name in ends:
            yield f"v{name} {name} 0 0"
    yield ".op"
    yield ".save " + " ".join(f"i(ve{i}_{j})" for i in range(len(volts)) for j in range(columns))
    yield ".end"


def _resistors(cells: AnyArray, lines: LineModel) -> Iterator[str]:
    rows, columns = cells.shape
    for i, j in np.ndindex(rows, columns):
        before = f"w{i}_{j - 1}" if j else f"d{i}"
        after = f"b{i + 1}_{j}" if i + 1 < rows else f"s{j}"
        word = lines.wordline if j else lines.driver_path
        bit = lines.bitline if i + 1 < rows else lines.sense_path
        yield f"rw{i}_{j} {before} w{i}_{j} {word!r}"
        yield f"rb{i}_{j} b{i}_{j} {after} {bit!r}"
        yield f"rc{i}_{j} w{i}_{j} b{i}_{j} {float(1 / cells[i, j])!r}"
        if lines.both_drivers and j + 1 == columns:
            yield f"rf{i} d{i} w{i}_{j} {lines.driver_path!r}"
        if lines.both_senses and not i:
            yield f"rg{j} s{j} b{i}_{j} {lines.sense_path!r}"


def _read_currents(raw: bytes) -> Float64Array:
    """Currents of one point, copy by copy and column by column."""
    head, _, values = raw.partition(b"Binary:\n")
    names = re.findall(rb"^\t\d+\ti\(ve(\d+)_(\d+)\)\t", head, re.MULTILINE)
    found = np.frombuffer(values, np.float64)
    if not names or len(names) != len(found):
        raise ValueError(f"not what was asked for: {head.decode(errors='replace')}")
    order = sorted(range(len(names)), key=lambda at: tuple(map(int, names[at])))
    return np.asarray(found[order])

"""Saving and loading programs. A program is a directory that is either whole or not there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel
from safetensors import SafetensorError
from safetensors.numpy import save_file

from xbarc.errors import ProgramError
from xbarc.ir.files.arrays import hold_arrays, names_of
from xbarc.ir.files.folder import MANIFEST, check_replaceable, whole_directory
from xbarc.ir.files.manifest import (
    UNSEALED,
    check_files,
    file_digest,
    read_manifest,
    write_manifest,
)
from xbarc.ir.files.records import (
    facts_of,
    facts_record,
    optional_arrays,
    result_of,
    result_record,
    sense_of,
    value_of,
    value_record,
)
from xbarc.ir.files.schema import (
    ARRAYS,
    FORMAT,
    CrossbarRecord,
    DigitalRecord,
    ProgramRecord,
    SenseRecord,
    SourceRecord,
)
from xbarc.ir.files.views import open_arrays
from xbarc.ir.network import DigitalFragment, ModelSource
from xbarc.ir.program import AdcSettings, CrossbarStep, Periphery, Program, Step, Tiling
from xbarc.ir.quantizers import FloatResult, IntegerResult, RequantizedResult, SignResult
from xbarc.ir.verify import check_program
from xbarc.numerics import AnyArray, PackedCells, packed_bytes

# A load takes longer than the two renames of a save, so that one more try should meet a whole
# program; the rest is for saves that follow each other.
_TRIES = 20
_APART = {
    "kind",
    "result",
    "cell_bits",
    "columns",
    "adc_policy",
    "adc_notes",
    "adc_solved",
    "sense",
    "facts",
    "file",
}
"""Keys of a record that stand elsewhere in a step, or in another form."""


def save_program(
    program: Program,
    path: Path,
    extra: Mapping[str, bytes] | None = None,
    *,
    counted_by: str = "",
) -> None:
    """Write a program as a directory, whole or not at all.

    Args:
        program: what to write.
        path: the directory; an older program there is replaced, anything else is refused.
        extra: further files by name, such as the report.
        counted_by: version of xbarc that made `report.json` among them with the target's own
            figures, so that it need not be counted again; empty where it was made otherwise.

    Raises:
        ProgramError: `path` is something else than a program, or cannot be written.
    """
    check_replaceable(path)
    with whole_directory(path) as folder:
        _write_files(program, folder, extra or {}, counted_by)


def load_program(path: Path) -> Program:
    """Read a program; large arrays stay on disk until they are touched.

    A program that is replaced meanwhile is read again, so that all of it is the old one or the new.

    Raises:
        ProgramError: names the file that is missing, damaged or of another format.
    """
    for _ in range(_TRIES):
        # An error counts only where the folder is the same afterwards: of a replaced one some files
        # were old and some new.
        before = _identity(path)
        try:
            program = _read_program(path)
        except ProgramError:
            if _identity(path) == before:
                raise
        else:
            if _identity(path) == before:
                return program
    raise ProgramError(
        f"was replaced {_TRIES} times while it was read", where=str(path), hint="try again"
    )


def _identity(path: Path) -> tuple[int, ...] | None:
    """Numbers that change when another folder takes this place; None where there is none."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino, found.st_ctime_ns


def _read_program(path: Path) -> Program:
    record = read_manifest(path)
    check_files(path, record)
    arrays = open_arrays(path / ARRAYS)
    try:
        steps = tuple(
            _load_step(path, arrays, index, step) for index, step in enumerate(record.steps)
        )
    except KeyError as error:
        raise ProgramError(f"lacks the array {error}", where=str(path / ARRAYS)) from error
    except (OSError, ValueError) as error:
        raise ProgramError(
            f"does not hold what program.json says: {error}", where=str(path / ARRAYS)
        ) from error
    program = Program(
        name=record.name,
        source=ModelSource(record.source.path, record.source.sha256),
        target=record.target,
        inputs=tuple(value_of(item) for item in record.inputs),
        outputs=tuple(value_of(item) for item in record.outputs),
        steps=steps,
        arrays=record.arrays,
        settings=tuple(record.settings),
        front=tuple(record.front),
        rows=tuple(record.rows),
    )
    check_program(program, str(path))
    return program


def _write_files(
    program: Program, folder: Path, extra: Mapping[str, bytes], counted_by: str
) -> None:
    names: list[str] = []
    (folder / "digital").mkdir()
    for index, step in enumerate(program.steps):
        if isinstance(step, DigitalFragment):
            name = f"digital/{index:05d}.onnx"
            (folder / name).write_bytes(step.model)
            names.append(name)
    try:
        save_file(_arrays(program), folder / ARRAYS, metadata={"format": str(FORMAT)})
    except SafetensorError as error:
        raise ProgramError(f"cannot be written: {error}", where=ARRAYS) from error
    names.append(ARRAYS)
    for name, data in sorted(extra.items()):
        (folder / name).write_bytes(data)
        names.append(name)
    files = {name: file_digest(folder / name) for name in sorted(names)}
    write_manifest(_record(program, files), folder, counted_by)


def _arrays(program: Program) -> dict[str, AnyArray]:
    arrays: dict[str, AnyArray] = {}
    for index, step in enumerate(program.steps):
        if isinstance(step, CrossbarStep):
            for name, array in step_arrays(step).items():
                arrays[f"{index:05d}.{name}"] = np.ascontiguousarray(array)
    return arrays


def step_arrays(step: CrossbarStep) -> dict[str, AnyArray]:
    """The arrays of a crossbar step by name, as `load_crossbar` takes them."""
    arrays: dict[str, AnyArray] = {"cells": step.cells.data}
    arrays.update({f"tiling.{name}": getattr(step.tiling, name) for name in names_of("tiling")})
    if step.tiling.column_order is not None:
        arrays["tiling.column_order"] = step.tiling.column_order
    arrays.update(
        {f"periphery.{name}": getattr(step.periphery, name) for name in names_of("periphery")}
    )
    if step.periphery.column_scale is not None:
        arrays["periphery.column_scale"] = step.periphery.column_scale
    arrays.update({f"adc.{name}": getattr(step.adc, name) for name in names_of("adc")})
    arrays |= optional_arrays(step)
    match step.result:
        case SignResult():
            arrays |= {"sign.threshold": step.result.threshold, "sign.flip": step.result.flip}
        case FloatResult():
            arrays |= {"result.scale": step.result.scale, "result.bias": step.result.bias}
        case RequantizedResult():
            arrays |= {"result.multiplier": step.result.multiplier}
        case IntegerResult():
            pass
    if step.equalised is not None:
        arrays["result.equalised"] = step.equalised
    return arrays


def _record(program: Program, files: dict[str, str]) -> ProgramRecord:
    return ProgramRecord(
        format=FORMAT,
        name=program.name,
        source=SourceRecord(path=program.source.path, sha256=program.source.sha256),
        target=program.target,
        files=files,
        reported=None,
        seal=UNSEALED,
        **mapping_fields(program),
    )


def mapping_fields(program: Program) -> dict[str, Any]:
    """What a program says of its mapping, whatever file it stands in."""
    return {
        "inputs": [value_record(value) for value in program.inputs],
        "outputs": [value_record(value) for value in program.outputs],
        "steps": [step_record(index, step) for index, step in enumerate(program.steps)],
        "arrays": program.arrays,
        "settings": list(program.settings),
        "front": list(program.front),
        "rows": list(program.rows),
    }


def step_record(index: int, step: Step) -> CrossbarRecord | DigitalRecord:
    """Everything of a step but its arrays, or its model."""
    if isinstance(step, DigitalFragment):
        return DigitalRecord(**_same(step, DigitalRecord), file=f"digital/{index:05d}.onnx")
    return CrossbarRecord(
        **_same(step, CrossbarRecord),
        result=result_record(step.result),
        cell_bits=step.cells.bits,
        columns=step.cells.columns,
        adc_policy=step.adc.policy,
        adc_notes=step.adc.notes,
        adc_solved=step.adc.solved,
        sense=None if step.sense is None else SenseRecord(value=step.sense.value),
        facts=None if step.facts is None else facts_record(step.facts),
    )


def _same(source: Step | CrossbarRecord | DigitalRecord, record: type[BaseModel]) -> dict[str, Any]:
    """Fields that a step and its record hold under the same name."""
    return {name: getattr(source, name) for name in record.model_fields if name not in _APART}


def _load_step(
    path: Path, arrays: Mapping[str, AnyArray], index: int, record: CrossbarRecord | DigitalRecord
) -> Step:
    if isinstance(record, DigitalRecord):
        return load_fragment(record, (path / record.file).read_bytes())
    own = {
        name.removeprefix(f"{index:05d}."): array
        for name, array in arrays.items()
        if name.startswith(f"{index:05d}.")
    }
    return load_crossbar(record, own)


def load_fragment(record: DigitalRecord, model: bytes) -> DigitalFragment:
    """Build a digital step from its record and its model."""
    return DigitalFragment(**_same(record, DigitalRecord), model=model)


def load_crossbar(record: CrossbarRecord, own: Mapping[str, AnyArray]) -> CrossbarStep:
    """Build a crossbar step from its record and its arrays.

    Raises:
        KeyError: an array is missing.
        ValueError: an array does not fit.
    """
    # A file may hold any integer type; engines index with the types that the compiler writes.
    own = hold_arrays(record.name, own)
    data = own["cells"]
    if data.shape[2] != packed_bytes(record.columns, record.cell_bits):
        raise ValueError(f"{record.name}: cells have the wrong width")
    adc = {name: own[f"adc.{name}"] for name in names_of("adc")}
    found = (record.adc_notes, record.adc_solved)
    return CrossbarStep(
        **_same(record, CrossbarRecord),
        result=result_of(record.result, own),
        tiling=Tiling(
            **{name: own[f"tiling.{name}"] for name in names_of("tiling")},
            column_order=own.get("tiling.column_order"),
        ),
        cells=PackedCells(data, record.cell_bits, record.columns),
        periphery=Periphery(
            **{name: own[f"periphery.{name}"] for name in names_of("periphery")},
            column_scale=own.get("periphery.column_scale"),
        ),
        adc=AdcSettings(adc["bits"], adc["lo"], adc["step"], record.adc_policy, *found),
        equalised=own.get("result.equalised"),
        sense=sense_of(record.sense, own),
        facts=facts_of(record.facts, own),
    )


def is_program(path: Path) -> bool:
    """Whether a path looks like a program."""
    return (path / MANIFEST).is_file()

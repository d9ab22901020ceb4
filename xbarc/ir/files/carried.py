"""A program as text that a model of the same network carries: JSON with its arrays packed into it.

What integers cannot say is in it: levels of cells where several give one weight, the order and
signs of chains, converters, places. What the model says itself is not: constants of digital
fragments are left to the caller, the target is named by what cells and converters depend on.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from collections.abc import Callable, Mapping
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load, save

from xbarc.errors import ProgramError
from xbarc.ir.files.programs import load_crossbar, load_fragment, mapping_fields, step_arrays
from xbarc.ir.files.records import value_of
from xbarc.ir.files.schema import (
    Count,
    CrossbarRecord,
    Digest,
    DigitalRecord,
    StrictRecord,
    Text,
    ValueRecord,
)
from xbarc.ir.network import DigitalFragment, ModelSource
from xbarc.ir.pareto import FrontPoint, RowsPoint
from xbarc.ir.program import Program, Step
from xbarc.ir.verify import check_program
from xbarc.numerics import AnyArray, limit_in_words, memory_limit, show_size
from xbarc.target import Target

CARRIED_KEY = "xbarc.mapping"
"""Key of the metadata under which a model carries its mapping."""

# History: 1  first format
_FORMAT: Literal[1] = 1
_MODEL = "model"
# zlib's own default: 9 makes cells 0.1 % smaller and takes twice the time.
_LEVEL = 6


class HardwareRecord(StrictRecord):
    """What of a target cells and converters depend on."""

    rows: Count
    columns: Count
    active_rows: Count
    spare_columns: Count
    cell_bits: Count
    dac_bits: Count
    adc_kind: Text
    adc_max_bits: Count
    columns_per_adc: Count
    adc_reference: Text


class CarriedRecord(StrictRecord):
    """The whole text."""

    format: Literal[1]
    hardware: HardwareRecord
    inputs: list[ValueRecord]
    outputs: list[ValueRecord]
    steps: list[Annotated[CrossbarRecord | DigitalRecord, Field(discriminator="kind")]]
    arrays: Count
    settings: list[tuple[Text, Text]]
    front: list[FrontPoint]
    rows: list[RowsPoint]
    size: Count
    digest: Digest
    packed: Text


def pack_program(program: Program, strip: Callable[[bytes], bytes]) -> str:
    """A program as text; the same program gives the same text.

    Args:
        program: what to carry.
        strip: takes what the model holds anyway out of a digital fragment.
    """
    arrays: dict[str, AnyArray] = {}
    for index, step in enumerate(program.steps):
        own = (
            {_MODEL: np.frombuffer(strip(step.model), np.uint8)}
            if isinstance(step, DigitalFragment)
            else step_arrays(step)
        )
        arrays |= {f"{index:05d}.{k}": np.ascontiguousarray(v) for k, v in own.items()}
    data = save(arrays)
    record = CarriedRecord(
        format=_FORMAT,
        hardware=_hardware(program.target),
        size=len(data),
        digest=hashlib.sha256(data).hexdigest(),
        packed=base64.b64encode(zlib.compress(data, _LEVEL)).decode("ascii"),
        **mapping_fields(program),
    )
    return record.model_dump_json()


def unpack_program(text: str, target: Target, restore: Callable[[bytes], bytes]) -> Program:
    """The program that a text holds, checked as one from a file is; its source stays empty.

    Args:
        text: from outside.
        target: what is compiled for.
        restore: puts back what `strip` took out of a digital fragment.

    Raises:
        ProgramError: the text is damaged or of another format, or was made for other hardware.
    """
    try:
        record = CarriedRecord.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ProgramError(f"{place}: {first['msg']}", where=CARRIED_KEY) from error
    _check_hardware(record.hardware, _hardware(target))
    arrays = _unpack_arrays(record)
    try:
        steps = tuple(
            _load_step(step, arrays[f"{index:05d}"], restore)
            for index, step in enumerate(record.steps)
        )
    except KeyError as error:
        raise ProgramError(f"lacks the array {error}", where=CARRIED_KEY) from error
    except ValueError as error:
        raise ProgramError(f"holds arrays that do not fit: {error}", where=CARRIED_KEY) from error
    program = Program(
        name=CARRIED_KEY,
        source=ModelSource("", "0" * 64),
        target=target,
        inputs=tuple(value_of(item) for item in record.inputs),
        outputs=tuple(value_of(item) for item in record.outputs),
        steps=steps,
        arrays=record.arrays,
        settings=tuple(record.settings),
        front=tuple(record.front),
        rows=tuple(record.rows),
    )
    check_program(program, CARRIED_KEY)
    return program


def _hardware(target: Target) -> HardwareRecord:
    array, adc = target.array, target.adc
    return HardwareRecord(
        rows=array.rows,
        columns=array.columns,
        active_rows=array.active_rows,
        spare_columns=array.spare_columns,
        cell_bits=target.cell.bits,
        dac_bits=target.input.dac_bits,
        adc_kind=adc.kind,
        adc_max_bits=adc.max_bits,
        columns_per_adc=adc.columns_per_adc,
        adc_reference=adc.reference,
    )


def _check_hardware(carried: HardwareRecord, wanted: HardwareRecord) -> None:
    other = wanted.model_dump()
    differ = [
        f"{name} {value}, the target has {other[name]}"
        for name, value in carried.model_dump().items()
        if value != other[name]
    ]
    if differ:
        raise ProgramError(f"was made for another target: {'; '.join(differ)}", where=CARRIED_KEY)


def _unpack_arrays(record: CarriedRecord) -> Mapping[str, Mapping[str, AnyArray]]:
    """Arrays by name, by the number of their step.

    Raises:
        ProgramError: they are damaged, or larger than memory.
    """
    if record.size > memory_limit():
        raise ProgramError(
            f"holds {show_size(record.size)} of arrays, {limit_in_words()}", where=CARRIED_KEY
        )
    try:
        packed = base64.b64decode(record.packed, validate=True)
        # never more than is declared: a few bytes may unpack to terabytes
        data = zlib.decompressobj().decompress(packed, record.size + 1)
        if len(data) != record.size or hashlib.sha256(data).hexdigest() != record.digest:
            raise ProgramError("is damaged: its digest differs", where=CARRIED_KEY)
        arrays = load(data)
    except (binascii.Error, zlib.error, SafetensorError, KeyError, ValueError) as error:
        raise ProgramError(f"is damaged: {error}", where=CARRIED_KEY) from error
    found: dict[str, dict[str, AnyArray]] = {
        f"{index:05d}": {} for index in range(len(record.steps))
    }
    for name, array in arrays.items():
        number, _, own = name.partition(".")
        found.setdefault(number, {})[own] = array
    return found


def _load_step(
    record: CrossbarRecord | DigitalRecord,
    own: Mapping[str, AnyArray],
    restore: Callable[[bytes], bytes],
) -> Step:
    if isinstance(record, CrossbarRecord):
        return load_crossbar(record, own)
    return load_fragment(record, restore(own[_MODEL].tobytes()))

"""One matrix layer with integer weights and a chosen quantiser onto crossbars."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from xbarc.errors import MappingError
from xbarc.ir.geometry import Scatter
from xbarc.ir.network import IntWeight, MatrixLayer
from xbarc.ir.program import (
    AdcSettings,
    CrossbarStep,
    Periphery,
    Tiling,
    encode_r,
    read_only,
)
from xbarc.ir.quantize import FloatInput
from xbarc.mapping.adc import adc_settings
from xbarc.mapping.encodings import Encoded, Encoding, Pattern, find_encoding
from xbarc.mapping.options import MapOptions
from xbarc.mapping.pack import ArrayPool
from xbarc.mapping.tiling import Cut, cut_columns, row_bounds, segment_bounds
from xbarc.numerics import PackedCells, pack_cells
from xbarc.numerics.packing import packed_bytes
from xbarc.numerics.types import AnyArray, Int64Array, IntArray
from xbarc.target import Target

_CHUNK_CELLS = 1 << 23


@dataclass(frozen=True, eq=False)
class _Job:
    """What the functions below share."""

    weights: IntArray
    weight_bits: int
    slices: int
    encoding: Encoding
    cell_bits: int
    bounds: IntArray
    cut: Cut


def map_layer(
    layer: MatrixLayer, target: Target, options: MapOptions, pool: ArrayPool
) -> CrossbarStep:
    """Cells, periphery and ADC settings of a layer.

    Args:
        layer: integer weights; the input's range is chosen.
        target: the chip.
        options: encoding, ADC policy, tiling.
        pool: hands out physical arrays.

    Raises:
        MappingError: the layer cannot be mapped; the message says why and what would help.
    """
    job = _job(layer, target, options)
    cells, r_values = _encode(job)
    tiling = _tiling(job, target, pool)
    step = CrossbarStep(
        name=layer.name,
        operator=layer.operator,
        input=layer.input,
        output=layer.output,
        geometry=layer.geometry,
        quantizer=layer.quantizer,
        result=layer.result,
        tiling=tiling,
        cells=cells,
        periphery=_periphery(layer, job, r_values),
        adc=_no_adc(),
        input_bits=_input_bits(layer),
        dac_bits=target.input.dac_bits,
        encoding=job.encoding.name,
        weight_bits=job.weight_bits,
        weight_slices=job.slices,
        inputs=layer.rows,
        outputs=layer.outputs,
        input_shape=layer.input_shape,
    )
    return replace(step, adc=adc_settings(step, target, options.adc))


def _job(layer: MatrixLayer, target: Target, options: MapOptions) -> _Job:
    if not isinstance(layer.weight, IntWeight):
        raise MappingError("weights are not integers yet", where=layer.name)
    encoding = find_encoding(options.encoding)
    weights = np.asarray(layer.weight.tensor.load())
    bits = layer.weight.format.bits + (not layer.weight.format.signed)
    low, high = int(weights.min(initial=0)), int(weights.max(initial=0))
    slices = encoding.slices(low, high, bits, target.cell.bits)
    bounds = row_bounds(layer.rows, target.array, options.tile)
    cut = cut_columns(layer.outputs, slices, encoding, target.array, options.tile, layer.name)
    return _Job(weights, bits, slices, encoding, target.cell.bits, bounds, cut)


def _input_bits(layer: MatrixLayer) -> int:
    if isinstance(layer.quantizer, FloatInput):
        raise MappingError("the range of the input was never chosen", where=layer.name)
    return layer.quantizer.bits


def _no_adc() -> AdcSettings:
    one = np.ones((1, 1, 1, 1), dtype=np.int32)
    return AdcSettings(one.astype(np.uint8), one - 1, one, "lossless")


def _parts(job: _Job) -> list[tuple[int, int]]:
    """Blocks of like size: how many, and outputs of each; the smaller last block apart."""
    sizes = job.cut.outputs
    same = sum(size == sizes[0] for size in sizes)
    rest = [(1, sizes[-1])] if same < len(sizes) else []
    return [(same, sizes[0]), *rest]


def _encode(job: _Job) -> tuple[PackedCells, list[Int64Array]]:
    """Cells, packed as they are made, and entries of `R` of each part over all row blocks."""
    groups, rows, _ = job.weights.shape
    columns = int(job.cut.column_bounds[-1])
    packed = np.empty((groups, rows, packed_bytes(columns, job.cell_bits)), dtype=np.uint8)
    collected: list[list[Int64Array]] = [[] for _ in _parts(job)]
    for first, last in _row_chunks(job, columns):
        pieces = _encode_rows(job, first, last)
        for found, piece in zip(collected, pieces, strict=True):
            found.append(piece.r_value)
        row0, row1 = int(job.bounds[first]), int(job.bounds[last])
        flat = [piece.cells.reshape(groups, row1 - row0, -1) for piece in pieces]
        packed[:, row0:row1] = pack_cells(np.concatenate(flat, axis=2), job.cell_bits).data
    values = [
        found[0] if found[0].shape[1] == 1 and _constant(found) else np.concatenate(found, axis=1)
        for found in collected
    ]
    return PackedCells(read_only(packed), job.cell_bits, columns), values


def _constant(found: list[Int64Array]) -> bool:
    """Whether an encoding gave the same entries for every row block (an axis of length 1)."""
    return len(found) == 1 or all(
        item is found[0] or np.array_equal(item, found[0]) for item in found
    )


def _row_chunks(job: _Job, columns: int) -> Iterator[tuple[int, int]]:
    """Runs of row blocks whose cells fit a buffer."""
    blocks = len(job.bounds) - 1
    per_block = int(np.diff(job.bounds).max()) * columns * job.weights.shape[0]
    step = max(1, _CHUNK_CELLS // max(1, per_block))
    for first in range(0, blocks, step):
        yield first, min(blocks, first + step)


def _encode_rows(job: _Job, first: int, last: int) -> list[Encoded]:
    """Encode some row blocks, one call for the blocks of like size."""
    row0, row1 = int(job.bounds[first]), int(job.bounds[last])
    bounds = job.bounds[first : last + 1] - row0
    weights = job.weights[:, row0:row1]
    encoded, start = [], 0
    for blocks, outputs in _parts(job):
        part = weights[:, :, start : start + blocks * outputs]
        part = part.reshape(*part.shape[:2], blocks, outputs)
        start += blocks * outputs
        encoded.append(
            job.encoding.encode(part, bounds, job.weight_bits, job.cell_bits, job.slices)
        )
    return encoded


def _tiling(job: _Job, target: Target, pool: ArrayPool) -> Tiling:
    groups, rows, _ = job.weights.shape
    column_bounds = job.cut.column_bounds
    array, row_offset, column_offset = pool.place(
        groups, np.diff(job.bounds), np.diff(column_bounds)
    )
    conversions, columns = 0, 0
    for blocks, outputs in _parts(job):
        conversions += blocks * job.encoding.pattern(outputs, job.slices).conversions
        columns += blocks * job.encoding.width(outputs, job.slices)
    ratio = columns // conversions
    return Tiling(
        row_input=np.arange(rows, dtype=np.int32),
        row_bounds=job.bounds,
        segment_bounds=segment_bounds(job.bounds, target.array.active_rows),
        column_bounds=column_bounds,
        conversion_bounds=(column_bounds // ratio).astype(np.int32),
        array=array,
        row_offset=row_offset,
        column_offset=column_offset,
    )


def _periphery(layer: MatrixLayer, job: _Job, r_values: list[Int64Array]) -> Periphery:
    patterns = [(n, size, job.encoding.pattern(size, job.slices)) for n, size in _parts(job)]
    entries = _place(patterns, job)
    groups, _, outputs = job.weights.shape
    spread = [
        np.broadcast_to(values, (*values.shape[:2], blocks, values.shape[3])).reshape(
            *values.shape[:2], -1
        )
        for (blocks, _, _), values in zip(patterns, r_values, strict=True)
    ]
    constant = layer.constant.astype(np.int64)
    if isinstance(layer.geometry, Scatter):
        if constant.any():
            raise MappingError("integer bias on a transposed convolution", where=layer.name)
        constant = np.zeros(groups * outputs, dtype=np.int64)
    return Periphery(
        **entries,
        r_code=encode_r(np.concatenate(_alike(spread), axis=2)),
        constant=constant,
        input_sum=np.zeros(groups * outputs, dtype=np.int64),
    )


def _alike(parts: list[Int64Array]) -> list[Int64Array]:
    """Parts with the same leading axes."""
    lead = np.broadcast_shapes(*(part.shape[:2] for part in parts))
    return [np.broadcast_to(part, (*lead, part.shape[2])) for part in parts]


def _place(patterns: list[tuple[int, int, Pattern]], job: _Job) -> dict[str, AnyArray]:
    """Entries of `A` and `R` with the indices of the whole layer."""
    found: dict[str, list[AnyArray]] = {
        name: [] for name in ("a_conversion", "a_column", "a_sign", "r_output", "r_conversion")
    }
    output = conversion = column = 0
    for blocks, outputs, pattern in patterns:
        width = job.encoding.width(outputs, job.slices)
        turn = np.arange(blocks, dtype=np.int32)[:, None]
        found["a_conversion"].append(conversion + turn * pattern.conversions + pattern.a_conversion)
        found["a_column"].append(column + turn * width + pattern.a_column)
        found["a_sign"].append(np.tile(pattern.a_sign, (blocks, 1)))
        found["r_output"].append(output + turn * outputs + pattern.r_output)
        found["r_conversion"].append(conversion + turn * pattern.conversions + pattern.r_conversion)
        output += blocks * outputs
        conversion += blocks * pattern.conversions
        column += blocks * width
    types = {"a_sign": np.int8}
    return {
        name: np.concatenate([part.reshape(-1) for part in parts]).astype(types.get(name, np.int32))
        for name, parts in found.items()
    }

"""What the page shows of one physical array: every cell in it, and what is read from it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cached_property

import numpy as np

from xbarc.circuit import Chip, Effects, FaultMap
from xbarc.ir import CrossbarStep, Program, slice_ranges
from xbarc.numerics import AnyArray, Float64Array, Int64Array, pack_cells
from xbarc.report import BlockView, inspect_block
from xbarc.viewer.measured import Measured, block_sums
from xbarc.viewer.tensors import join_equal, tensor_bytes

LOSS_UNIT = 1e-4
"""Of a share: finer than wires are known, and half the bytes of a float."""


class ArrayBytes:
    """Safetensors files about arrays and layers of a program, made when they are asked for.

    Args:
        program: its cells may lie on disk; only those of the array asked for are read.
        faults: stuck cells of the chip, where they are known.
        measured: what layers did on data, by name.
    """

    def __init__(
        self,
        program: Program,
        faults: FaultMap | None = None,
        measured: Mapping[str, Measured] | None = None,
    ) -> None:
        self.program = program
        self.faults = faults
        self._measured = measured or {}
        self._ranges: dict[str, tuple[int, Int64Array, Int64Array]] = {}

    @property
    def has_wires(self) -> bool:
        """Whether the target's wires resist, so that there is a loss to show."""
        wires = self.program.target.wires
        return any(
            one.value > 0 for one in (wires.wordline, wires.bitline, wires.driver, wires.sense)
        )

    def array(self, number: int) -> bytes:
        """Blocks of an array, whatever layers they are of.

        `blocks` among its facts lists layer, group, row block, column block, first wordline and
        first bitline of each; its arrays have the block's place in that list before their name.
        """
        blocks: list[list[int]] = []
        arrays: dict[str, AnyArray] = {}
        for at, (index, step, view) in enumerate(self._blocks(number)):
            own = {**_cells(view), **_periphery(step, view), **self._converters(step, view)}
            within = (view.group, view.row_block, view.column_block)
            own |= block_sums(step, within, self._measured)
            if not np.array_equal(view.bitlines, np.arange(view.bitlines.size)):
                own["order"] = view.bitlines
            arrays |= {f"{at}.{name}": array for name, array in own.items()}
            blocks.append([index, *within, view.row_offset, view.column_offset])
        if self.faults is not None:
            arrays["stuck"] = np.stack(self.faults.of(number), axis=1)
        return tensor_bytes(arrays, {"blocks": json.dumps(blocks)})

    def layer(self, index: int) -> bytes:
        """Where the blocks of a layer lie, and which of them make each output.

        `reach` has the first and last column block of each output of a group.
        """
        step = self.program.steps[index]
        if not isinstance(step, CrossbarStep):
            return tensor_bytes({})
        tiling, periphery = step.tiling, step.periphery
        block = np.searchsorted(tiling.conversion_bounds, periphery.r_conversion, side="right") - 1
        reach = np.stack([np.full(step.outputs, tiling.array.shape[2]), np.full(step.outputs, -1)])
        np.minimum.at(reach[0], periphery.r_output, block)
        np.maximum.at(reach[1], periphery.r_output, block)
        return tensor_bytes(
            {
                "array": tiling.array,
                "row_bounds": tiling.row_bounds,
                "row_input": tiling.row_input,
                "reach": reach,
            }
        )

    def wires(self, number: int) -> bytes:
        """Share of each cell's current that wires take, in units of `LOSS_UNIT`.

        From the exact solution of the whole array, every row driven at 0 or 1 volt.
        """
        levels = np.zeros(self._chip.shape)
        for _, _, view in self._blocks(number):
            rows = slice(view.row_offset, view.row_offset + len(view.cells))
            levels[rows, view.column_offset + view.bitlines] = view.cells
        return tensor_bytes({"loss": np.rint(self._lose(levels) / LOSS_UNIT).astype(np.int64)})

    @cached_property
    def _chip(self) -> Chip:
        return Chip(self.program, Effects(frozenset({"lines"})))

    def _lose(self, levels: Float64Array) -> Float64Array:
        floor = self._chip.model.floor
        conducts = levels + floor
        seen = self._chip.through_wires(levels) + floor
        # A cell that conducts nothing has nothing to lose.
        lost: Float64Array = np.where(
            conducts > 0, 1 - seen / np.where(conducts > 0, conducts, 1), 0
        )
        return lost

    def _blocks(self, number: int) -> Iterator[tuple[int, CrossbarStep, BlockView]]:
        for index, (first, last) in self._spans.items():
            step = self.program.steps[index]
            if first <= number <= last and isinstance(step, CrossbarStep):
                for place in np.argwhere(np.asarray(step.tiling.array) == number).tolist():
                    yield index, step, inspect_block(step, *place)

    @cached_property
    def _spans(self) -> dict[int, tuple[int, int]]:
        """First and last array of each layer."""
        return {
            index: (int(step.tiling.array.min()), int(step.tiling.array.max()))
            for index, step in enumerate(self.program.steps)
            if isinstance(step, CrossbarStep) and step.tiling.array.size
        }

    def _converters(self, step: CrossbarStep, view: BlockView) -> dict[str, AnyArray]:
        """Settings of each conversion, and the least and largest sum that it can meet."""
        first, last = (int(b) for b in step.tiling.conversion_bounds[view.column_block :][:2])
        low, high = self._sums(step, view.row_block)
        found: dict[str, AnyArray] = {
            "lo": view.lo,
            "step": view.step,
            "bits": view.bits,
            "least": low[view.group, :, first:last],
            "most": high[view.group, :, first:last],
        }
        if step.sense is not None:
            rows = np.flatnonzero(step.tiling.segment_block == view.row_block)
            group = view.group % step.sense.thresholds.shape[0]
            found["drive"] = step.sense.drive[_rows_of(step, view)]
            found["thresholds"] = step.sense.thresholds[group][rows][:, first:last]
        # A drive is one number a row, however equal; settings are looked up by broadcasting.
        return {n: part if n == "drive" else join_equal(part) for n, part in found.items()}

    def _sums(self, step: CrossbarStep, block: int) -> tuple[Int64Array, Int64Array]:
        """Ranges of the sums of a row block; axes: group, segment, conversion, input slice."""
        kept = self._ranges.get(step.name)
        # Blocks of a row block follow one another, so the last one alone is kept.
        if kept is None or kept[0] != block:
            rows = np.flatnonzero(step.tiling.segment_block == block)
            kept = (block, *slice_ranges(step, slice(int(rows[0]), int(rows[-1]) + 1)))
            self._ranges[step.name] = kept
        return kept[1], kept[2]


def _rows_of(step: CrossbarStep, view: BlockView) -> slice:
    first, last = step.tiling.row_bounds[view.row_block : view.row_block + 2]
    return slice(int(first), int(last))


def _cells(view: BlockView) -> dict[str, AnyArray]:
    bits = view.levels.bit_length() - 1
    return {
        "cells": pack_cells(view.cells, bits).data,
        "size": np.array([*view.cells.shape, bits]),
        "row_input": view.row_input,
        "segments": view.segments,
    }


def _periphery(step: CrossbarStep, view: BlockView) -> dict[str, AnyArray]:
    found = {
        "r": view.r,
        "outputs": view.outputs,
        "constant": view.constant,
        "input_sum": join_equal(view.input_sum),
    }
    if view.column_scale is not None:
        found["scale"] = view.column_scale
    # Without entries `A` is the identity: a conversion for each column.
    return found | ({"a": view.a} if step.periphery.a_sign.size else {})

"""What cells stand for: by tables of bytes, as by the sparse product that defines it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.executor.test_engines import mapped_or_none
from tests.strategies import Case, cases
from xbarc.ir.effective import (
    conversion_matrix,
    effective_weights,
    output_matrix,
    weight_sums,
)
from xbarc.ir.program import CrossbarStep
from xbarc.numerics import ByteTables, pack_cells
from xbarc.numerics.types import BoolArray, Int64Array


def _defined(step: CrossbarStep, chosen: BoolArray) -> Int64Array:
    """`R A g` segment by segment, and `beta`."""
    a = conversion_matrix(step.periphery, step.conversions, step.cells.columns)
    shape = (step.groups, step.inputs, step.outputs)
    beta = step.periphery.input_sum.reshape(step.groups, 1, step.outputs)
    weights = np.broadcast_to(beta, shape).astype(np.int64)
    blocks = step.tiling.segment_block.tolist()
    for group, segment in np.ndindex(chosen.shape[:2]):
        rows = slice(*(int(b) for b in step.tiling.segment_bounds[segment : segment + 2]))
        seen = (a @ step.cells.unpack((group, rows)).astype(np.int64).T).T * chosen[group, segment]
        r = output_matrix(step.periphery, group, blocks[segment], step.outputs, step.conversions)
        weights[group, step.tiling.row_input[rows]] += (r @ seen.T).T
    return weights


@given(cases(), st.integers(0, 2**32 - 1), st.booleans())
def test_cells_stand_for_r_a_g(case: Case, seed: int, some: bool) -> None:
    step = mapped_or_none(case)
    if step is None:
        return
    shape = (step.groups, step.tiling.segment_bounds.size - 1, step.conversions)
    chosen = np.random.default_rng(seed).integers(0, 2, shape).astype(bool)
    chosen |= not some
    found = effective_weights(step, chosen if some else None)
    assert np.array_equal(found, _defined(step, chosen))
    whole = effective_weights(step)
    assert np.array_equal(weight_sums(step), whole.sum(axis=1, dtype=np.int64))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_any_sparse_matrix_joins(bits: int) -> None:
    """Outputs that share bytes, bytes that feed many outputs, entries of one place."""
    rng = np.random.default_rng(bits)
    cells = rng.integers(0, 1 << bits, (1, 5, 19)).astype(np.uint8)
    output, column = rng.integers(0, 7, 60), rng.integers(0, 19, 60)
    value = rng.integers(-300, 300, 60)
    tables = ByteTables.of((output, column, value), bits)
    assert tables is not None
    matrix = np.zeros((7, 19), dtype=np.int64)
    np.add.at(matrix, (output, column), value)
    to, joined = np.array([4, 2, 0, 1, 3]), np.ones((5, 7), dtype=np.int32)
    tables.join(pack_cells(cells, bits), (0, slice(0, 5)), joined, to)
    assert np.array_equal(joined[to], cells[0].astype(np.int64) @ matrix.T + 1)


def test_cells_across_bytes_and_too_many_tables_have_none() -> None:
    entry = (np.array([0]), np.array([0]), np.array([1]))
    assert ByteTables.of(entry, 3) is None
    many = np.arange(1 << 13)
    assert ByteTables.of((many, many, many), 8) is None

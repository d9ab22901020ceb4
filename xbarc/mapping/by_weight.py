"""From integer weights to packed cells by a table, where a weight's cells depend on it alone.

No cell is ever held unpacked: beside the weights and the packed cells there is one table.
"""

from __future__ import annotations

from xbarc.mapping.encodings import ByWeight
from xbarc.mapping.job import Job
from xbarc.numerics import Int64Array, UInt8Array, WeightCodes
from xbarc.plugins import is_foreign


def pack_by_weight(job: Job, packed: UInt8Array) -> list[Int64Array] | None:
    """Write the cells of a layer, and give the entries of `R` of each part.

    Args:
        job: the layer.
        packed: is filled; axes: group, row, byte.

    Returns:
        None, and nothing is written, where some part has no table of its weights.
    """
    # All tables before anything is written, so that a layer is packed in one way or in the other.
    tables = _tables(job)
    if tables is None:
        return None
    entries, start, bit = [], 0, 0
    for part, (encoding, codes) in zip(job.cut.parts, tables, strict=True):
        outputs = part.blocks * part.outputs
        chosen = job.weights[:, :, start : start + outputs]
        codes.pack(chosen, bit, packed)
        blocks = chosen.reshape(*chosen.shape[:2], part.blocks, part.outputs)
        entries.append(encoding.entries(blocks, job.bounds, job.cell_bits, job.slices))
        start += outputs
        bit += outputs * codes.width
    return entries


def _tables(job: Job) -> list[tuple[ByWeight, WeightCodes]] | None:
    """Encoding and codes of each part; None where one has none, or came from elsewhere."""
    low, high = int(job.weights.min(initial=0)), int(job.weights.max(initial=0))
    found = []
    for part in job.cut.parts:
        encoding = part.encoding
        # An encoding from elsewhere takes the way on which every piece is checked.
        if not isinstance(encoding, ByWeight) or is_foreign(encoding):
            return None
        codes = encoding.codes(low, high, job.cell_bits, job.slices)
        if codes is None:
            return None
        found.append((encoding, codes))
    return found

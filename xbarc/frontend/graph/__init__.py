"""Questions to a graph and nodes for it: constants, shapes, types, order, names, small models."""

from xbarc.frontend.graph.attributes import only_moves, real, text, whole, wholes
from xbarc.frontend.graph.constants import Constants
from xbarc.frontend.graph.element_types import element_of, parse_type
from xbarc.frontend.graph.emit import (
    EMITTED_IR,
    NEWEST_OPSET,
    ModelPart,
    emit_model,
    emit_whole,
    inner_graphs,
    inner_nodes,
    name_of,
    node_reads,
)
from xbarc.frontend.graph.execution_order import execution_order
from xbarc.frontend.graph.naming import Names, unique
from xbarc.frontend.graph.ranks import known_ranks
from xbarc.frontend.graph.shapes import (
    Known,
    Partial,
    Traced,
    check_extent,
    complete,
    declared_shapes,
    input_shapes,
    layer_shape,
    node_macs,
    probe,
    trace_shapes,
)

__all__ = [
    "EMITTED_IR",
    "NEWEST_OPSET",
    "Constants",
    "Known",
    "ModelPart",
    "Names",
    "Partial",
    "Traced",
    "check_extent",
    "complete",
    "declared_shapes",
    "element_of",
    "emit_model",
    "emit_whole",
    "execution_order",
    "inner_graphs",
    "inner_nodes",
    "input_shapes",
    "known_ranks",
    "layer_shape",
    "name_of",
    "node_macs",
    "node_reads",
    "only_moves",
    "parse_type",
    "probe",
    "real",
    "text",
    "trace_shapes",
    "unique",
    "whole",
    "wholes",
]

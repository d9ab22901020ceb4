"""The two things that the rest of xbarc asks of an ONNX file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import onnx_ir as ir

from xbarc.errors import ModelError, XbarcError
from xbarc.frontend.binary import BinaryOptions
from xbarc.frontend.canonical import Normal, fixed_arrays, normalise
from xbarc.frontend.fragments import (
    borders,
    build_layers,
    cut,
    relocate_error,
    runtime_refusal,
    widen_products,
)
from xbarc.frontend.graph import element_types, emit_whole, execution_order, input_shapes, name_of
from xbarc.frontend.loading import BROKEN, load_model, reason
from xbarc.frontend.matching import match_layers
from xbarc.frontend.quantised import Views
from xbarc.frontend.scales import free_scales
from xbarc.ir import CARRIED_KEY, Dim, ModelSource, Network, Value
from xbarc.numerics import AnyArray


def read_network(
    path: Path,
    *,
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    scales: bool = False,
    binary: BinaryOptions | None = None,
    fixed: Mapping[str, Any] | None = None,
) -> Network:
    """Read an ONNX file as a network of matrix layers and digital fragments.

    Args:
        path: the model; it is never written.
        shapes: concrete shapes of inputs by name, for counting. A symbolic dimension that stays
            open counts as 1.
        scales: find out which channels may be scaled, for equalisation.
        binary: how binary networks are read.
        fixed: numbers, or lists of them, that inputs hold for good, by the input's name.

    Raises:
        ModelError: the file is damaged or dangerous.
        UnsupportedError: neither a crossbar nor ONNX Runtime can run a part of it.
        InputError: `shapes` or `fixed` do not fit the model's inputs.
    """
    path = Path(path)
    loaded = load_model(path)
    try:
        normal = normalise(loaded, fixed)
        # Asked early, raised late: what ONNX Runtime refuses has to be found where a recogniser
        # would take it, but a message of ours that names the layer is better.
        refusal = runtime_refusal(normal)
        network = _network(
            normal, ModelSource(_text(path), loaded.digest), shapes, binary or BinaryOptions()
        )
        if refusal is not None:  # ours came first, because they name the layer
            raise refusal
        if scales:
            found = free_scales(normal.model.graph, network.layers, shapes)
            network = replace(network, scales=found)
        if CARRIED_KEY in loaded.model.metadata_props:
            network = replace(network, carries_mapping=True)
        return network  # noqa: TRY300  # the handlers below guard all of it
    except XbarcError as error:
        raise relocate_error(error, str(path)) from error
    except BROKEN as error:
        raise ModelError(f"the graph is damaged: {reason(error)}", where=str(path)) from error


def _text(path: Path) -> str:
    """The path as text that any file can hold: a file name may be bytes that are no text."""
    return os.fsencode(path).decode("utf-8", "replace")


def _network(
    normal: Normal,
    source: ModelSource,
    shapes: Mapping[str, tuple[int, ...]] | None,
    binary: BinaryOptions,
) -> Network:
    graph = normal.model.graph
    extents = input_shapes(graph, shapes)
    matching = match_layers(normal, binary)
    ends = {matched.output.producer(): matched.reads for matched in matching.layers}
    # Again, with what layers read: integers may come from a later place in the file than the real
    # numbers that they stand for.
    nodes = execution_order(graph, {node: r for node, r in ends.items() if node is not None})
    stages = cut(nodes, matching.layers, graph, normal.constants)
    found = borders(stages, graph, normal.constants)
    layers, kinds = build_layers(normal, matching.notes, stages, found, extents)
    return Network(
        name=Path(source.path).stem,
        source=source,
        inputs=tuple(_border(value, kinds) for value in graph.inputs),
        outputs=tuple(_border(value, kinds) for value in graph.outputs),
        layers=layers,
    )


def _border(value: ir.Value, kinds: Mapping[str, onnx.TypeProto]) -> Value:
    name = name_of(value)
    carried = element_types.border_type(kinds[name])
    shape = None if value.shape is None else tuple(_dim(size) for size in value.shape)
    return Value(name, element_types.numpy_name(carried), shape)


def _dim(size: int | ir.SymbolicDim) -> Dim:
    return size if isinstance(size, int) else size.value


def source_digest(path: Path) -> str:
    """SHA-256 of the model file and its external data: what `ModelSource.sha256` holds."""
    return load_model(path).digest


def fixed_feeds(path: Path, fixed: Mapping[str, Any]) -> dict[str, AnyArray]:
    """What ONNX Runtime is fed for inputs that a program holds fixed.

    Raises:
        InputError: an input is not there, or what it shall hold does not fit it.
    """
    return fixed_arrays(load_model(Path(path)).model, fixed) if fixed else {}


def runnable_model(path: Path, fixed: Mapping[str, Any] | None = None) -> bytes | Path:
    """The model as ONNX Runtime can run it, under the value names that layers carry.

    The path itself where the file is that already; otherwise a serialised model in which functions
    are inlined, QONNX nodes are standard ONNX, and no integer product saturates. Inputs that are
    `fixed` are none of its inputs.

    Raises:
        ModelError: the file is damaged or dangerous.
    """
    path = Path(path)
    loaded = load_model(path)
    try:
        normal = normalise(loaded, fixed)
        views = Views(normal.model.graph, normal.constants, normal.views)
        widened = widen_products(normal.nodes, views)
        # The path rather than a copy: large models stay on disk, and their external data is mapped.
        if not normal.changed and not widened:
            return path
        return emit_whole(normal.model, execution_order(normal.model.graph))
    except XbarcError as error:
        raise relocate_error(error, str(path)) from error
    except BROKEN as error:
        raise ModelError(f"the graph is damaged: {reason(error)}", where=str(path)) from error

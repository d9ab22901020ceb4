"""Cutting sums whose weights have several scales along them.

With a scale for each block of inputs, as opset 21 gives it with `block_size`, the integers of an
output do not add up, but those of each block do. The product becomes one of blocks, each a matrix
of its own on the crossbars, and their real sums are added digitally. The operator is only spelled
in another way; which integers it reads is found out as for any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import gcd, prod

import numpy as np
import onnx_ir as ir

from xbarc.frontend.canonical import transposes
from xbarc.frontend.graph import Names, name_of, real, whole
from xbarc.frontend.quantised import Views
from xbarc.numerics import AnyArray

_LEAST_ROWS = 4
"""Rows of a block; with fewer, adding the blocks digitally takes most of the work."""
_MOST_BLOCKS = {"Conv": 32, "ConvTranspose": 32, "MatMul": 256, "Gemm": 256}
"""The sums of all blocks lie side by side in memory: a feature map each, or a few vectors."""
# From opset 13 ReduceSum and Unsqueeze read their axes as inputs, before as attributes.
_AXES_ARE_INPUTS = 13


@dataclass(frozen=True)
class _Cut:
    """How a sum is cut.

    Attributes:
        weight: place of the constant operand.
        shape: of the constant operand.
        block: inputs (channels) of a block.
    """

    weight: int
    shape: tuple[int, ...]
    axis: int
    block: int

    @property
    def blocks(self) -> int:
        """How many there are."""
        return self.shape[self.axis] // self.block


@dataclass(eq=False)
class _Spelling:
    """Nodes that stand for one, as they are added."""

    node: ir.Node
    opset: int
    names: Names
    nodes: list[ir.Node] = field(default_factory=list)

    def add(
        self, operator: str, *inputs: ir.Value | None, count: int = 1, **kind: object
    ) -> ir.Value:
        """The first result of a further node."""
        stem = f"{name_of(self.node.outputs[0])}/{operator.lower()}"
        outputs = [ir.Value(name=self.names.fresh(stem)) for _ in range(count)]
        name = name_of(outputs[0])
        attributes = [_attribute(key, value) for key, value in kind.items()]
        self.nodes.append(ir.Node("", operator, inputs, attributes, name=name, outputs=outputs))
        return outputs[0]

    def constant(self, values: object, dtype: type = np.int64) -> ir.Value:
        """A constant."""
        tensor = ir.tensor(np.asarray(values, dtype))
        return self.add("Constant", value=tensor)

    def reshape(self, value: ir.Value, shape: Sequence[int]) -> ir.Value:
        """Another shape; 0 keeps a dimension."""
        return self.add("Reshape", value, self.constant(list(shape)))

    def total(self, value: ir.Value, axes: Sequence[int]) -> ir.Value:
        """The sum over some axes."""
        if self.opset < _AXES_ARE_INPUTS:
            return self.add("ReduceSum", value, axes=list(axes), keepdims=0)
        return self.add("ReduceSum", value, self.constant(list(axes)), keepdims=0)

    def parts(self, value: ir.Value, count: int, size: int) -> list[ir.Value]:
        """A tensor cut along its channels."""
        sizes = [size] * count
        if self.opset < _AXES_ARE_INPUTS:
            self.add("Split", value, count=count, axis=1, split=sizes)
        else:
            self.add("Split", value, self.constant(sizes), count=count, axis=1)
        return list(self.nodes[-1].outputs)


def _attribute(name: str, value: object) -> ir.Attr:
    if isinstance(value, ir.TensorProtocol):
        return ir.AttrTensor(name, value)
    if isinstance(value, list):
        return ir.AttrInt64s(name, value)
    if isinstance(value, int):
        return ir.AttrInt64(name, value)
    raise TypeError(f"attribute {name} of {type(value).__name__}")


def cut_sums(nodes: Sequence[ir.Node], views: Views, ranks: dict[ir.Value, int]) -> bool:
    """Cut the sums that can be cut; say whether any was."""
    changed = False
    for node in nodes:
        if node.domain == "" and node.op_type in _MOST_BLOCKS:
            cut = _find(node, views)
            changed |= cut is not None and _spell(node, cut, views, ranks)
    return changed


def _find(node: ir.Node, views: Views) -> _Cut | None:
    """How the sum of an operator is cut; None where one scale serves it, or it cannot be cut."""
    dense = node.op_type in ("MatMul", "Gemm")
    places = (1, 0) if dense else (1,)
    held = (i for i in places if views.constants.holds(node.inputs[i]))
    weight = next(held, None)
    value = None if weight is None else node.inputs[weight]
    view = None if value is None else views.of(value)
    if weight is None or value is None or view is None or view.scale.size == 1:
        return None
    shape = views.constants.shape(view.integers)
    if len(shape) != 2 if dense else len(shape) < 3:
        return None
    axis = _summed_axis(node, weight)
    kernel = () if dense else tuple(range(2, len(shape)))
    block = _block(view.scale, shape, axis, kernel)
    if block and node.op_type == "ConvTranspose":
        block = gcd(block, shape[0] // max(whole(node, "group", 1), 1))
    cut = _Cut(weight, shape, axis, block or shape[axis])
    rows = cut.block * (prod(shape[2:]) if node.op_type == "Conv" else 1)
    fits = rows >= _LEAST_ROWS and 1 < cut.blocks <= _MOST_BLOCKS[node.op_type]
    return cut if block and fits else None


def _summed_axis(node: ir.Node, weight: int) -> int:
    """Axis of the constant operand along which the sum can be cut."""
    if node.op_type == "Conv":
        return 1
    if node.op_type == "ConvTranspose":
        return 0
    turned = transposes(node)[weight] if node.op_type == "Gemm" else False
    return int(bool(turned) == (weight == 1))


def _block(
    scale: AnyArray, shape: tuple[int, ...], axis: int, whole_axes: tuple[int, ...]
) -> int | None:
    """Inputs that share a scale, as many as divide the sum evenly; None where it cannot be cut."""
    full = np.broadcast_to(scale, shape)
    if any((full != full.take([0], other)).any() for other in whole_axes):
        return None
    rows = np.moveaxis(full, axis, 0).reshape(shape[axis], -1)
    changes = np.flatnonzero((rows[1:] != rows[:-1]).any(axis=1)) + 1
    # Scales may change at uneven places; blocks of the greatest common length have one scale each
    # and are of equal size, which a stack of matrices needs.
    return gcd(shape[axis], *changes.tolist())


def _spell(node: ir.Node, cut: _Cut, views: Views, ranks: dict[ir.Value, int]) -> bool:
    graph, old = node.graph, node.outputs[0]
    opset = views.constants.model.opset_imports.get("", 1)
    spelling = _Spelling(node, opset, views.constants.names)
    if node.op_type in ("Conv", "ConvTranspose"):
        result = _convolution(spelling, cut)
    else:
        other = node.inputs[1 - cut.weight]
        rank = 2 if node.op_type == "Gemm" else ranks.get(other) if other is not None else None
        result = None if rank is None else _product(spelling, cut, rank)
    if graph is None or result is None:
        return False
    name = old.name
    # The last node keeps the name of the result: readers, and a user who asks for it, find it
    # again.
    ir.convenience.replace_nodes_and_values(graph, node, [node], spelling.nodes, [old], [result])
    result.name = name
    views.constants.note(spelling.nodes)
    return True


def _product(spelling: _Spelling, cut: _Cut, rank: int) -> ir.Value | None:
    """MatMul and Gemm: a stack of matrices, a block each, and the sum over the stack."""
    node = spelling.node
    weight, vectors = _operands(spelling, cut)
    inputs = cut.shape[cut.axis]
    outputs = prod(cut.shape) // inputs
    blocks, block = cut.blocks, cut.block
    if cut.weight == 0 and rank < 2:
        return None
    if cut.weight == 1:
        stack = spelling.reshape(weight, (blocks, block, outputs))
        lead = max(rank - 2, 0)
        if rank == 1:
            moved = spelling.reshape(vectors, (blocks, 1, block))
        else:
            # 0 in a Reshape copies the extent, so that open axes of the batch stay open.
            cut_up = spelling.reshape(vectors, (*[0] * (rank - 1), blocks, block))
            order = [*range(lead), rank - 1, rank - 2, rank]
            moved = spelling.add("Transpose", cut_up, perm=order)
        found = _main(spelling, "MatMul", moved, stack)
        result = spelling.total(found, [0, 1] if rank == 1 else [lead])
    else:
        rows = spelling.reshape(weight, (outputs, blocks, block))
        stack = spelling.add("Transpose", rows, perm=[1, 0, 2])
        moved = spelling.reshape(vectors, (*[0] * (rank - 2), blocks, block, -1))
        result = spelling.total(_main(spelling, "MatMul", stack, moved), [rank - 2])
    return result if node.op_type == "MatMul" else _with_addend(spelling, result)


def _operands(spelling: _Spelling, cut: _Cut) -> tuple[ir.Value, ir.Value]:
    """The matrix and the vectors, transposed as Gemm says."""
    node = spelling.node
    turned = transposes(node) if node.op_type == "Gemm" else (False, False)
    found = []
    for place in (cut.weight, 1 - cut.weight):
        value = node.inputs[place]
        if value is None:
            raise ValueError(f"{node.op_type} has no input {place}")
        found.append(spelling.add("Transpose", value, perm=[1, 0]) if turned[place] else value)
    return found[0], found[1]


def _with_addend(spelling: _Spelling, result: ir.Value) -> ir.Value:
    node = spelling.node
    alpha, beta = real(node, "alpha", 1.0), real(node, "beta", 1.0)
    if alpha != 1:
        result = spelling.add("Mul", result, spelling.constant(alpha, np.float32))
    addend = node.inputs[2] if len(node.inputs) > 2 else None
    if addend is None:
        return result
    if beta != 1:
        addend = spelling.add("Mul", addend, spelling.constant(beta, np.float32))
    return spelling.add("Add", result, addend)


def _main(spelling: _Spelling, operator: str, *inputs: ir.Value) -> ir.Value:
    """The product itself, under the name of the node that it stands for."""
    node = spelling.node
    result = spelling.add(operator, *inputs)
    spelling.nodes[-1].name = node.name or f"{node.op_type}:{name_of(node.outputs[0])}"
    return result


def _convolution(spelling: _Spelling, cut: _Cut) -> ir.Value | None:
    """Convolutions: groups of channels, a block each, and the sum of what they give."""
    node = spelling.node
    weight, vectors = node.inputs[1], node.inputs[0]
    groups, blocks = max(whole(node, "group", 1), 1), cut.blocks
    forward = node.op_type == "Conv"
    blocks //= 1 if forward else groups
    if weight is None or vectors is None or blocks == 1:
        return None
    outputs = cut.shape[0] if forward else groups * cut.shape[1]
    # More groups split channels in their order: those of one block, of all groups, must lie
    # together.
    if groups > 1:
        channels = np.arange(groups * blocks * cut.block).reshape(groups, blocks, cut.block)
        order = channels.transpose(1, 0, 2).reshape(-1)
        vectors = spelling.add("Gather", vectors, spelling.constant(order), axis=1)
    stack = _stack(spelling, weight, cut, (groups, blocks, outputs))
    found = _main(spelling, node.op_type, vectors, stack)
    kept = [item for item in node.attributes.values() if item.name != "group"]
    for item in (*kept, ir.AttrInt64("group", groups * blocks)):
        spelling.nodes[-1].attributes.add(item)
    result = spelling.add("Sum", *spelling.parts(found, blocks, outputs))
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    if bias is None:
        return result
    spread = spelling.reshape(bias, (outputs, *[1] * len(cut.shape[2:])))
    return spelling.add("Add", result, spread)


def _stack(
    spelling: _Spelling, weight: ir.Value, cut: _Cut, sizes: tuple[int, int, int]
) -> ir.Value:
    """Weights of the convolution with more groups."""
    groups, blocks, outputs = sizes
    block, kernel = cut.block, cut.shape[2:]
    if spelling.node.op_type == "Conv":
        parted = spelling.reshape(weight, (groups, outputs // groups, blocks, block, -1))
        turned = spelling.add("Transpose", parted, perm=[2, 0, 1, 3, 4])
        return spelling.reshape(turned, (blocks * outputs, block, *kernel))
    parted = spelling.reshape(weight, (groups, blocks, block, -1))
    turned = spelling.add("Transpose", parted, perm=[1, 0, 2, 3])
    return spelling.reshape(turned, (blocks * groups * block, cut.shape[1], *kernel))

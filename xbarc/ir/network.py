"""`Network`: what is computed, in execution order, before any tile is thought of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

from xbarc.errors import visible
from xbarc.ir.facts import InputFacts, Narrowed
from xbarc.ir.geometry import Geometry, Shape, Window
from xbarc.ir.integers import Unkept
from xbarc.ir.quantizers import Quantizer, Result
from xbarc.ir.scales import FreeScales
from xbarc.numerics import AnyArray, Float32Array, Int64Array, IntFormat, short_repr


@dataclass(frozen=True)
class Value:
    """A tensor at the network's border.

    Attributes:
        dtype: numpy name of the element type; `string` or `other` (sequences, maps) otherwise.
        shape: a number, a name or None an axis; None where even the rank is unknown.
    """

    name: str
    dtype: str
    shape: Shape | None


@dataclass(frozen=True, eq=False)
class LazyTensor:
    """A constant that is loaded when it is used, so that memory holds one layer at a time."""

    shape: tuple[int, ...]
    load: Callable[[], AnyArray]


@dataclass(frozen=True, eq=False)
class FloatWeight:
    """Real weights, still to be quantised; axes: group, input, output.

    Attributes:
        lost: why integers that the model declares are not used; empty where it declares none.
    """

    tensor: LazyTensor
    lost: str = ""


@dataclass(frozen=True, eq=False)
class IntWeight:
    """Integer weights of the model, zero point subtracted; axes: group, input, output."""

    tensor: LazyTensor
    format: IntFormat


Weight = FloatWeight | IntWeight


@dataclass(frozen=True, eq=False)
class DeclaredWeights:
    """Weights as the model declares them, before anything is chosen.

    Attributes:
        result: what tells the real value of their steps.
    """

    weight: Weight
    result: Result


@dataclass(frozen=True)
class Pooling:
    """A MaxPool over the bits of a layer.

    Attributes:
        window: the pool's loop.
        value: tensor of the model that the pooled bits stand for.
    """

    window: Window
    value: str


@dataclass(frozen=True, eq=False, kw_only=True)
class LayerHead:
    """What stays the same of a layer from the network to its crossbars.

    Attributes:
        name: unique; the ONNX node's name where it has one.
        operator: the operator's name, for people only.
        input, output: names of the values that the layer reads and writes.
        geometry: the loop that makes input vectors of a tensor.
        quantizer: how the input becomes codes.
        result: how accumulators become values; its arrays have the axis output of all groups,
            group-major. The scale of a float layer of a network holds what the model asks beside
            the weights (1 for plain Conv).
        input_shape: shape of the input for one inference, where it is known.
        uncounted: why it is not known, for people: nothing is counted then.
        equalised: what equalisation multiplied the outputs by, None where nothing did; axis:
            output of all groups (channel). Later layers divide by it; whoever looks at the layer's
            output in between has to.
        facts: which codes the wordlines can carry; None: every code, or nobody asked.
        narrowed: what the codes were before some of their bits proved needless; None: as they are.
    """

    name: str
    operator: str
    input: str
    output: str
    geometry: Geometry
    quantizer: Quantizer
    result: Result
    input_shape: tuple[int, ...] | None = None
    uncounted: str = ""
    equalised: Float32Array | None = None
    facts: InputFacts | None = None
    narrowed: Narrowed | None = None

    def head(self) -> dict[str, Any]:
        """Give these fields by name, so that a step or another layer can take them over."""
        return {item.name: getattr(self, item.name) for item in fields(LayerHead)}


@dataclass(frozen=True, eq=False, kw_only=True)
class MatrixLayer(LayerHead):
    """A product with a constant matrix, which goes to crossbars.

    Attributes:
        weight: axes: group, input, output.
        constant: integers added to the accumulator (the bias of QLinearConv); axes: output of all
            groups, group-major.
        pooling: what a MaxPool does to a thresholded result before anybody else reads it.
        declared: integer weights of the model, where it has some; what is mapped is compared.
        unkept_input: the integers that the input declares, where they are quantised again.
    """

    weight: Weight
    constant: Int64Array
    pooling: Pooling | None = None
    declared: DeclaredWeights | None = None
    unkept_input: Unkept | None = None

    __repr__ = short_repr

    @property
    def groups(self) -> int:
        """Independent matrices of the layer: groups of a convolution."""
        return self.weight.tensor.shape[0]

    @property
    def rows(self) -> int:
        """Inputs of one group's matrix."""
        return self.weight.tensor.shape[1]

    @property
    def outputs(self) -> int:
        """Outputs of one group's matrix."""
        return self.weight.tensor.shape[2]


@dataclass(frozen=True, eq=False)
class DigitalFragment:
    """A convex part of the graph that stays ONNX and runs in ONNX Runtime, in a program too.

    Attributes:
        model: a serialised ONNX model whose inputs and outputs have these names, in this order.
        operators: how often each operator stands in it, sorted by name.
        macs: multiply-accumulates of one inference that can be counted; None: nobody counted.
        uncounted: operators whose multiply-accumulates are left out, and why, a line each.
        notes: why matrix operators stayed digital, a line each.
    """

    name: str
    model: bytes = field(repr=False)
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    operators: tuple[tuple[str, int], ...]
    macs: int | None = 0
    uncounted: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


Layer = MatrixLayer | DigitalFragment


@dataclass(frozen=True)
class ModelSource:
    """Where a network came from.

    Attributes:
        path: the model's path as the user gave it.
        sha256: of the model file and of each external data file, in the order of their names.
    """

    path: str
    sha256: str


@dataclass(frozen=True, eq=False)
class Network:
    """Layers in execution order; a value is named by the ONNX tensor it came from.

    Attributes:
        scales: which channels may be scaled, where the reader was asked to find out.
        carries_mapping: whether the model's metadata say how it was mapped before.
    """

    name: str
    source: ModelSource
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    layers: tuple[Layer, ...]
    scales: FreeScales | None = None
    carries_mapping: bool = False

    def __repr__(self) -> str:
        # `network_text` prints what there is.
        layers = len(self.matrix_layers)
        digital = len(self.layers) - layers
        return f"<Network {visible(self.name)}: {layers:,} matrix layers, {digital:,} fragments>"

    @property
    def matrix_layers(self) -> tuple[MatrixLayer, ...]:
        """The layers that go to crossbars."""
        return tuple(layer for layer in self.layers if isinstance(layer, MatrixLayer))


def layer_inputs(layer: LayerHead | DigitalFragment) -> tuple[str, ...]:
    """Names of the values that a layer, or its step, reads."""
    if isinstance(layer, DigitalFragment):
        return layer.inputs
    # A zero point that run time decides is a tensor, which must live until the layer has run.
    zero = getattr(layer.quantizer, "zero_point", 0)
    return (layer.input, zero) if isinstance(zero, str) else (layer.input,)


def layer_outputs(layer: LayerHead | DigitalFragment) -> tuple[str, ...]:
    """Names of the values that a layer, or its step, writes."""
    return layer.outputs if isinstance(layer, DigitalFragment) else (layer.output,)

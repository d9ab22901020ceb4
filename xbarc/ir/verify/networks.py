"""Rules that every network keeps, and what they share with the rules of programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from math import prod

from xbarc.errors import VerifyError
from xbarc.ir.geometry import Dense, Geometry, Scatter, Window
from xbarc.ir.network import MatrixLayer, Network, layer_inputs, layer_outputs
from xbarc.ir.quantizers import FloatResult, RequantizedResult, SignResult

# Below it the sum of two still fits int64.
_LARGEST_STEP = 1 << 62

NetworkRule = Callable[[Network], Iterator[str]]


def value_flow(
    inputs: Iterable[str],
    outputs: Iterable[str],
    nodes: Iterable[tuple[str, tuple[str, ...], tuple[str, ...]]],
) -> Iterator[str]:
    """Every value is written once, before it is read."""
    # In order of execution, so that one pass finds loops, gaps and double writes.
    known = set(inputs)
    for name, reads, writes in nodes:
        for value in reads:
            if value not in known:
                yield f"{name}: reads '{value}' before anything wrote it"
        for value in writes:
            if value in known:
                yield f"{name}: writes '{value}' a second time"
            known.add(value)
    for value in outputs:
        if value not in known:
            yield f"output '{value}' is never written"


def network_values_flow(network: Network) -> Iterator[str]:
    """Values are written once, before they are read."""
    nodes = ((layer.name, layer_inputs(layer), layer_outputs(layer)) for layer in network.layers)
    return value_flow((v.name for v in network.inputs), (v.name for v in network.outputs), nodes)


def network_names_unique(network: Network) -> Iterator[str]:
    """No two layers have the same name."""
    return find_repeated(layer.name for layer in network.layers)


def network_shapes_agree(network: Network) -> Iterator[str]:
    """Arrays of a layer have a number for each output."""
    for layer in network.matrix_layers:
        channels = layer.groups * layer.outputs
        if isinstance(layer.geometry, Scatter):
            channels //= prod(layer.geometry.kernel)
        yield from _result_lengths(layer, channels)


def network_geometry_sound(network: Network) -> Iterator[str]:
    """Windows have positive strides, and extents that the matrix agrees with."""
    for layer in network.matrix_layers:
        for text in geometry_faults(layer.geometry, layer.groups, layer.rows, layer.outputs):
            yield f"{layer.name}: {text}"


NETWORK_RULES: tuple[NetworkRule, ...] = (
    network_names_unique,
    network_values_flow,
    network_shapes_agree,
    network_geometry_sound,
)


def find_repeated(names: Iterable[str]) -> Iterator[str]:
    """List names that occur more than once."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            yield f"two steps are named '{name}'"
        seen.add(name)


def _result_lengths(layer: MatrixLayer, channels: int) -> Iterator[str]:
    lengths = {"constant": layer.constant.shape}
    if isinstance(layer.result, FloatResult):
        lengths |= {"scale": layer.result.scale.shape, "bias": layer.result.bias.shape}
    if isinstance(layer.result, RequantizedResult):
        lengths["multiplier"] = layer.result.multiplier.shape
    if isinstance(layer.result, SignResult):
        lengths |= {"threshold": layer.result.threshold.shape, "flip": layer.result.flip.shape}
    for name, shape in lengths.items():
        if shape != (channels,):
            yield f"{layer.name}: {name} has shape {shape}, expected ({channels},)"


def geometry_faults(geometry: Geometry, groups: int, inputs: int, outputs: int) -> Iterator[str]:
    """List numbers of a geometry that make no loop, or that do not fit the matrix."""
    if isinstance(geometry, Dense):
        yield from _dense(geometry, groups)
        return
    rank = len(geometry.kernel)
    per_axis = (geometry.kernel, geometry.strides, geometry.dilations)
    # The executor's loops have up to three spatial axes, which is what ONNX Runtime runs.
    if not 1 <= rank <= 3 or any(len(part) != rank for part in per_axis):
        yield f"{rank} kernel axes, expected 1 to 3 with a stride and a dilation each"
        return
    if any(not 1 <= number < _LARGEST_STEP for part in per_axis for number in part):
        yield f"a kernel extent, stride or dilation is not between 1 and {_LARGEST_STEP}"
        return
    if len(geometry.pads) != 2 * rank or any(pad < 0 for pad in geometry.pads):
        yield f"pads {geometry.pads}, expected {2 * rank} numbers that are not negative"
    if isinstance(geometry, Scatter):
        yield from _scatter(geometry, rank)
    # A window's kernel multiplies the inputs of the matrix, a transposed one its outputs.
    windowed = inputs if isinstance(geometry, Window) else outputs
    if windowed % prod(geometry.kernel):
        yield f"{windowed} is not a multiple of the kernel's {prod(geometry.kernel)} positions"


def _scatter(geometry: Scatter, rank: int) -> Iterator[str]:
    for name in ("output_padding", "output_shape"):
        found = getattr(geometry, name)
        if found is not None and (len(found) != rank or min(found) < 0):
            yield f"{name} {found}, expected {rank} numbers that are not negative"


def _dense(geometry: Dense, groups: int) -> Iterator[str]:
    if geometry.contract_axis not in (-1, -2) or geometry.output_axis not in (-1, -2):
        yield "axes of a matrix product are -1 or -2"
    if min(geometry.batch, default=1) < 1 or prod(geometry.batch) != groups:
        yield f"a stack of {geometry.batch} matrices needs as many groups, found {groups}"


def verify_network(network: Network) -> None:
    """Check every rule of a network.

    Raises:
        VerifyError: the first rule that is broken.
    """
    for rule in NETWORK_RULES:
        for text in rule(network):
            raise VerifyError(f"{rule.__name__}: {text}", where=network.name)

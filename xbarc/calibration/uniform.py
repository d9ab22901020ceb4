"""Equalisation and one range for all layers: what has to be known about the whole network.

The float network runs on calibration data once; its channels are described by a few numbers each;
`passes.one_range` turns these into scales and steps. The converters' one range comes from the
column sums of a program that is lossless still.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from xbarc.errors import MappingError
from xbarc.executor import ReferenceLayer
from xbarc.executor.samples import input_vectors
from xbarc.frontend import runnable_model
from xbarc.ir.geometry import Dense
from xbarc.ir.network import MatrixLayer, Network
from xbarc.ir.program import AdcSettings, CrossbarStep
from xbarc.ir.quantize import FloatResult
from xbarc.ir.scales import ChannelStatistics
from xbarc.ir.trace import LayerTrace
from xbarc.mapping.encodings import encoding_of
from xbarc.mapping.one_adc import SumHistogram, choose_adc, one_setting, sum_histogram
from xbarc.numerics.types import AnyArray
from xbarc.options import AUTO, CompileOptions, MapOptions, Share
from xbarc.oracle import Oracle
from xbarc.passes.alike import LayerSteps, input_alike, weights_alike
from xbarc.passes.equalise import apply_scales, balance_weights
from xbarc.passes.one_range import Bits, OneRange, choose_one_range
from xbarc.target import Target

Values = dict[str, Any]
_POSITIONS = 512
_QUANTILES = 128
_VECTORS, _LEAST_VECTORS, _PRODUCTS = 1024, 64, 1 << 29
_SEED = 0


@dataclass(frozen=True, eq=False)
class FloatModel:
    """An ONNX file, and what some of its inputs hold for good."""

    path: Path
    fixed: Mapping[str, Any] = field(default_factory=dict)

    def oracle(self, expose: Iterable[str]) -> Oracle:
        """The float model in ONNX Runtime, with values inside the graph as outputs too."""
        return Oracle(runnable_model(self.path, self.fixed), tuple(expose))


def channel_statistics(
    network: Network, model: FloatModel, batches: Sequence[Values]
) -> dict[str, ChannelStatistics]:
    """Statistics of each layer that takes part in scaling, from the float network on data.

    Args:
        network: with `scales`.
        model: its ONNX file.
        batches: inputs of the network.
    """
    free = network.scales.layers if network.scales is not None else {}
    layers = [layer for layer in network.matrix_layers if layer.name in free]
    names = dict.fromkeys(name for layer in layers for name in (layer.input, layer.output))
    oracle = model.oracle(names)
    tallies = {layer.name: _Tally() for layer in layers}
    for feeds in batches:
        values = {**feeds, **oracle.run(feeds)}
        for layer in layers:
            tallies[layer.name].add(layer, values[layer.input], values[layer.output])
    return {layer.name: tallies[layer.name].result(layer) for layer in layers}


class _Tally:
    """Sums over batches of one layer."""

    def __init__(self) -> None:
        self.count = self.outputs = 0
        self.power: Any = 0.0
        self.first: Any = 0.0
        self.second: Any = 0.0
        self.samples: list[AnyArray] = []

    def add(self, layer: MatrixLayer, source: AnyArray, result: AnyArray) -> None:
        """Add one batch."""
        vectors = by_channel(layer, source, result=False)
        self.power = self.power + (vectors.astype(np.float64) ** 2).sum(axis=0)
        self.count += len(vectors)
        self.samples.append(_drawn(vectors, _POSITIONS))
        found = by_channel(layer, result, result=True).astype(np.float64)
        self.first = self.first + found.sum(axis=0)
        self.second = self.second + (found**2).sum(axis=0)
        self.outputs += len(found)

    def result(self, layer: MatrixLayer) -> ChannelStatistics:
        """The statistics so far."""
        mean = self.first / max(1, self.outputs)
        square = self.second / max(1, self.outputs)
        bias = (
            layer.result.bias.astype(np.float64) if isinstance(layer.result, FloatResult) else 0.0
        )
        places = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
        samples = np.quantile(np.concatenate(self.samples).astype(np.float64), places, axis=0).T
        return ChannelStatistics(
            self.power / max(1, self.count),
            samples,
            np.maximum(square - mean**2, 0.0),
            np.maximum(square - 2 * bias * mean + bias**2, 0.0),
        )


def _drawn(vectors: AnyArray, most: int) -> AnyArray:
    """Some vectors: drawn, for an even step would meet the same places of every picture."""
    if len(vectors) <= most:
        return vectors
    chosen = np.random.default_rng(_SEED).choice(len(vectors), most, replace=False)
    return vectors[np.sort(chosen)]


def by_channel(layer: MatrixLayer, tensor: AnyArray, *, result: bool) -> AnyArray:
    """Values of a layer's input or output; axes: position, channel."""
    axis = 1
    if isinstance(layer.geometry, Dense):
        axis = layer.geometry.output_axis if result else layer.geometry.contract_axis
        axis = -1 if tensor.ndim == 1 else axis
    return np.moveaxis(tensor, axis, -1).reshape(-1, tensor.shape[axis])


def watched_sums(step: CrossbarStep, batches: Sequence[Values]) -> SumHistogram:
    """Column sums of a lossless layer on calibration data.

    Args:
        step: lossless, so that codes are sums.
        batches: values that the layer reads, by name.
    """
    each = step.groups * step.inputs * step.cells.columns * step.input_slices
    most = int(np.clip(_PRODUCTS // max(1, each), _LEAST_VECTORS, _VECTORS))
    share = max(1, most // max(1, len(batches)))
    kept = [_drawn(part, share) for values in batches for part in input_vectors(step, values)]
    vectors = np.concatenate(kept).astype(np.int64)
    trace = LayerTrace(keep_codes=True)
    accumulators = ReferenceLayer(step).accumulate(vectors, trace)
    lo = np.moveaxis(step.adc.lo.astype(np.int64), 2, 3)
    return sum_histogram(step, trace.codes[0] + lo, accumulators)


@dataclass(frozen=True)
class Request:
    """What equalisation and the one range need to know of a compilation.

    Attributes:
        share: what has a scale of its own: nothing, a layer, or a channel.
        uniform: whether all layers share one range.
        bits: of weights, activations and converters.
        active_rows: wordlines driven together.
    """

    share: Share
    uniform: bool
    bits: Bits
    active_rows: int

    @property
    def scales(self) -> bool:
        """Whether the reader has to find out which channels may be scaled."""
        return self.uniform or self.share != "none"


def make_request(target: Target, options: CompileOptions, bits: tuple[int, int]) -> Request:
    """What was asked for; None takes the target's word, and scales channels for one range.

    Args:
        target: the chip.
        options: of the compilation; the converters' width is that of the one range, where it is a
            number.
        bits: of weights and of activations.

    Raises:
        MappingError: layers that share a range cannot have what was asked for.
    """
    one = target.precision.uniform if options.uniform is None else options.uniform
    chosen: Share = options.equalise or ("channel" if one else "none")
    if one and options.encoding == AUTO:
        raise MappingError(
            "all layers are alike, so none has an encoding of its own",
            where="--encoding auto",
            hint="name an encoding, or leave --uniform out",
        )
    if one and options.adc_policy != "lossless" and not options.adc_policy.isdecimal():
        raise MappingError(
            f"--adc {options.adc_name} gives layers converters of their own",
            where="--uniform",
            hint="--adc BITS, or nothing: then as many bits as the target's converter has",
        )
    adc = int(options.adc_policy) if options.adc_policy.isdecimal() else target.adc.max_bits
    widths = Bits(_weight_bits(target, options, bits[0]), bits[1], adc if one else 0)
    return Request(chosen, one, widths, target.array.active_rows)


def _weight_bits(target: Target, options: MapOptions, bits: int) -> int:
    """Bits of the integers that the cells of a weight hold, where their number is given."""
    if options.weight_slices is None or options.encoding == AUTO:
        return bits
    encoding = encoding_of(options)
    low, high = encoding.reach(target.cell.bits, options.weight_slices)
    return max(-low, high).bit_length() + 1


@dataclass(frozen=True, eq=False)
class Whole:
    """What was chosen for a network as a whole.

    Attributes:
        network: with its channels scaled.
        one: the range that all layers share, or None.
        bits: of weights, activations and converters.
        adc: the setting that all converters share, once it is known.
    """

    network: Network
    one: OneRange | None
    bits: Bits
    adc: AdcSettings | None = None

    def steps(self, layer: MatrixLayer) -> LayerSteps | None:
        """The steps that a layer shares with all others; None where each has its own."""
        return None if self.one is None else self.one.layers[layer.name]

    def quantized(self, layer: MatrixLayer, steps: LayerSteps) -> tuple[MatrixLayer, MatrixLayer]:
        """A layer with shared input codes, and the same with plainly rounded weights."""
        ranged = input_alike(layer, steps, self.bits.activations)
        return ranged, weights_alike(ranged, steps, self.bits.weights)

    def finished(self, layer: MatrixLayer, step: CrossbarStep) -> CrossbarStep:
        """A step that remembers how it was scaled, with the converters that all share."""
        adc = step.adc if self.adc is None else self.adc
        return replace(step, equalised=layer.equalised, adc=adc)

    def read_by(self, sums: Sequence[SumHistogram]) -> Whole:
        """The same with the converter setting that suits these sums."""
        lo, step = choose_adc(sums, self.bits.converters)
        return replace(self, adc=one_setting(lo, step, self.bits.converters))

    def settings(self) -> dict[str, str]:
        """What was chosen, for people."""
        found = {}
        if self.one is not None:
            weight, source = self.one.weight_step, self.one.input_step
            found["one_range"] = f"weight step {weight:.6g}, input step {source:.6g}"
        if self.adc is not None:
            lo, step, bits = (int(a.item()) for a in (self.adc.lo, self.adc.step, self.adc.bits))
            found["one_converter"] = f"lo {lo}, step {step}, {bits} bits"
        return found


def plan_whole(
    network: Network, model: FloatModel, batches: Sequence[Values], request: Request
) -> Whole:
    """Scale a network's channels, and choose the range that its layers share.

    Raises:
        MappingError: one range was asked for without data, or for a layer that cannot take part.
    """
    if request.uniform:
        _check_uniform(network, batches)
    elif request.share == "none":
        return Whole(network, None, request.bits)
    elif not batches:
        return Whole(apply_scales(network, balance_weights(network)), None, request.bits)
    statistics = channel_statistics(network, model, batches)
    one = choose_one_range(
        network,
        statistics,
        request.bits,
        request.active_rows,
        request.share,
        own=not request.uniform,
    )
    scaled = apply_scales(network, one.scales)
    return Whole(scaled, one if request.uniform else None, request.bits)


def _check_uniform(network: Network, batches: Sequence[Values]) -> None:
    if not batches:
        raise MappingError(
            "one range for all layers is chosen from data, and there is none",
            where="--uniform",
            hint="--calibrate DATA.npz; inputs without labels are enough",
        )
    free = network.scales.layers if network.scales is not None else {}
    for layer in network.matrix_layers:
        if layer.name not in free:
            raise MappingError(
                "has integer weights, or a stack of matrices, and cannot share a range",
                where=layer.name,
                hint="leave --uniform out, or compile the float model",
            )

"""Equalisation and one range for all layers: what has to be known about the whole network.

The channels of the float network are described by a few numbers each (`instruments.channels`);
`passes.one_range` turns these into scales and steps. The converters' one range comes from the
column sums of a program that is lossless still.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from xbarc.errors import MappingError, say_count
from xbarc.ir import AdcSettings, ChannelStatistics, CrossbarStep, MatrixLayer, Network
from xbarc.mapping import SumHistogram, choose_adc, encoding_of, one_setting
from xbarc.options import AUTO, CompileOptions, MapOptions, Share
from xbarc.passes import (
    Bits,
    LayerSteps,
    OneRange,
    apply_scales,
    balance_weights,
    choose_one_range,
    with_input_step,
    with_weight_step,
)
from xbarc.target import Target


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
            "all layers share one range, so none has an encoding of its own",
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
    # Where cells are counted, integers are as wide as these cells hold, not as asked for.
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

    def quantize(self, layer: MatrixLayer, steps: LayerSteps) -> tuple[MatrixLayer, MatrixLayer]:
        """A layer with shared input codes, and the same with plainly rounded weights."""
        ranged = with_input_step(layer, steps, self.bits.activations)
        return ranged, with_weight_step(ranged, steps, self.bits.weights)

    def share_adc(self, step: CrossbarStep) -> CrossbarStep:
        """A step with the converters that all share, where they do."""
        return step if self.adc is None else replace(step, adc=self.adc)

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
            found["one_converter"] = f"lo {lo}, step {step}, {say_count(bits, 'bit')}"
        return found


def plan_whole(
    network: Network, statistics: Mapping[str, ChannelStatistics] | None, request: Request
) -> Whole:
    """Scale a network's channels, and choose the range that its layers share.

    Args:
        network: with `scales`.
        statistics: of its channels on data; None where there is none.
        request: what was asked for.

    Raises:
        MappingError: one range was asked for without data, or for a layer that cannot take part.
    """
    if request.uniform:
        if statistics is None:
            raise MappingError(
                "one range for all layers is chosen from data, and there is none",
                where="--uniform",
                hint="--calibrate DATA.npz; inputs without labels are enough",
            )
        _check_uniform(network)
    elif request.share == "none":
        return Whole(network, None, request.bits)
    if statistics is None:
        # Without data, channels are balanced by their weights alone.
        return Whole(apply_scales(network, balance_weights(network)), None, request.bits)
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


def _check_uniform(network: Network) -> None:
    free = network.scales.layers if network.scales is not None else {}
    for layer in network.matrix_layers:
        if layer.name not in free:
            raise MappingError(
                "cannot share a range: it has integer weights, a stack of matrices, or an input "
                "whose shape is not known before it runs",
                where=layer.name,
                hint="compile the float model, say the shape with --shape, or leave --uniform out",
            )

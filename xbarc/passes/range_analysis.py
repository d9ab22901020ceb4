"""Range analysis of inputs: fewer input bits, and intervals that narrow converters."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from xbarc.ir import (
    InputFacts,
    IntegerInput,
    MatrixLayer,
    Narrowed,
    StaticInput,
    Step,
    Value,
    ValueRanges,
)
from xbarc.numerics import bits_for


class Facts:
    """Facts about the inputs of layers, in execution order.

    Args:
        inputs: of the network.
        mode: `all`, `structure` or `none`.
        lossless: whether converters are set from the cells, so that intervals serve them and sums
            are what weights make them.
    """

    def __init__(self, inputs: Iterable[Value], mode: str, *, lossless: bool) -> None:
        self._mode, self._lossless = mode, lossless
        self._left: list[Step] = []
        borders = tuple(inputs)
        self._structure = ValueRanges(borders, weights=False)
        self._sums = ValueRanges(borders) if mode == "all" and lossless else None

    @property
    def rules(self) -> tuple[str, bool]:
        """What is found depends on these, on the network, and on what the steps so far compute."""
        return self._mode, self._lossless

    def advance(self, step: Step) -> None:
        """Take in what a step writes, once somebody asks for it."""
        self._left.append(step)

    def _catch_up(self) -> None:
        for step in self._left:
            self._structure.advance(step)
            if self._sums is not None:
                self._sums.advance(step)
        self._left.clear()

    def known(self, layer: MatrixLayer) -> MatrixLayer:
        """The layer with as few input bits as its codes need, and with the intervals that are left.

        Input bits follow from the structure of the network alone, so that they are right on a chip
        whose sums are not.
        """
        if self._mode == "none":
            return layer
        self._catch_up()
        layer = _narrow_codes(layer, _facts(self._structure, layer))
        if not self._lossless:
            return layer
        return replace(layer, facts=_facts(self._sums or self._structure, layer))


def with_codes_of(layer: MatrixLayer, other: MatrixLayer) -> MatrixLayer:
    """The layer with another one's codes."""
    return replace(layer, quantizer=other.quantizer, facts=other.facts, narrowed=other.narrowed)


def _facts(ranges: ValueRanges, layer: MatrixLayer) -> InputFacts | None:
    form = (layer.groups, layer.rows)
    return ranges.facts(layer.input, layer.quantizer, layer.geometry, form)


def _narrow_codes(layer: MatrixLayer, facts: InputFacts | None) -> MatrixLayer:
    """Codes counted from the least one that occurs, where that takes fewer bits."""
    if facts is None or not facts.low.size:
        return layer
    low, high = int(facts.low.min()), int(facts.high.max())
    quantizer = layer.quantizer
    least, most = bits_for(high - low), bits_for(high)
    saved = Narrowed(getattr(quantizer, "bits", 0), facts.reasons)
    if isinstance(quantizer, IntegerInput) and least < quantizer.bits:
        first = quantizer.low + (low if least < most else 0)
        return replace(layer, quantizer=replace(quantizer, low=first, bits=least), narrowed=saved)
    if isinstance(quantizer, StaticInput) and most < quantizer.bits:
        return replace(layer, quantizer=replace(quantizer, bits=most), narrowed=saved)
    return layer

"""What an executor saw, filled by an observer so that counting stays out of the arithmetic."""

from __future__ import annotations

from dataclasses import dataclass, field

from xbarc.numerics import Int64Array, IntArray, short_repr


@dataclass(eq=False)
class LayerTrace:
    """Counts, and codes on request, of one crossbar layer.

    Attributes:
        keep_codes: whether codes are kept.
        vectors: input vectors that went through the layer.
        conversions: conversions made; of 0 bits there are none.
        saturated: sums that lay outside what is read, a constant in place of a conversion included.
        codes: a list of arrays, one a piece of vectors; axes: vector, group, segment, input slice,
            conversion. Empty unless codes are kept.
        inputs: a list of arrays as `codes`, what the wordlines of those vectors carried; axes:
            vector, group, input.
    """

    keep_codes: bool = False
    vectors: int = 0
    conversions: int = 0
    saturated: int = 0
    codes: list[Int64Array] = field(default_factory=list)
    inputs: list[IntArray] = field(default_factory=list)

    __repr__ = short_repr


@dataclass(eq=False)
class Trace:
    """Counts by layer name.

    Attributes:
        keep_codes: whether every code is kept, which makes each layer run conversion by conversion.
    """

    keep_codes: bool = False
    layers: dict[str, LayerTrace] = field(default_factory=dict)

    def __repr__(self) -> str:
        saturated = sum(layer.saturated for layer in self.layers.values())
        kept = ", codes kept" if self.keep_codes else ""
        return f"<Trace of {len(self.layers):,} layers: {saturated:,} conversions saturated{kept}>"

    def layer(self, name: str) -> LayerTrace:
        """The counts of one layer, made when first asked for."""
        # On demand: an observer does not know which layers will run.
        return self.layers.setdefault(name, LayerTrace(self.keep_codes))

    def join(self, later: Trace) -> None:
        """Add what later batches gave."""
        for name, seen in later.layers.items():
            mine = self.layer(name)
            mine.vectors += seen.vectors
            mine.conversions += seen.conversions
            mine.saturated += seen.saturated
            mine.codes += seen.codes
            mine.inputs += seen.inputs

"""Integer formats: how many bits a number has and whether it carries a sign."""

from __future__ import annotations

from dataclasses import dataclass

from xbarc.numerics.types import IntArray


@dataclass(frozen=True)
class IntFormat:
    """A two's complement or unsigned integer format of `bits` bits (1 to 62)."""

    bits: int
    signed: bool

    def __post_init__(self) -> None:
        if not 1 <= self.bits <= 62:
            raise ValueError(f"an integer format has 1 to 62 bits, not {self.bits}")

    @property
    def min(self) -> int:
        """The smallest number of the format."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def max(self) -> int:
        """The largest number of the format."""
        return (1 << (self.bits - 1)) - 1 if self.signed else (1 << self.bits) - 1

    def contains(self, values: IntArray) -> bool:
        """Say whether every number fits."""
        if not values.size:
            return True
        return int(values.min()) >= self.min and int(values.max()) <= self.max

    def __str__(self) -> str:
        return f"{'int' if self.signed else 'uint'}{self.bits}"


def bits_for(largest: int) -> int:
    """Bits that hold the unsigned numbers 0 to `largest`; at least one."""
    if largest < 0:
        raise ValueError(f"bits_for takes a number that is not negative, not {largest}")
    return max(1, largest.bit_length())


def narrowest_format(low: int, high: int) -> IntFormat:
    """The narrowest format that holds both numbers."""
    if low >= 0:
        return IntFormat(bits_for(high), signed=False)
    return IntFormat(bits_for(max(high, -low - 1, 0)) + 1, signed=True)


def magnitude_bits(values: IntArray) -> int:
    """Bits that hold the magnitude of every number: 8, not 7, when -128 is among them."""
    if not values.size:
        return 1
    return bits_for(max(-int(values.min()), int(values.max()), 0))

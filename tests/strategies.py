"""What hypothesis draws: as the conformance kit, which is for our own encodings too."""

from xbarc.testing.cases import Case
from xbarc.testing.strategies import cases, geometries, integers_of, targets

__all__ = ["Case", "cases", "geometries", "integers_of", "targets"]

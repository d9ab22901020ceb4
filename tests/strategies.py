"""What hypothesis draws: as the conformance kit, which is for our own encodings too."""

from hypothesis import strategies as st

from xbarc.testing.cases import Case
from xbarc.testing.strategies import cases, geometries, integers_of, targets

__all__ = ["CHARACTERS", "Case", "cases", "geometries", "integers_of", "targets"]

CHARACTERS = st.characters(exclude_categories=["Cs"])
"""All that UTF-8 can write. `st.text()` alone draws from the same, and for that encodes every
character that there is: three seconds in each process of a fresh checkout."""

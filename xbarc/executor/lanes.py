"""Sizes that compiled loops share with their callers, who must not load a compiler to know them."""

LANES = 32
"""Input vectors that one pass of the lookup loop handles."""

PAIRED = LANES // 2
"""Input vectors of a pass where sums stay bytes: each has a lane for an even and an odd bit."""

NIBBLES = 8
"""Lookups that are added as bytes before they are widened to 16 bits."""

DIGIT_BITS = 3
"""Cells enter tables in digits of 3 bits: 8 sums of 4 digits reach 8 x 4 x 7 = 224, a byte."""

WORDS = 8
"""64-bit words of a plane of the comparing loop."""

BLOCK = 64 * WORDS
"""Vectors that one pass of the comparing loop handles."""

AT_ONCE = 16
"""Planes that one step of it adds; lists of planes are filled up with a plane of zeros."""

LOW_BITS = 4
"""Bits of a sum that a step adds to at once: its planes are `2**LOW_BITS`."""

DIGITS = 4
"""Bytes of a sum of four real cells: three that are widened, and the highest, which wraps."""

LOW_DIGIT_BITS = 5
"""Bits of the two lowest of them; the third has 6, so that three digits are 16 bits."""

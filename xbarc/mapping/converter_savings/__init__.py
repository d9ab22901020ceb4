"""ADC savings: the same results with narrower lossless converters; the option `--adc-savings`.

`savings` applies what was asked for: `centring` subtracts a number from all weights of an output,
`dealing` chooses which inputs share a row block, `grouping` which columns share a converter (its
side conditions are in `assignment`), and `times` says how long that takes. Digits have a room of
their own, `recoding/`. A new saving is a file here, a call in `savings`, and a name in
`xbarc.options`.
"""

from xbarc.mapping.converter_savings.savings import apply_to_columns, apply_to_weights, idle_savings
from xbarc.mapping.converter_savings.times import search_seconds

__all__ = ["apply_to_columns", "apply_to_weights", "idle_savings", "search_seconds"]

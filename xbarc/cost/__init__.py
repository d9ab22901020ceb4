"""Costs: counts of what happens and of what stands there, times the figures of the target.

One code path: a step is counted (`counting`), hardware is shared out (`hardware`), cycles are timed
(`timing`), and `parts` turns any `Counts` into rows whose sum is the total. `program` puts them
together, `device` estimates what the counts leave out. To add a component, add a count, a line in
`parts`, and a figure to the target.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

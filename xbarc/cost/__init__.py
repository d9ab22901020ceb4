"""Costs: counts of what happens and of what stands there, times the figures of the target.

One code path: `step_counts` counts what a step does, `hardware` shares out what stands there,
`timing/` says when it happens, and `parts` turns any `Counts` into rows whose sum is the total.
`program` puts them together, `device` estimates what the counts leave out, `converters/` prices
converters, `mesh/` places layers and counts what routers carry. To add a component, add a count, a
line in `parts`, and a figure to the target.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

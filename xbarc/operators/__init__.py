"""What each ONNX operator does, once: every room that has a question about operators asks here.

A row of `table.ROWS` is pure data: where entries of the result come from, whether they are moved or
computed and by which function, which factors pass, what bounds the result, which integers ONNX
Runtime runs it on. Readers of positions (`cost.timing`), of ranges (`intervals`), of scales, levels
and integers (`frontend`) act on those answers and on no names.

To add an operator, add its row. What follows from the row works at once, ranges included. Where an
answer takes more than the row can say, such as a range that depends on an attribute, write the rule
in the room that needs it: `intervals`, `frontend.scales.scale_equivariant` or
`frontend.quantised.propagate_integers`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

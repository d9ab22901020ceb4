"""Chains: the order and signs of outputs whose neighbours share a column.

Encodings that share columns need small steps between neighbours. `order` lowers the steps of real
weights; `search` finds an order in which given integers fit exactly, where there is one, and asks
`beam` where rows are few. To judge another order, give `order` another field of costs; each keeps
its loops in a file of kernels.
"""

from xbarc.mapping.chains.order import Arrangement, arrange, plain_arrangement
from xbarc.mapping.chains.search import find_order

__all__ = ["Arrangement", "arrange", "find_order", "plain_arrangement"]

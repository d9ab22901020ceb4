"""Names of the inputs and outputs of a layer, by their index in its matrix."""

from __future__ import annotations

from math import prod

from xbarc.ir import CrossbarStep, Scatter, Window


def name_input(step: CrossbarStep, group: int, index: int) -> str:
    """Channel and place in the kernel of a convolution, the index of a product."""
    kernel = step.geometry.kernel if isinstance(step.geometry, Window) else ()
    return _name(step, ("c", "in"), group * step.inputs + index, kernel)


def name_output(step: CrossbarStep, group: int, index: int) -> str:
    """Channel of a convolution, channel and place in the kernel of a transposed one."""
    kernel = step.geometry.kernel if isinstance(step.geometry, Scatter) else ()
    return _name(step, ("out ", "out"), group * step.outputs + index, kernel)


def _name(step: CrossbarStep, words: tuple[str, str], index: int, kernel: tuple[int, ...]) -> str:
    if not isinstance(step.geometry, Window | Scatter):
        return f"{words[1]} {index}"
    channel, place = divmod(index, prod(kernel))
    found = []
    for size in reversed(kernel):
        place, at = divmod(place, size)
        found.append(str(at))
    return f"{words[0]}{channel}{' ' + ','.join(reversed(found)) if found else ''}"

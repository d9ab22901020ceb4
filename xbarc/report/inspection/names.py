"""Names of the inputs and outputs of a layer, by their index in its matrix."""

from __future__ import annotations

from math import prod

from xbarc.ir import CrossbarStep, Scatter, Window


def name_input(step: CrossbarStep, group: int, index: int) -> str:
    """Channel and place in the kernel of a convolution, the index of a product."""
    if not isinstance(step.geometry, Window | Scatter):
        return _name_product(step, group, f"in {index}")
    kernel = step.geometry.kernel if isinstance(step.geometry, Window) else ()
    return f"c{_name_place(group * step.inputs + index, kernel)}"


def name_output(step: CrossbarStep, group: int, index: int) -> str:
    """Channel of a convolution, channel and place in the kernel of a transposed one."""
    if not isinstance(step.geometry, Window | Scatter):
        return _name_product(step, group, f"out {index}")
    kernel = step.geometry.kernel if isinstance(step.geometry, Scatter) else ()
    return f"out {_name_place(group * step.outputs + index, kernel)}"


def _name_product(step: CrossbarStep, group: int, name: str) -> str:
    """Several products at once count their inputs and outputs each from 0."""
    return f"matrix {group}, {name}" if step.groups > 1 else name


def _name_place(index: int, kernel: tuple[int, ...]) -> str:
    channel, place = divmod(index, prod(kernel))
    found = []
    for size in reversed(kernel):
        place, at = divmod(place, size)
        found.append(str(at))
    return f"{channel}{' ' + ','.join(reversed(found)) if found else ''}"

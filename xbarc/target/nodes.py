"""Figures of one technology node at another: Stillmaker and Baas, Integration 58, 2017.

Areas come from their table of ratios, energies from their quadratic laws in the supply voltage, at
0.8 V. A node between two of the table is interpolated linearly, areas by way of 32 nm so that there
and back is where one was. The laws are those of digital logic: capacitor arrays shrink more slowly.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from xbarc.errors import TargetError

SOURCE = "stillmaker2017"
# One supply for all nodes, so that the ratio is that of technology alone.
_VOLTS = 0.8
# The nodes of both tables below.
_NODES = (7, 10, 14, 16, 20, 32, 45, 65, 90, 130)
# area(to) = area(from) * _AREA[from][to], columns as _NODES
_AREA: dict[int, tuple[float, ...]] = {
    130: (0.0092, 0.016, 0.027, 0.03, 0.033, 0.072, 0.16, 0.23, 0.44, 1),
    90: (0.021, 0.036, 0.061, 0.067, 0.075, 0.16, 0.35, 0.53, 1, 2.3),
    65: (0.039, 0.068, 0.12, 0.13, 0.14, 0.31, 0.66, 1, 1.9, 4.3),
    45: (0.059, 0.1, 0.17, 0.19, 0.21, 0.46, 1, 1.5, 2.8, 6.4),
    32: (0.13, 0.22, 0.38, 0.41, 0.46, 1, 2.2, 3.3, 6.1, 14),
    20: (0.28, 0.48, 0.82, 0.89, 1, 2.2, 4.7, 7.1, 13, 30),
    16: (0.31, 0.54, 0.91, 1, 1.1, 2.4, 5.3, 7.9, 15, 34),
    14: (0.34, 0.59, 1, 1.1, 1.2, 2.7, 5.8, 8.7, 16, 37),
    10: (0.58, 1, 1.7, 1.9, 2.1, 4.5, 9.8, 15, 28, 63),
    7: (1, 1.7, 2.9, 3.2, 3.6, 7.8, 17, 25, 48, 110),
}
# Coefficients of V**2, V and 1 in the paper's polynomial of the energy at each node; only ratios of
# them are used, so that the unit cancels.
_ENERGY: dict[int, tuple[float, float, float]] = {
    130: (7.171, -6.709, 2.904),
    90: (4.762, -4.781, 2.092),
    65: (3.755, -4.398, 1.975),
    45: (1.103, -0.362, 0.2767),
    32: (0.9559, -0.7823, 0.471),
    20: (0.373, -0.1582, 0.04104),
    16: (0.2958, -0.1241, 0.03024),
    14: (0.2363, -0.09675, 0.02239),
    10: (0.2068, -0.09311, 0.02375),
    7: (0.1776, -0.09097, 0.02447),
}


def area_factor(from_nm: float, to_nm: float) -> float:
    """What an area at one node is multiplied by to stand at another.

    Raises:
        ValueError: a node is outside 7 to 130 nm.
    """
    # The published ratio itself, not one by way of 32 nm: the table is rounded to two digits, so
    # that products of two of its entries may differ from the third.
    if from_nm in _NODES and to_nm in _NODES:
        return float(_AREA[int(from_nm)][_NODES.index(int(to_nm))])
    to_32 = [_AREA[node][_NODES.index(32)] for node in _NODES]
    return _interpolate(from_nm, to_32) / _interpolate(to_nm, to_32)


def energy_factor(from_nm: float, to_nm: float) -> float:
    """What an energy at one node is multiplied by to stand at another, both at 0.8 V.

    Raises:
        ValueError: a node is outside 7 to 130 nm.
    """
    laws = [a * _VOLTS**2 + b * _VOLTS + c for a, b, c in (_ENERGY[n] for n in _NODES)]
    return _interpolate(to_nm, laws) / _interpolate(from_nm, laws)


def _interpolate(node_nm: float, values: Sequence[float]) -> float:
    """Linear interpolation over the nodes."""
    if not _NODES[0] <= node_nm <= _NODES[-1]:
        raise ValueError(f"{node_nm:g} nm is outside {_NODES[0]} to {_NODES[-1]} nm")
    # `min`, because at 130 nm itself there is no node above.
    above = min(bisect_right(_NODES, node_nm), len(_NODES) - 1)
    low, high = _NODES[above - 1], _NODES[above]
    share = (node_nm - low) / (high - low)
    return float(values[above - 1] * (1 - share) + values[above] * share)


FACTORS = {"pJ": energy_factor, "um2": area_factor}


def at_node(data: Any, node_nm: Any, where: str, path: str = "") -> Any:
    """The data of a target, each figure with a `node_nm` of its own scaled to the target's.

    What it was, where it held and the factor stay beside the value as `scaled`.

    Raises:
        TargetError: a figure cannot be scaled.
    """
    if isinstance(data, list):
        return [at_node(item, node_nm, where, f"{path}{i}.") for i, item in enumerate(data)]
    if not isinstance(data, dict):
        return data
    # Data, before it is validated: a figure is recognised by its keys. The target's own `node_nm`
    # stands beside no `unit`.
    if "unit" in data and "node_nm" in data:
        return _scale_figure(data, node_nm, where, path.rstrip("."))
    return {key: at_node(item, node_nm, where, f"{path}{key}.") for key, item in data.items()}


def _scale_figure(figure: Mapping[str, Any], node_nm: Any, where: str, path: str) -> dict[str, Any]:
    rest = {key: value for key, value in figure.items() if key != "node_nm"}
    unit, own = figure["unit"], figure["node_nm"]
    if not isinstance(unit, str):
        return rest  # the schema says so
    if unit not in FACTORS:
        raise TargetError(f"{path}: node_nm scales pJ and um2, not {unit}", where=where)
    if not _is_number(own):
        raise TargetError(f"{path}: node_nm is a number, found {own!r}", where=where)
    if not (_is_number(node_nm) and _is_number(figure.get("value"))):
        return rest  # the schema says what is wrong with those
    try:
        factor = FACTORS[unit](own, node_nm)
    except ValueError as error:
        hint = "scale by hand, and say so in the note"
        raise TargetError(f"{path}: {error}", where=where, hint=hint) from error
    ends = {
        key: rest[key] * factor for key in ("value", "low", "high") if _is_number(rest.get(key))
    }
    was = {"from_nm": own, "value": figure["value"], "factor": factor, "source": SOURCE}
    return {**rest, **ends, "scaled": was}


def _is_number(value: Any) -> bool:
    # TOML's true would pass as 1 nm.
    return isinstance(value, (int, float)) and not isinstance(value, bool)

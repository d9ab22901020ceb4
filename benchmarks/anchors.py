"""Rebuild published totals by the code that reports use, and print them beside each other.

    python benchmarks/anchors.py            print the table
    python benchmarks/anchors.py --write    and write docs/reference/anchors-table.md

`anchors.toml` says which target, which level of its hierarchy and which quantity; nothing here
computes a cost.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import fsum
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks import nets
from xbarc.compiler import CompileOptions, compile_model
from xbarc.cost import ChipCost, adc_area_um2, adc_energy_pj, chip_cost, parse_policy
from xbarc.cost.converters.adc_models import adc_opinions
from xbarc.cost.parts import CostPart
from xbarc.report import Report, collect
from xbarc.target import Target, load_target

TABLE = ROOT / "docs" / "reference" / "anchors-table.md"
Row = dict[str, Any]


@dataclass(frozen=True)
class Anchor:
    """One published number and ours."""

    row: Row
    rebuilt: float

    @property
    def error(self) -> float:
        """Relative error of ours."""
        return self.rebuilt / float(self.row["published"]) - 1

    @property
    def holds(self) -> bool:
        """Say whether ours is as near as the row asks for."""
        if "factor" in self.row:
            ratio = self.rebuilt / float(self.row["published"])
            return max(ratio, 1 / ratio) <= float(self.row["factor"])
        return abs(self.error) <= float(self.row["tolerance"])


def rows() -> list[Row]:
    """All rows of the data file."""
    found: list[Row] = tomllib.loads((Path(__file__).parent / "anchors.toml").read_text())["row"]
    return found


def rebuild(row: Row) -> Anchor:
    """Evaluate one row."""
    if row["quantity"] in NETWORKS:
        return Anchor(row, NETWORKS[row["quantity"]](row))
    target = load_target(row["target"], row.get("set", ()))
    return Anchor(row, QUANTITIES[row["quantity"]](row, target))


def roll_up(row: Row, target: Target) -> ChipCost:
    return chip_cost(target, row.get("level", "chip"), row.get("slice_bits"))


def _chosen(parts: Sequence[CostPart], row: Row) -> list[CostPart]:
    """The parts that a row names, or all but those that it leaves out."""
    names, without = tuple(row.get("parts", ("",))), tuple(row.get("without", ()))
    kept = [part for part in parts if part.name.startswith(names)]
    return [part for part in kept if not (without and part.name.startswith(without))]


def _sum(parts: Sequence[CostPart]) -> float:
    return fsum(part.total or 0.0 for part in parts)


def _power_mw(row: Row, target: Target) -> float:
    cost = roll_up(row, target)
    power = _sum(_chosen(cost.energy, row)) / cost.timing.vector_ns
    return power + float(row.get("leakage_mw", 0.0))


def _area_um2(row: Row, target: Target) -> float:
    return _sum(_chosen(roll_up(row, target).area, row)) / float(row.get("per", 1))


def _power_share(row: Row, target: Target) -> float:
    energy = roll_up(row, target).energy
    return _sum(_chosen(energy, row)) / _sum(energy)


def _area_share(row: Row, target: Target) -> float:
    area = roll_up(row, target).area
    return _sum(_chosen(area, row)) / _sum(area)


def _gops(row: Row, target: Target) -> float:
    """Throughput, at the operating point that the row gives for it."""
    if "rate_set" in row:
        target = load_target(row["target"], [*row.get("set", ()), *row["rate_set"]])
    return roll_up(row, target).gops


def _over(row: Row, default: float) -> float:
    return float(row.get("over", default))


QUANTITIES: dict[str, Callable[[Row, Target], float]] = {
    "power_mw": _power_mw,
    "power_w": lambda row, target: _power_mw(row, target) / 1e3,
    "area_um2": _area_um2,
    "area_mm2": lambda row, target: _area_um2(row, target) / 1e6,
    "power_share": _power_share,
    "area_share": _area_share,
    "gops": _gops,
    "gops_per_w": lambda row, target: _gops(row, target) / _over(row, _power_mw(row, target) / 1e3),
    "tops_per_w": lambda row, target: _gops(row, target) / _power_mw(row, target),
    "gops_per_mm2": lambda row, target: (
        _gops(row, target) / _over(row, _area_um2(row, target) / 1e6)
    ),
    "mib": lambda row, target: roll_up(row, target).capacity_mib,
    "mib_per_mm2": lambda row, target: (
        roll_up(row, target).capacity_mib / (_area_um2(row, target) / 1e6)
    ),
    "conversions_per_mac": lambda row, target: roll_up(row, target).conversions_per_mac,
    "vector_ns": lambda row, target: roll_up(row, target).timing.vector_ns,
    "vector_us": lambda row, target: roll_up(row, target).timing.vector_ns / 1e3,
    "adc_energy_pj": lambda row, target: adc_energy_pj(row["bits"], target.costs.adc),
    "adc_area_um2": lambda row, target: adc_area_um2(row["bits"], target.costs.adc),
    "andrulis_pj": lambda row, target: adc_opinions(row["bits"], target)[2].energy_pj or 0.0,
    "andrulis_um2": lambda row, target: adc_opinions(row["bits"], target)[2].area_um2 or 0.0,
}


@lru_cache(maxsize=4)
def _network(name: str, target: str, settings: tuple[str, ...], options: str) -> Report:
    """Report of a net with random weights; rows that differ only in the quantity share it."""
    encoding, adc, copies = options.split(",")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.onnx"
        getattr(nets, name)(path)
        chip = load_target(_place(target), settings)
        program = compile_model(path, chip, options=CompileOptions(encoding=encoding, adc=adc))
        return collect(program, parse_policy(copies, chip))


def _place(target: str) -> str | Path:
    """A file of this repository, or the name of a shipped target."""
    return ROOT / target if target.endswith(".toml") else target


def _compiled(row: Row) -> Report:
    options = row.get("compile", {"encoding": "differential", "adc": "lossless"})
    return _network(
        row["network"],
        row["target"],
        tuple(row.get("set", ())),
        f"{options['encoding']},{options['adc']},{options.get('duplicate', 'none')}",
    )


def _network_tops(row: Row) -> float:
    totals = _compiled(row).totals
    return 2 * (totals.macs_crossbar or 0) * (totals.inferences_per_s or 0.0) / 1e12


def _tops_per_w(row: Row) -> float:
    return _compiled(row).totals.tops_per_watt or 0.0


def _gain(row: Row) -> float:
    """Efficiency with the row's settings over that with the settings that it names beside them."""
    return _tops_per_w(row) / _tops_per_w({**row, "set": row["beside"]})


NETWORKS: dict[str, Callable[[Row], float]] = {
    "network_ops": lambda row: float(2 * (_compiled(row).totals.macs_crossbar or 0)),
    "network_mm2": lambda row: _compiled(row).totals.area_mm2 or 0.0,
    "network_tops": _network_tops,
    "network_tops_per_w": _tops_per_w,
    "network_gain": _gain,
}


def _remark(anchor: Anchor) -> str:
    note = str(anchor.row.get("note", ""))
    return note if anchor.holds else f"**not reached**; {anchor.row.get('open', note)}"


def table(found: Sequence[Anchor]) -> str:
    """The Markdown table of the docs."""
    lines = ["| anchor | kind | published | rebuilt | error | accepted | source | note |"]
    lines.append("|---|---|---|---|---|---|---|---|")
    for anchor in found:
        row = anchor.row
        accepted = f"factor {row['factor']:g}" if "factor" in row else f"{row['tolerance']:.2%}"
        ratio = anchor.rebuilt / row["published"]
        error = f"x {ratio:.2f}" if "factor" in row else f"{anchor.error:+.2%}"
        lines.append(
            f"| {row['id']} | {row['kind']} | {row['published']:g} {row['unit']} "
            f"| {anchor.rebuilt:.5g} | {error} | {accepted} | {row['source']} "
            f"| {_remark(anchor)} |"
        )
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    write = parser.parse_args().write
    found = [rebuild(row) for row in rows()]
    text = table(found)
    print(text)
    if write:
        TABLE.write_text(text)
    return 0 if all(anchor.holds or "open" in anchor.row for anchor in found) else 1


if __name__ == "__main__":
    sys.exit(main())

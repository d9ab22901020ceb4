"""What each cost figure is given per, and how it grows: one law a field, all our model."""

from __future__ import annotations

from xbarc.target.costs import Component
from xbarc.target.growth import Law

LAWS: dict[str, Law] = {
    "adc.rate": Law("converter", why="a conversion takes as long whatever its bits"),
    "costs.adc.energy_linear": Law(
        "bit of a conversion", why="the law of the converter grows with its bits"
    ),
    "costs.adc.energy_exponential": Law(
        "level of a conversion", why="the law of the converter grows with its bits"
    ),
    "costs.adc.energy_scale": Law("conversion", why="a factor"),
    "costs.adc.area_linear": Law(
        "bit of a converter", why="the law of the converter grows with its bits"
    ),
    "costs.adc.area_exponential": Law(
        "level of a converter", why="the law of the converter grows with its bits"
    ),
    "costs.adc.comparator_energy": Law(
        "comparison", why="one column at a time, however long it is"
    ),
    "costs.adc.comparator_area": Law("comparator", why="one column at a time, however long it is"),
    "costs.adc.thermal": Law("conversion", why="grows with `4**bits` by its own law"),
    "costs.adc.thermal_margin": Law("conversion", why="a factor"),
    "costs.cycle": Law(
        "array read", ("line-settling",), why="more active rows settle on the same lines"
    ),
    "costs.array_energy": Law(
        "array read",
        (
            "active-rows",
            "columns",
            "conductance",
            "voltage-squared",
        ),
        why="cells conduct for as long as in the source; each row that may be active is charged",
    ),
    "costs.cell_area": Law("cell", why="bits of a cell are levels of one device"),
    "costs.driver_energy": Law(
        "wordline drive",
        (
            "columns",
            "line-capacitance",
            "voltage-squared",
            "dac-levels",
        ),
        why="charges the line once; the driver is sized for it",
    ),
    "costs.driver_area": Law(
        "wordline",
        (
            "columns",
            "dac-levels",
        ),
        why="drives as many cells as the wordline has",
    ),
    "costs.sample_hold_energy": Law(
        "sample of a bitline", why="the capacitor is that of the source, whatever the bits"
    ),
    "costs.sample_hold_area": Law(
        "bitline", why="the capacitor is that of the source, whatever the bits"
    ),
    "costs.shift_add_energy": Law(
        "shift-and-add", why="as wide as the source has it, for codes of any width"
    ),
    "costs.shift_add_area": Law(
        "converter", why="as wide as the source has it, for codes of any width"
    ),
    "costs.column_scale_energy": Law(
        "multiplication", why="as wide as the source has it, for codes and factors of any width"
    ),
    "costs.column_scale_area": Law(
        "converter", why="as wide as the source has it, for codes and factors of any width"
    ),
    "costs.register_energy": Law("byte", ("sqrt-lines",), why="each array has a bank of its own"),
    "costs.register_area": Law(
        "macro", ("macro-lines",), why="a register holds a value of each line"
    ),
    "costs.buffer_energy": Law(
        "byte", ("sqrt-buffer",), why="as memories do; its links are part of it"
    ),
    "costs.buffer_area": Law("KiB", why="as many as the buffer has"),
    "costs.router_energy": Law("byte and hop", why="links are as long as the source has them"),
    "costs.router_area": Law("tile", why="ports do not depend on the arrays"),
    "costs.digital_energy": Law(
        "multiply-accumulate", why="operands are as wide as the source has them"
    ),
    "costs.tile_static": Law("tile", ("buffer",), why="memories leak most of it"),
    "costs.tile_area": Law("tile", why="bus and units do not depend on the arrays"),
    "costs.pulse": Law(
        "level of an input slice", why="the integration time is a choice of the design"
    ),
    "costs.pulse_energy": Law(
        "array and level",
        (
            "active-rows",
            "columns",
            "conductance",
            "voltage-squared",
        ),
        why="cells conduct for as long as in the source; each row that may be active is charged",
    ),
    "costs.read_pulse": Law(
        "array read", ("line-settling",), why="more active rows settle on the same lines"
    ),
    "costs.convert_step": Law("bit of a conversion", why="grows with the bits by its count"),
    "costs.vector_time": Law("input vector", why="pipeline stages beside the array"),
    "costs.fill": Law("input vector", why="pipeline stages beside the array"),
    "costs.digital_rate": Law("tile", why="units of a tile do not depend on the arrays"),
    "costs.link_rate": Law("tile", why="links do not depend on the arrays"),
    "costs.hop": Law("router", why="links are as long as the source has them"),
    "costs.chip_static": Law("chip", why="links between chips do not depend on the arrays"),
    "costs.chip_area": Law("chip", why="links between chips do not depend on the arrays"),
    "costs.write_energy": Law("cell", why="no source says how it grows with the levels"),
    "costs.write_time": Law("row of cells", why="as many columns at once as the source writes"),
    "costs.endurance": Law("cell", why="of the device"),
    "peak.buffer_rate": Law("tile", why="a bus does not depend on the arrays"),
    "peak.router_rate": Law("tile", why="links do not depend on the arrays"),
}
"""By dotted path; components have `of_component`."""


def of_component(item: Component) -> Law:
    """What stands there once an array is as large as the array; the rest does not depend on it."""
    if item.per == "array":
        # One that stands once an array serves all of its cells; our model, for no source says how
        # such parts grow.
        return Law("array", ("cells",))
    return Law(item.per, why=f"one set of it for each {item.per}")

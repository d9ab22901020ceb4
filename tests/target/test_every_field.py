"""Every leaf field of a target changes something, or is refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from tests.target.test_load import Data, raw, set_at
from xbarc.compiler import compile_model
from xbarc.cost import chip_cost
from xbarc.errors import MappingError, TargetError
from xbarc.report import collect
from xbarc.target import load_target, parse_target

MODEL = """
<ir_version: 8, opset_import: ["" : 17]>
net (float[1, 1, 8, 8] x) => (float[1, 10] y, float[1, 1] z) {
    a = Conv <pads = [1, 1, 1, 1]> (x, w)
    b = Relu (a)
    c = Flatten (b)
    y = MatMul (c, v)
    z = MatMul (c, u)
}
"""
# What people read: printed in the report's own words about the target, nothing else follows.
LABELS = {"name", "description", "cell.technology"}
# Where a number comes from: printed in the table of sources, nothing else follows.
PROVENANCE = ("unit", "source", "via", "confirmed", "note")
OPTIONAL = {
    "costs.chip_static": "mW",
    "costs.chip_area": "um2",
    "costs.write_energy": "pJ",
    "costs.write_time": "ns",
    "costs.endurance": "cycles",
    "costs.pulse": "ns",
    "costs.pulse_energy": "pJ",
    "costs.vector_time": "ns",
    "costs.fill": "ns",
    "costs.digital_rate": "op/ns",
    "costs.link_rate": "B/ns",
    "costs.column_scale_energy": "pJ",
    "costs.column_scale_area": "um2",
    "costs.hop": "ns",
    "peak.buffer_rate": "B/ns",
    "peak.router_rate": "B/ns",
}
# What only figures of other arrays use: see tests/target/test_growth.py.
OF_OTHER_ARRAYS = ("wires.capacitance.value",)
# What only few-bit or many-bit converters use: see `test_fields_of_narrow_and_wide_converters`;
# and what only a report on data uses: see tests/cost/test_operands.py. Factors of columns are
# chosen from data: see tests/calibration/test_column_scales.py.
OF_OTHER_CONVERTERS = (
    *("costs.adc.flash_bits", "costs.adc.thermal", "costs.read_pulse"),
    "adc.scale_bits",
)
OTHER_TEXT = {
    "kind": "silicon",
    "cell.variation.kind": "proportional",
    "adc.kind": "sense-amplifier",
    "adc.reference": "per-cycle",
    "precision.encoding": "offset",
    "hierarchy.network": "none",
    "adc.overlap": "none",
}


def leaves(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def complete() -> Data:
    """rram128 with the figures that it leaves out, on a chip too small for the model."""
    data = raw()
    data["peak"] = {"columns_per_weight": 4, "columns_per_conversion": 1}
    data["adc"]["overlap"] = "sample-and-hold"
    for path, unit in OPTIONAL.items():
        figure = {"value": 2.0, "unit": unit, "source": "assumed", "via": "assumed"}
        set_at(data, path, {**figure, "confirmed": False, "note": "for this test"})
    data["hierarchy"].update(arrays_per_macro=1, macros_per_tile=2, tiles_per_chip=3)
    data["adc"].update(columns_per_adc=2, stops_early=False, scale_bits=4)
    return data


FIELDS = [
    (path, value)
    for path, value in leaves(complete())
    if not path.startswith(("sources.", *OF_OTHER_CONVERTERS, *OF_OTHER_ARRAYS))
]


def changes(path: str, value: Any) -> Iterator[Any]:
    """Other values for a field."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        yield from (value + 1, max(1, value // 2))
    elif isinstance(value, float):
        yield 1.25 * value + 0.001
    elif isinstance(value, list):
        for index in range(len(value)):
            yield [v + 0.5 * (i == index) for i, v in enumerate(value)]
    else:
        yield OTHER_TEXT.get(path, f"{value}x")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    proto = onnx.parser.parse_model(MODEL)
    rng = np.random.default_rng(1)
    weights = {"w": rng.normal(size=(4, 1, 3, 3)), "v": rng.normal(size=(256, 10))}
    weights["u"] = np.eye(256, 1)  # one bit is enough for its top slice: a comparator
    for name, values in weights.items():
        proto.graph.initializer.append(
            onnx.numpy_helper.from_array(values.astype(np.float32), name)
        )
    path = tmp_path_factory.mktemp("model") / "net.onnx"
    onnx.save(proto, path)
    return path


def outcome(model: Path, data: Data) -> dict[str, Any]:
    """The report of the compiled model, as plain data."""
    program = compile_model(model, parse_target(data, where="test"))
    report: dict[str, Any] = json.loads(collect(program).model_dump_json())
    return report


@pytest.fixture(scope="module")
def before(model: Path) -> dict[str, Any]:
    return outcome(model, complete())


def ignored(path: str) -> tuple[str, ...]:
    """Parts of the report that only echo this field."""
    if path in LABELS:
        return ("sources",)
    last = path.rsplit(".", 1)[-1]
    return ("target",) if last in PROVENANCE else ("target", "sources")


@pytest.mark.parametrize(("path", "value"), FIELDS, ids=[path for path, _ in FIELDS])
def test_every_field_changes_something_or_is_refused(
    model: Path, before: dict[str, Any], path: str, value: Any
) -> None:
    for change in changes(path, value):
        if change == value:
            continue
        data = set_at(complete(), path, change)
        try:
            after = outcome(model, data)
        except (TargetError, MappingError):
            continue
        skip = ignored(path)
        assert any(after[key] != before[key] for key in before if key not in skip), change


NARROW = ("costs.adc.flash_bits=1", "adc.max_bits=3", "array.active_rows=1")
WIDE = ("costs.adc.thermal=1.0", "costs.adc.thermal_margin=3.0", "costs.convert_step=500.0")


@pytest.mark.parametrize("change", [NARROW[0], *WIDE])
def test_fields_of_narrow_and_wide_converters(change: str) -> None:
    base = list(NARROW[1:]) if change == NARROW[0] else ["adc.max_bits=12"]
    before, after = (load_target("rram128", [*base, *more]) for more in ((), (change,)))
    assert chip_cost(after, "array").energy != chip_cost(before, "array").energy or (
        chip_cost(after, "array").timing != chip_cost(before, "array").timing
    )


def test_components_cost_area_and_power() -> None:
    isaac = load_target("isaac")
    bare = isaac.model_copy(update={"costs": isaac.costs.model_copy(update={"components": ()})})
    full, less = chip_cost(isaac, "tile"), chip_cost(bare, "tile")
    assert full.power_mw is not None
    assert less.power_mw is not None
    assert full.power_mw - less.power_mw == pytest.approx(9.65)
    names = [part.name for part in full.area if part.figure.startswith("costs.components.")]
    assert "tile bus of a tile" in names
    assert len(names) == 5


def test_a_component_without_a_source_is_refused() -> None:
    data = raw("isaac")
    data["costs"]["components"][0]["power"]["source"] = "nobody"
    with pytest.raises(TargetError, match=r"costs.components.0.power: source 'nobody'"):
        parse_target(data, where="mine")

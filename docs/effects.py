"""Tables and pictures of encodings, found by mapping small layers and looking at the result.

    python docs/effects.py    # writes the table between its marks in reference/encodings.md

`generate.py` writes the same table and the pictures at every build of the docs. Nothing here is
known by heart: a column says what an encoding did when it was asked to.
"""

import sys
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import get_args

import numpy as np

from xbarc.errors import MappingError
from xbarc.executor.exact import ExactLayer
from xbarc.instruments.moments import Feed, second_moments
from xbarc.ir.effective import conversion_matrix, effective_weights, is_lossless, output_matrix
from xbarc.ir.geometry import Dense, Window
from xbarc.ir.network import FloatWeight, IntWeight, LazyTensor, MatrixLayer
from xbarc.ir.program import CrossbarStep
from xbarc.ir.quantizers import FloatInput, FloatResult, IntegerInput, IntegerResult, StaticInput
from xbarc.mapping import ArrayPool, map_layer
from xbarc.mapping.encodings import encoding_names, find_encoding
from xbarc.mapping.fitting import fit_layer
from xbarc.numerics import IntFormat
from xbarc.options import ADC_POLICIES, MapOptions, PlacementName
from xbarc.passes import quantize_weights
from xbarc.target import load_target

PAGE = Path(__file__).resolve().parent / "reference" / "encodings.md"
BEGIN = "<!-- effects: begin, written by docs/effects.py -->"
END = "<!-- effects: end -->"
BITS = 3


def _target(bits=2, **array):
    levels = [float(level + 1) for level in range(1 << bits)]
    more = [f"array.{key}={value}" for key, value in array.items()]
    return load_target(
        "rram128", [f"cell.bits={bits}", f"cell.conductance={levels}", "adc.max_bits=16", *more]
    )


def _integers(values, bits, geometry=None):
    values = np.ascontiguousarray(values)
    outputs = values.shape[0] * values.shape[2]
    weight = IntWeight(LazyTensor(values.shape, lambda: values), IntFormat(bits, signed=True))
    return MatrixLayer(
        name="layer",
        operator="MatMulInteger",
        geometry=geometry or Dense(),
        input="x",
        output="y",
        weight=weight,
        quantizer=IntegerInput(low=0, bits=8),
        constant=np.zeros(outputs, dtype=np.int64),
        result=IntegerResult("int64"),
    )


def _floats():
    """A layer of real weights, and inputs that vary together, as activations do."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(1, 16, 6)).astype(np.float32)
    one = np.ones(6, dtype=np.float32)
    layer = replace(
        _integers(np.zeros((1, 16, 6), dtype=np.int64), 8),
        weight=FloatWeight(LazyTensor(values.shape, lambda: values)),
        quantizer=FloatInput(),
        result=FloatResult(one, 0 * one),
    )
    x = rng.normal(size=(256, 1)) + 0.7 * rng.normal(size=(256, 16))
    return layer, x.astype(np.float32)


def _map(layer, target, **options):
    chosen = MapOptions(**options)
    return map_layer(layer, target, chosen, ArrayPool(target.array, chosen.pack))


def _is_exact(step, layer):
    same = np.array_equal(effective_weights(step), layer.weight.tensor.load())
    return same and is_lossless(step)


def _full(name):
    layer = _integers(np.random.default_rng(1).integers(-128, 128, (1, 150, 20)), 8)
    return "exact" if _is_exact(_map(layer, _target(), encoding=name), layer) else "no"


def _fit(name, slices, moments=None):
    layer, _ = _floats()
    ranged = replace(layer, quantizer=StaticInput(8, 1 / 32, 128))
    options = MapOptions(encoding=name, weight_slices=slices)
    target = _target()
    fitted = fit_layer(ranged, target, options, quantize_weights(ranged, 8), moments)
    pool = ArrayPool(target.array, "layer")
    return fitted, map_layer(fitted.layer, target, options, pool, fitted.arrangement)


def _least_slices(name):
    """Fewest cells of a sign that weights can be fitted to."""
    for slices in range(1, 5):
        try:
            _, step = _fit(name, slices)
        except MappingError:
            continue
        return slices if step.weight_slices == slices else None
    return None


def _few(name):
    least = _least_slices(name)
    return "no" if least is None else f"from {least} cell{'s' if least > 1 else ''}"


def _feedback(name):
    layer, x = _floats()
    feeds = [Feed(x, x, {}, {})]
    moments = second_moments(ExactLayer(layer), StaticInput(8, 1 / 32, 128), feeds)
    fitted, _ = _fit(name, _least_slices(name), moments)
    return "yes" if fitted.record.method == "feedback" else "no gain"


def _order(name):
    return "searched" if find_encoding(name).is_chained() else "free, not used"


def _difference(name):
    step = _map(_integers(np.array([[[3, -2, 1], [-1, 0, 2]]]), 3), _target(BITS), encoding=name)
    if step.periphery.a_sign.size:
        return "before the converter"
    code = step.periphery.r_code
    return "digital" if (code < 0).any() else "none" if code.any() else "no"


def _grouped(name):
    rng = np.random.default_rng(2)
    geometry = Window((3, 3), (1, 1), (1, 1), (1, 1, 1, 1))
    for shape in ((12, 9, 1), (3, 18, 4)):
        layer = _integers(rng.integers(-128, 128, shape), 8, geometry)
        if not _is_exact(_map(layer, _target(), encoding=name), layer):
            return "no"
    step = _map(
        _integers(rng.integers(-128, 128, (12, 9, 1)), 8, geometry), _target(), encoding=name
    )
    return "exact, packed" if np.unique(step.tiling.array).size < 12 else "exact"


def _narrow(name):
    """Arrays of three columns."""
    layer = _integers(np.random.default_rng(3).integers(-128, 128, (1, 6, 5)), 8)
    try:
        step = _map(layer, _target(rows=4, active_rows=4, columns=3), encoding=name)
    except MappingError:
        return "no"
    return "exact" if _is_exact(step, layer) else "no"


def _adc_savings(name):
    """Whether recoding of digits leaves other cells and the same weights."""
    layer = _integers(np.random.default_rng(4).integers(-128, 128, (1, 60, 8)), 8)
    plain = _map(layer, _target(), encoding=name)
    pulled = _map(layer, _target(), encoding=name, adc_savings=("recode",))
    if np.array_equal(plain.cells.data, pulled.cells.data):
        return "no"
    return "exact" if _is_exact(pulled, layer) else "no"


EFFECTS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("as many cells as needed", _full),
    ("few cells", _few),
    ("error feedback", _feedback),
    ("order and sign", _order),
    ("difference taken", _difference),
    ("groups, depthwise", _grouped),
    ("wider than an array", _narrow),
    ("recoded digits", _adc_savings),
)


def table():
    """Effect by encoding, a row per encoding."""
    heads = ["encoding", *(title for title, _ in EFFECTS)]
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    lines += [
        "| " + " | ".join([f"`{name}`", *(probe(name) for _, probe in EFFECTS)]) + " |"
        for name in encoding_names()
    ]
    return "\n".join(lines) + "\n"


def same_for_all():
    """Effects that no encoding changes."""
    orders = [name for name in get_args(PlacementName) if name != "none"]
    circuit = find_spec("xbarc.circuit")
    device = "simulated" if circuit and circuit.origin else "estimate in the report"
    rows = (
        ("bit slices of weights and inputs", "exact"),
        ("fewer active rows than rows", "exact"),
        ("converter settings", ", ".join(f"`{name}`" for name in ADC_POLICIES) + ", bits"),
        ("columns that share a converter share its range", "exact"),
        ("placements", ", ".join(f"`{name}`" for name in orders) or "natural order only"),
        ("line resistance", device),
        ("variation, read noise, drift", device),
        ("stuck cells", device),
    )
    lines = ["| effect | every encoding |", "|---|---|"]
    return "\n".join([*lines, *(f"| {name} | {text} |" for name, text in rows)]) + "\n"


def pictures():
    """A small layer in every encoding, by name: cells, what is converted, how outputs are read."""
    weights = np.array([[[3, -2, 1], [-1, 0, 2]]])
    found = {}
    for name in (*encoding_names(), "segmented:2"):
        step = _map(_integers(weights, BITS), _target(BITS), encoding=name)
        found[name.replace(":", "-")] = _picture(step, weights[0]) + "\n"
    return found


def _picture(step: CrossbarStep, weights):
    """Weights, cells, conversions and outputs of a layer of one block."""
    columns, conversions, outputs = step.cells.columns, step.conversions, step.outputs
    cells = step.cells.unpack()[0]
    names = [f"c{number}" for number in range(columns)]
    lines = ["weights " + _row([f"y{o}" for o in range(outputs)]) + "     cells " + _row(names)]
    for number, (own, levels) in enumerate(zip(weights, cells, strict=True)):
        lines.append(f"  x{number}    " + _row(own) + "           " + _row(levels))
    a = conversion_matrix(step.periphery, conversions, columns).toarray()
    if step.periphery.a_sign.size:
        lines += ["", *(f"k{k} = {_terms(row, 'c')}" for k, row in enumerate(a))]
    r = output_matrix(step.periphery, 0, 0, outputs, conversions).toarray()
    symbol = "k" if step.periphery.a_sign.size else "c"
    lines.append("")
    for output, row in enumerate(r):
        beta = int(step.periphery.input_sum[output])
        tail = f" {'-' if beta < 0 else '+'} {abs(beta)} (x0 + x1)" if beta else ""
        lines.append(f"y{output} = {_terms(row, symbol) or '0'}{tail}")
    return "\n".join(lines)


def _row(items):
    return " ".join(f"{item!s:>3}" for item in items)


def _terms(row, symbol):
    text = ""
    for number in np.flatnonzero(row):
        value = int(row[number])
        sign = "-" if value < 0 else "+"
        factor = "" if abs(value) == 1 else f"{abs(value)} "
        text += f" {sign} {factor}{symbol}{number}"
    return text.removeprefix(" + ").strip()


def write_page(page=PAGE):
    """Put the table between its two marks."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    if not after:
        raise SystemExit(f"{page} has no marks for the table")
    page.write_text(f"{before}{BEGIN}\n\n{table()}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(write_page())

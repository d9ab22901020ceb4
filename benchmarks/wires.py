"""Wires, faults and placement: every figure of the tables in `docs/reference/wires-table.md`.

    python benchmarks/wires.py SECTION ... [--images N] [--log FILE] [--markdown FILE]

Sections: placement, compensations, levels, encodings, faults, matrix, gated, speed; `tables`
prints what the log holds. Each case is a line of the log as soon as it is measured, and is not
measured again, so a run that was cut goes on where it was.

Accuracy: the first N test images of Fashion-MNIST. Ranges, feedback, placement and compensation see
512 training images drawn with seed 0, labels among them. Arrays of 64 x 64 cells where nothing
else is said, levels at equal steps from 0 to 50 uS, signed pairs of one cell each, activations of 8
bits, the same resistance on wordlines and bitlines and 10 ohm at drivers and sense sides,
converters that do not round. Every method is shown as it is: nothing is left out where held-back
samples show it to be worse.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

import wires_circuit
import wires_tables

from tests.models.places import MODELS, fashion_labelled, fashion_test
from xbarc.chips.program_fit import FitOptions, fit_program
from xbarc.circuit import Effects, random_faults
from xbarc.circuit.equal_cells import line_ratio
from xbarc.compiler import CompileOptions, compile_model
from xbarc.experiments.study import top1
from xbarc.ir.program import Program
from xbarc.options.values import parse_compensations
from xbarc.target import Target, load_target

CALIBRATION = 512
ONE = 7.8
"""Ohm a cell at which the VGG-like net, as mapped, loses about what X-CHANGR's VGG16 did."""
METHODS = ("none", "heaviest", "srs", "drs", "rows", "optimal")
PLACED = (("fashion-vgg", 64, ONE), ("fashion-vgg", 32, 22.0), ("fashion-mlp", 64, 24.0))
MAPS = range(100, 110)
FEW = 2_000
RATES = ((0.01, 0.002), (0.05, 0.01))


@dataclass(frozen=True)
class Case:
    """One program on one chip.

    Attributes:
        side: rows and columns of an array.
        ohm: a cell, on both lines; 0 leaves the wires out.
        bits: of a cell.
        stuck_off, stuck_on, seed: of the map of stuck cells; rates of 0: no map.
    """

    section: str
    net: str = "fashion-vgg"
    side: int = 64
    ohm: float = ONE
    bits: int = 4
    encoding: str = "differential"
    tile: str = "fill"
    placement: str = "none"
    correct: str = ""
    stuck_off: float = 0.0
    stuck_on: float = 0.0
    seed: int = 0
    images: int = 10_000

    @property
    def key(self) -> str:
        """What the log knows it by."""
        return json.dumps(asdict(self), sort_keys=True)


def placement_cases() -> Iterator[Case]:
    """Orders alone, weights alone; `tile` even cuts layers into blocks of equal size."""
    for net, side, ohm in PLACED:
        base = Case("placement", net, side, ohm)
        yield replace(base, ohm=0.0)
        yield from (replace(base, placement=method) for method in METHODS)
        yield from (replace(base, tile="even", placement=m) for m in ("none", "rows", "optimal"))


def compensation_cases() -> Iterator[Case]:
    """16 levels at the same resistance and at three times it."""
    base = Case("compensations")
    yield replace(base, ohm=0.0)
    for ohm in (ONE, 3 * ONE):
        for correct in ("", "gain", "outputs", "predistort", "predistort,gain"):
            yield replace(base, ohm=ohm, correct=correct)
        yield replace(base, ohm=ohm, correct="predistort,outputs")


def levels_cases() -> Iterator[Case]:
    """Fewer levels, with feedback on the grid that the wires leave."""
    for bits in (3, 2):
        base = Case("levels", bits=bits)
        yield replace(base, ohm=0.0)
        for ohm in (ONE, 3 * ONE):
            for correct in ("outputs", "predistort,feedback,gain", "predistort,feedback,outputs"):
                yield replace(base, ohm=ohm, correct=correct)


def encodings_cases() -> Iterator[Case]:
    """Signed weights in other ways, one cell each."""
    for encoding in ("differential", "acm", "segmented:4", "bias-column"):
        base = Case("encodings", encoding=encoding)
        yield replace(base, ohm=0.0)
        yield from (replace(base, correct=correct) for correct in ("", "gain", "outputs"))


def faults_cases() -> Iterator[Case]:
    """Known stuck cells, wires left out; only the gentler rates are counted on all images."""
    base = Case("faults", ohm=0.0)
    few = replace(base, images=FEW)
    gentle, harsh = RATES
    for case, (off, on) in ((base, gentle), (few, harsh), (few, gentle)):
        yield case
        maps = [replace(case, stuck_off=off, stuck_on=on, seed=seed) for seed in MAPS]
        yield from (replace(m, placement="faults", correct="partner") for m in maps)
        if case.images == FEW:
            yield from maps
            yield from (replace(m, correct="partner") for m in maps)


SECTIONS = {
    "placement": placement_cases,
    "compensations": compensation_cases,
    "levels": levels_cases,
    "encodings": encodings_cases,
    "faults": faults_cases,
}


def main(arguments: list[str] | None = None) -> int:
    """Measure what the log does not hold, and print the tables."""
    options = _parser().parse_args(arguments)
    log = read_log(options.log)
    for section in options.sections:
        if section in SECTIONS:
            _measure(list(SECTIONS[section]()), options, log)
        elif section != "tables":
            record = {"section": section, **wires_circuit.SECTIONS[section]()}
            _append(options.log, record)
            log[section] = record
    text = wires_tables.markdown(list(log.values()))
    if options.markdown is not None:
        options.markdown.write_text(text, encoding="utf-8")
    print(text, end="")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Wires, faults and placement, measured.")
    names = (*SECTIONS, *wires_circuit.SECTIONS, "tables")
    parser.add_argument("sections", nargs="+", choices=names, metavar="SECTION")
    parser.add_argument("--images", type=int, default=10_000, help="test images, at most")
    parser.add_argument("--nets", help="only these, with commas between")
    parser.add_argument("--log", type=Path, default=Path("wires.jsonl"), help="lines as they come")
    parser.add_argument("--markdown", type=Path, help="write the tables")
    return parser


def read_log(path: Path) -> dict[str, dict[str, Any]]:
    """Records by what they are known by; the last one counts."""
    if not path.is_file():
        return {}
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {_name(record): record for record in records}


def _name(record: dict[str, Any]) -> str:
    if "case" in record:
        return json.dumps(record["case"], sort_keys=True)
    return str(record["section"])


def _append(path: Path, record: dict[str, Any]) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")


def _measure(cases: list[Case], options: argparse.Namespace, log: dict[str, Any]) -> None:
    nets = None if options.nets is None else options.nets.split(",")
    for case in (replace(c, images=min(c.images, options.images)) for c in cases):
        if case.key in log or (nets is not None and case.net not in nets):
            continue
        log[case.key] = {"section": case.section, "case": asdict(case), **measured(case)}
        _append(options.log, log[case.key])
        print(json.dumps(log[case.key]), file=sys.stderr)


def target_of(case: Case) -> Target:
    """The default target with the arrays of these tables."""
    top = (1 << case.bits) - 1
    settings = [f"array.{name}={case.side}" for name in ("rows", "columns", "active_rows")]
    settings += [f"cell.bits={case.bits}", "input.dac_bits=4", "adc.max_bits=16"]
    settings += [f"cell.conductance.values={[50 * level / top for level in range(top + 1)]}"]
    ohm = case.ohm or ONE
    settings += [f"wires.{line}.value={ohm}" for line in ("wordline", "bitline")]
    return load_target("rram128", settings)


@cache
def known() -> dict[str, Any]:
    """Training images that everything but the judge may see."""
    return fashion_labelled(CALIBRATION)


@cache
def compiled(case: Case) -> Program:
    """The program of a case before it is fitted to a chip."""
    options = CompileOptions(
        weight_bits=case.bits + 1,
        activation_bits=8,
        encoding=case.encoding,
        tile=case.tile,  # type: ignore[arg-type]
        weight_slices=1,
        adc="16",
    )
    path = MODELS / f"{case.net}.onnx"
    return compile_model(path, target_of(case), options=options, calibration=known())


def measured(case: Case) -> dict[str, Any]:
    """Top-1, and what it took."""
    start = time.process_time()
    program = compiled(Case("", case.net, case.side, case.ohm, case.bits, case.encoding, case.tile))
    effects = _effects(case, program)
    compensations = parse_compensations(case.correct)
    chosen = FitOptions(case.placement, compensations, effects, judged=False)
    compiling, start = time.process_time() - start, time.process_time()
    if case.placement != "none" or case.correct:
        program = fit_program(program, known(), chosen).program
    fitting, start = time.process_time() - start, time.process_time()
    test = {name: array[: case.images] for name, array in fashion_test().items()}
    return {
        "top1": top1(program, test, effects),
        "ratio": round(line_ratio(program.target), 3),
        "arrays": program.arrays,
        "compile_s": round(compiling, 1),
        "fit_s": round(fitting, 1),
        "run_s": round(time.process_time() - start, 1),
    }


def _effects(case: Case, program: Program) -> Effects:
    if case.stuck_off or case.stuck_on:
        rates = (case.stuck_on, case.stuck_off)
        cells = random_faults(program.target, program.arrays, case.seed, rates=rates)
        return Effects(frozenset({"faults"}), fault_map=cells, converters=False)
    return Effects(frozenset({"lines"} if case.ohm else ()), converters=False)


if __name__ == "__main__":
    sys.exit(main())

"""Markdown of what `benchmarks/wires.py` measured."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

Record = dict[str, Any]
KINDS = {"log": "10 k to 1 M ohm, log-uniform", "uniform": "1 to 100 uS", "full": "all at 10 k ohm"}


def markdown(records: list[Record]) -> str:
    """Every section that has records, in a fixed order."""
    by_section: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        by_section[record["section"]].append(record)
    parts = [make(by_section[name]) for name, make in SECTIONS.items() if by_section[name]]
    return "\n".join("\n".join(part) + "\n" for part in parts)


def _table(head: str, rows: list[str]) -> list[str]:
    names = [name.strip() for name in head.split("|")]
    line = "|".join("---" if not name.endswith(">") else "--:" for name in names)
    return [f"| {' | '.join(name.rstrip('>') for name in names)} |", f"|{line}|", *rows]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _ideal(records: list[Record], **same: Any) -> Record | None:
    """The case without wires and faults."""
    found = [r for r in records if r["case"]["ohm"] == 0 and _is(r, stuck_off=0.0, **same)]
    return found[0] if found else None


def _is(record: Record, **wanted: Any) -> bool:
    return all(record["case"][name] == value for name, value in wanted.items())


def _title(text: str, records: list[Record]) -> list[str]:
    counts = sorted({record["case"]["images"] for record in records})
    images = " and ".join(f"{count:,}" for count in counts)
    return [f"## {text}", "", f"Test images: the first {images}.", ""]


def _placement(records: list[Record]) -> list[str]:
    lines = _title("Placement alone", records)
    rows = []
    places = dict.fromkeys((r["case"]["net"], r["case"]["side"]) for r in records)
    for net, side in places:
        own = [record for record in records if _is(record, net=net, side=side)]
        ideal = _ideal(own)
        wired = [record for record in own if record["case"]["ohm"]]
        base = next((r for r in wired if _is(r, placement="none", tile="fill")), None)
        if ideal is None or base is None:
            continue
        name = f"{net}, {side} x {side}"
        rows.append(
            _row(name, f"{base['ratio']:.2f}", "without wires", _percent(ideal["top1"]), "")
        )
        whole = ideal["top1"] - base["top1"]
        for record in wired:
            case = record["case"]
            name = f"`{case['placement']}`" + (", `--tile even`" if case["tile"] == "even" else "")
            left = (ideal["top1"] - record["top1"]) / whole if whole > 0 else 0.0
            rows.append(_row("", "", name, _percent(record["top1"]), f"{100 * left:.0f} %"))
    return [*lines, *_table("net, arrays | r T²/R_on> | order | top-1> | of the loss left>", rows)]


def _by_compensation(text: str) -> Callable[[list[Record]], list[str]]:
    def make(records: list[Record]) -> list[str]:
        rows = []
        for record in records:
            case = record["case"]
            ideal = _ideal(records, bits=case["bits"], encoding=case["encoding"])
            lost = "" if ideal is None else f"{100 * (ideal['top1'] - record['top1']):.2f}"
            ratio = f"{record['ratio']:.2f}" if case["ohm"] else "0"
            kind = f"`{case['correct']}`" if case["correct"] else "none"
            name = case["encoding"] if text == ENCODINGS else str(1 << case["bits"])
            rows.append(_row(name, ratio, kind, _percent(record["top1"]), lost))
        first = "encoding" if text == ENCODINGS else "levels>"
        head = f"{first} | r T²/R_on> | `--compensate` | top-1> | points lost>"
        return [*_title(text, records), *_table(head, rows)]

    return make


def _faults(records: list[Record]) -> list[str]:
    groups: dict[tuple[Any, ...], list[Record]] = defaultdict(list)
    names = ("stuck_off", "stuck_on", "placement", "correct", "images")
    for record in records:
        if record["case"]["stuck_off"]:
            groups[tuple(record["case"][name] for name in names)].append(record)
    rows = []
    for (off, on, placement, correct, images), own in groups.items():
        ideal = _ideal(records, images=images)
        if ideal is None:
            continue
        lost = [100 * (ideal["top1"] - record["top1"]) for record in own]
        done = ", ".join(part for part in (f"`{placement}`", f"`{correct}`") if len(part) > 2)
        done = "untreated" if placement == "none" and not correct else done
        rates = f"{100 * off:g} % + {100 * on:g} %"
        mean, worst = f"{sum(lost) / len(lost):.2f}", f"{max(lost):.2f}"
        rows.append(_row(rates, done, f"{images:,}", str(len(own)), mean, worst))
    head = "stuck off + on | treatment | images> | maps> | points lost, mean> | worst map>"
    return [*_title("Known stuck cells", records), *_table(head, rows)]


def _matrix(records: list[Record]) -> list[str]:
    record = records[-1]
    rows = [
        _row(
            f"{row['size']} x {row['size']}, {KINDS[row['kind']]}",
            f"{row['seconds']:.4f}",
            f"{row['sweeps_seconds']:.4f}",
            "" if row["direct_seconds"] is None else f"{row['direct_seconds']:.2f}",
            f"{row['error']:.1e}",
        )
        for row in record["rows"]
    ]
    each = ", ".join(f"{1000 * s:.1f}" for s in record["seconds_each"])
    arrays = ", ".join(map(str, record["arrays"]))
    head = "array, cells | CPU s> | sweeps, CPU s> | sparse LU, CPU s> | difference to sweeps>"
    text = "1 ohm on both lines. Sweeps are timed at their default tolerance of 1e-7, and compared"
    lines = ["## Effective matrix", "", f"{text} at 1e-13."]
    after = [f"CPU ms an array, {arrays} arrays of 128 x 128: {each}."]
    if "badcrossbar_error" in record:
        after.append(
            "badcrossbar on 64 x 40: largest relative difference"
            f" {record['badcrossbar_error']:.0e}, {record['badcrossbar_seconds']:.2f} CPU s beside"
            f" {record['own_seconds']:.4f}."
        )
    return [*lines, "", *_table(head, rows), "", *after]


def _gated(records: list[Record]) -> list[str]:
    rows = []
    for row in records[-1]["rows"]:
        cells = [
            f"{100 * row[f'{name}_mean']:.1f} % ({100 * row[f'{name}_largest']:.1f} %)"
            for name in ("ideal", "driven", "gated")
        ]
        wires = f"{row['wordline']:g}, {row['bitline']:g} ohm"
        rows.append(_row(wires, f"{row['share']:g}", *cells))
    head = "wordline, bitline | share of ones> | wires ignored> | driven to zero> | `--gated`>"
    text = "Mean (largest) error of a column current, relative to the ideal one; 64 x 64 cells of"
    text += " 1 to 100 uS, driver and sense 10 ohm, six random inputs."
    return ["## Rows that are cut off", "", text, "", *_table(head, rows)]


def _speed(records: list[Record]) -> list[str]:
    record = records[-1]
    each = {
        name: 1000 * record[f"{name}_seconds"] / record["images"]
        for name in ("wired", "ideal", "exact")
    }
    rows = [
        _row("all effective matrices, once", f"{record['prepare_seconds']:.2f} s"),
        _row("an image, wires on", f"{each['wired']:.2f} ms"),
        _row("an image, the same engine and converters, wires of 0 ohm", f"{each['ideal']:.2f} ms"),
        _row("an image, plain program (exact integers)", f"{each['exact']:.2f} ms"),
    ]
    text = f"VGG-like net on `rram128`, 8-bit weights, {record['arrays']} arrays,"
    text += f" {record['images']} images; CPU time."
    return ["## Time", "", text, "", *_table("what | CPU>", rows)]


ENCODINGS = "Encodings"
SECTIONS: dict[str, Callable[[list[Record]], list[str]]] = {
    "placement": _placement,
    "compensations": _by_compensation("Compensations, 16 levels"),
    "levels": _by_compensation("Fewer levels"),
    "encodings": _by_compensation(ENCODINGS),
    "faults": _faults,
    "matrix": _matrix,
    "gated": _gated,
    "speed": _speed,
}

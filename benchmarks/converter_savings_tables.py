"""What converter savings give, by law, network, encoding and width of weights.

    python benchmarks/converter_savings_tables.py front
    python benchmarks/converter_savings_tables.py each
    python benchmarks/converter_savings_tables.py nets

Each writes its table into docs/reference. Converters stop early (`adc.stops_early = true`), so that
each column counts with its own width; in the rows of shared ones they do not. No data; the same
numbers on every run.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import xbarc
from xbarc.errors import XbarcError
from xbarc.target import load_target

LAWS = ("levels", "8", "both", "16", "24", "bits", "target")
SHORT = ("levels", "both", "bits")
EACH = (
    "none",
    "recode",
    "recode,centre",
    "recode,centre,distribute",
    "distribute",
    "centre",
)
CASES = (
    ("fashion-resnet", "differential", 8),
    ("fashion-depthwise", "differential", 8),
    ("fashion-vgg", "differential", 4),
    ("fashion-vgg", "differential", 2),
    ("fashion-mlp", "differential", 4),
    ("fashion-mlp", "differential", 2),
    ("fashion-vgg", "offset", 8),
    ("fashion-vgg", "acm", 8),
    ("fashion-vgg", "segmented:8", 8),
    ("fashion-mlp", "offset", 8),
    ("fashion-mlp", "acm", 8),
    ("fashion-mlp", "segmented:8", 8),
)


def measure(
    net: str,
    law: str,
    adc_savings: str,
    encoding: str = "differential",
    bits: int = 8,
    *,
    early: bool = True,
) -> str:
    """How many times less than the worst case: by bits, by levels.."""
    target = load_target("rram128", ("adc.stops_early=true",) if early else ())
    program = xbarc.compile(
        ROOT / "models" / f"{net}.onnx",
        target,
        adc_savings=adc_savings,
        conversion_cost=law,
        encoding=encoding,
        weight_bits=bits,
    )
    rows = {row.rule: row for row in program.report().converters if row.layer == "all layers"}
    worst, found = rows["worst case"], rows["as set"]
    by_bits, by_levels = (
        worst.mean_bits / found.mean_bits,
        worst.mean_levels / found.mean_levels,
    )
    return f"{by_bits:.3f} | {by_levels:.2f}"


def front() -> Iterator[str]:
    """Both trained dense networks under every law."""
    nets = ("fashion-vgg", "fashion-mlp")
    yield "| law | " + " | ".join(f"{net}, b | 2^b" for net in nets) + " | CPU s |"
    yield "|---|" + "--:|" * (2 * len(nets) + 1)
    plain = " | ".join(measure(net, "both", "none") for net in nets)
    yield f"| no savings | {plain} | |"
    for law in LAWS:
        start = time.process_time()
        found = " | ".join(measure(net, law, "all") for net in nets)
        yield f"| `{law}` | {found} | {time.process_time() - start:.0f} |"


def each() -> Iterator[str]:
    """One saving after the other, under the law of both."""
    nets = ("fashion-vgg", "fashion-mlp")
    yield "| savings | " + " | ".join(f"{net}, b | 2^b" for net in nets) + " |"
    yield "|---|" + "--:|" * (2 * len(nets))
    for adc_savings in EACH:
        found = " | ".join(measure(net, "both", adc_savings) for net in nets)
        yield f"| `{adc_savings}` | {found} |"
    for adc_savings in ("none", "group", "all"):
        found = " | ".join(measure(net, "both", adc_savings, early=False) for net in nets)
        yield f"| `{adc_savings}`, eight columns share a converter | {found} |"


def nets() -> Iterator[str]:
    """Other networks, encodings and widths of weights."""
    yield "| network | encoding | weights | savings | b | 2^b |"
    yield "|---|---|--:|---|--:|--:|"
    for net, encoding, bits in CASES:
        laws = SHORT if encoding == "differential" else ("both",)
        for adc_savings, law in [("none", "both"), *(("all", law) for law in laws)]:
            name = "none" if adc_savings == "none" else f"`all`, `{law}`"
            try:
                found = measure(net, law, adc_savings, encoding, bits)
            except XbarcError as error:
                found = f"{str(error).splitlines()[0][:60]} | "
            yield f"| `{net}` | `{encoding}` | {bits} bits | {name} | {found} |"


TABLES = {"front": front, "each": each, "nets": nets}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table", choices=tuple(TABLES))
    table = parser.parse_args().table
    lines = []
    for line in TABLES[table]():
        print(line, flush=True)
        lines.append(line)
    place = ROOT / "docs" / "reference" / f"converter-savings-{table}.md"
    place.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

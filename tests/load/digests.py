"""Compile variants in this process: `python -m tests.load.digests [OPTION ...]`.

Prints a line of JSON: a digest of every file of each program's folder, or what refused it, by the
variant's name; then which BLAS kernels ran with how many threads.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_info

import xbarc
from tests.cli.conftest import tree
from tests.load.variants import CASES, Case, Variant, variants
from xbarc.errors import XbarcError


def digests(variant: Variant, case: Case, folder: Path) -> dict[str, str]:
    """SHA-256 of each file of the program; the message where the variant is refused."""
    keywords: dict[str, Any] = variant.keywords
    try:
        made = xbarc.compile(case.model, case.target, calibration=case.data, **keywords)
    except XbarcError as error:
        return {"refused": str(error)}
    made.save(folder)
    return {name: hashlib.sha256(data).hexdigest() for name, data in tree(folder).items()}


def compile_all(root: Path, options: list[str]) -> dict[str, dict[str, str]]:
    """Digests by the name of the variant."""
    cases = {}
    for network, make in CASES.items():
        (root / network).mkdir()
        cases[network] = make(root / network)
    found = {}
    for number, variant in enumerate(variants()):
        if not options or variant.option in options:
            start = time.monotonic()
            output = root / f"{number}.xbar"
            found[variant.name] = digests(variant, cases[variant.network], output)
            print(f"{time.monotonic() - start:.1f} s {variant.name}", file=sys.stderr, flush=True)
    return found


def main(options: list[str]) -> int:
    """Compile what is asked for, or everything, in a new folder that the programs do not name."""
    with tempfile.TemporaryDirectory() as name:
        os.chdir(name)
        found = compile_all(Path(), options)
        os.chdir("/")
    libraries = [library for library in threadpool_info() if library["user_api"] == "blas"]
    kernels = sorted({str(library.get("architecture")) for library in libraries})
    threads = [library["num_threads"] for library in libraries]
    print(json.dumps({"programs": found, "kernels": kernels, "threads": threads}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The conformance kit: our own encodings pass it, and each kind of fault is found."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass, replace

import numpy as np
import pytest

from xbarc.errors import MappingError
from xbarc.mapping import encoding_names
from xbarc.mapping.encodings import Differential, Encoded
from xbarc.numerics.types import IntArray
from xbarc.testing import ConformanceError, EncodingConformance, check_encoding


def _suite(encoding: str) -> type[EncodingConformance]:
    name = "Test" + re.sub(r"\W", "_", encoding)
    members = {"encoding": encoding, "examples": 3, "__module__": __name__}
    return type(name, (EncodingConformance,), members)


_QUICK = ("differential-analog", "offset", "acm")
for _kind in map(_suite, encoding_names()):  # the quick lane holds all to the product elsewhere
    globals()[_kind.__name__] = _kind if _kind.encoding in _QUICK else pytest.mark.slow(_kind)


@dataclass(frozen=True)
class Faulty(Differential):
    """Pairs that go wrong in one way each, where a small block does not show it."""

    fault: str = ""

    @property
    def name(self) -> str:
        return "faulty"

    def encode(
        self,
        weights: IntArray,
        row_bounds: IntArray,
        weight_bits: int,
        cell_bits: int,
        slices: int,
    ) -> Encoded:
        piece = super().encode(weights, row_bounds, weight_bits, cell_bits, slices)
        if weights.shape[1] < 3:
            return piece
        cells = piece.cells.copy()
        if self.fault == "least":
            first = cells[..., : 2 * slices]  # the columns of output 0
            first[weights[..., 0] == -128] = 0
        if self.fault == "random":  # both halves of a pair: the weights stay, the bytes do not
            noise = np.random.default_rng().integers(0, 2, cells.shape[:3], dtype=np.uint8)
            noise &= (np.maximum(cells[..., 0], cells[..., 1]) < (1 << cell_bits) - 1).astype(bool)
            cells[..., 0] += noise
            cells[..., 1] += noise
        return replace(piece, cells=cells)


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        ("least", ConformanceError, "cells that mean another number"),
        ("random", ConformanceError, "mapped twice, the bytes differ"),
    ],
)
def test_faults_are_found(fault: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        check_encoding(Faulty(fault=fault), cases=3)


def test_a_sound_one_passes_without_pytest() -> None:
    check_encoding(Faulty(), cases=3)
    with pytest.raises(MappingError, match="no encoding 'morse'"):
        check_encoding("morse")


@pytest.mark.slow
def test_the_checks_need_neither_pytest_nor_hypothesis() -> None:
    code = (
        "import sys, xbarc.testing; xbarc.testing.check_encoding('acm', 1);"
        "print({'pytest', 'hypothesis'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"

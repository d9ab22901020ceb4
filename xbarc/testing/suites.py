"""Conformance tests as classes for pytest; derive one and name the method."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, given, settings

from xbarc.mapping import find_encoding, load_encoding
from xbarc.options import Method
from xbarc.testing.cases import Case
from xbarc.testing.encodings import (
    check_engines,
    check_files,
    check_product,
    check_report,
    edge_cases,
)
from xbarc.testing.strategies import cases

_EDGES = tuple(edge_cases(find_encoding("differential")))


class EncodingConformance:
    """What every encoding must keep.

    Attributes:
        encoding: an object, or a name.
        examples: layers that each property draws.
    """

    encoding: ClassVar[str | Method]
    examples: ClassVar[int] = 60

    def _hold(self, check: Callable[[Case], None]) -> None:
        """Run a check on drawn layers: every geometry, groups, arrays and cells of any size."""

        @settings(
            # Compiled loops take seconds in the first example, and hypothesis would call that
            # flaky.
            max_examples=self.examples,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(cases(encodings=(load_encoding(self.encoding),)))
        def run(case: Case) -> None:
            check(case)

        run()

    def test_it_has_every_method(self) -> None:
        """And small blocks that are sound."""
        load_encoding(self.encoding)

    @pytest.mark.parametrize("edge", _EDGES)
    def test_extremes_and_geometries(self, edge: str, tmp_path: Path) -> None:
        """Products, engines and files."""
        case = edge_cases(load_encoding(self.encoding))[edge]
        check_product(case)
        check_engines(case)
        check_files(case, tmp_path)

    def test_lossless_equals_the_integer_product(self) -> None:
        """By both engines."""
        self._hold(check_product)

    def test_engines_agree_where_converters_saturate(self) -> None:
        """Bit for bit, and in their counts."""
        self._hold(check_engines)

    def test_files_round_trip(self) -> None:
        """And the same layer gives the same bytes."""

        def check(case: Case) -> None:
            with TemporaryDirectory() as folder:
                check_files(case, Path(folder))

        self._hold(check)

    def test_report_sums(self) -> None:
        """Totals are the sums of rows."""
        check_report(load_encoding(self.encoding))

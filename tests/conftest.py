"""Fixtures and options that all tests share."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Short runs go by the reference until loops are loaded, and numpy packs few cells: tests compare
# the fast engine with the reference, so they load the loops first.
import xbarc.executor.lookup
import xbarc.numerics.cell_loops  # noqa: F401

settings.register_profile("dev", deadline=None, max_examples=60)
# The same examples each time. Fewer in the quick lane, which is to stay near six minutes on two
# cores; `make test-all` has all, and `make fuzz` new ones.
for _profile, _examples in (("quick", 70), ("ci", 150)):
    settings.register_profile(
        _profile,
        deadline=None,
        derandomize=True,
        max_examples=_examples,
        suppress_health_check=[HealthCheck.too_slow],
    )
settings.register_profile("deep", deadline=None, max_examples=3000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "dev"))

# Modules and tests that are collected live to the end, half a million objects: going over them
# again and again took a fourth of the time of collecting, and half a second a time in tests.
gc.disable()


def pytest_collection_finish() -> None:
    """Collect the garbage of tests, and leave alone what was there before."""
    gc.freeze()
    gc.enable()


_GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write golden files instead of comparing"
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare text with `tests/golden/<test file>/<name>`."""
    folder = _GOLDEN / request.path.stem.removeprefix("test_")
    update = bool(request.config.getoption("--update-golden"))

    def compare(name: str, text: str) -> None:
        path = folder / name
        if update:
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            return
        if not path.is_file():
            pytest.fail(f"{path} is missing: run pytest --update-golden and review the diff")
        assert text == path.read_text(encoding="utf-8"), f"{path} differs: review --update-golden"

    return compare

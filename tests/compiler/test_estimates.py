"""How long a search takes is told before it starts, to those who watch a command."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

import xbarc
from tests.models.places import MODELS, shipped_images
from xbarc import estimates
from xbarc.cli import main
from xbarc.mapping import search_seconds
from xbarc.options import AdcSaving, Effort

MLP = MODELS / "fashion-mlp.onnx"
EFFORTS: tuple[Effort, ...] = ("low", "normal", "high")
SEARCHED: tuple[AdcSaving, ...] = ("recode", "centre", "distribute")


def test_more_effort_takes_no_less() -> None:
    sizes = (100, 70_000, 2_000_000)
    for name in SEARCHED:
        low, normal, high = (search_seconds(sizes, [name], effort) for effort in EFFORTS)
        assert 0 < low < normal <= high
    assert search_seconds(sizes, ["group"], "normal") == 0


def test_savings_add_up() -> None:
    each = [search_seconds((50_000,), (name,), "normal") for name in SEARCHED]
    assert search_seconds((50_000,), SEARCHED, "normal") == pytest.approx(sum(each))


@pytest.mark.parametrize(
    ("seconds", "effort", "text"),
    [
        (9.0, "normal", ""),
        (16.0, "low", "--x searches for about 20 s"),
        (95.0, "normal", "--x searches for about 2 min; --effort low is quicker, and is worse"),
        (8000.0, "low", "--x searches for about 2 h"),
    ],
)
def test_one_digit_is_told(
    seconds: float, effort: Effort, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "xbarc.estimates"):
        estimates.tell_search("--x", seconds, effort, "is worse")
    assert caplog.messages == [text] * bool(text)


@pytest.mark.parametrize("quiet", [False, True])
def test_a_command_tells_before_it_searches(
    quiet: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimates, "_WORTH_TELLING", 1e-9)
    saving = ("--adc-savings", "recode", "--effort", "low")
    place = ("-o", str(tmp_path / "net.xbar"))
    assert main(["compile", str(MLP), *saving, *place, *["-q"] * quiet]) == 0
    told = capsys.readouterr().err
    assert ("note: --adc-savings recode searches for about" in told) is not quiet
    # The next command in this process tells each thing once.
    assert len(logging.getLogger("xbarc.estimates").handlers) == 0


@pytest.mark.slow
def test_a_budget_tells_once_its_first_pass_is_done(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimates, "_WORTH_TELLING", 1e-9)
    with caplog.at_level(logging.INFO, "xbarc.estimates"):
        xbarc.compile(MLP, calibration=shipped_images(32), adc_budget="18dB", effort="low")
    assert [text.partition(" for about")[0] for text in caplog.messages] == [
        "--adc-budget searches"
    ]

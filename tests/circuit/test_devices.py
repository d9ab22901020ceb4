"""Device models from elsewhere: by position, checked, named in what `check --json` prints."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.builders import int_layer, mapped, program_of, small_target
from xbarc.circuit import Chip, DeviceModel, Effects
from xbarc.circuit.devices import CellModel, load_device
from xbarc.circuit.written_rows import layer_cells
from xbarc.cli import main
from xbarc.errors import InputError, MappingError
from xbarc.numerics.types import Float64Array, IntArray
from xbarc.testing import ConformanceError, check_device

MODEL = Path(__file__).parents[2] / "models" / "fashion-mlp.onnx"
VARIATION = frozenset({"variation"})


@dataclass(frozen=True)
class Tenth(DeviceModel):
    """A tenth of a level, by the sum of two numbers; `fault` is what goes wrong."""

    fault: str = ""
    name: str = "tenth"

    def numbers(self) -> int:
        return 2

    def program(self, levels: IntArray, cell: CellModel, drawn: Float64Array) -> Float64Array:
        real: Float64Array = np.maximum(levels + 0.1 * (drawn[0] + drawn[1]), -cell.floor)
        match self.fault:
            case "shape":
                return real[..., :1]
            case "nan":
                return real * np.nan
            case "negative":
                return real - 10
            case "order":
                return real + np.arange(real.shape[0]).reshape(-1, *[1] * (real.ndim - 1)) / 1e3
            case "clock":
                return real + np.random.default_rng().random()
            case "writes":
                drawn[0] = 0
            case "fails":
                raise KeyError(levels.shape)
            case _:
                pass
        return real


def _chip(device: DeviceModel | None) -> Chip:
    weights = np.random.default_rng(0).integers(-128, 128, (2, 11, 5))
    target = small_target(array__rows=8, array__active_rows=8, array__columns=16)
    step = mapped(int_layer(weights), target)
    return Chip(program_of([step], target, [None, 22]), Effects(VARIATION, 3, device=device))


@pytest.mark.parametrize("device", [Tenth(), None])
def test_cells_depend_on_their_place_alone(device: DeviceModel | None) -> None:
    """Row by row they hold what the whole array does."""
    chip = _chip(device)
    (step,) = chip.program.crossbar_steps
    whole, cells = chip.levels(step), layer_cells(chip, step)
    written = step.cells.unpack((slice(None),)).astype(np.int64)
    for row in range(step.inputs):
        assert np.array_equal(cells.write(row, written[:, row]), whole[:, row])
    assert np.array_equal(chip.levels(step), whole)
    other = Chip(chip.program, Effects(VARIATION, 4, device=device)).levels(step)
    assert not np.array_equal(other, whole)
    if device is not None:
        deviation = (whole - written)[written > 0].std()
        assert deviation == pytest.approx(0.1 * np.sqrt(2), rel=0.15)


def test_the_kit_reports_mean_and_deviation() -> None:
    for spread in check_device(Tenth()):
        assert spread.mean == pytest.approx(spread.level, abs=0.05)
        assert spread.deviation == pytest.approx(0.1 * np.sqrt(2), rel=0.3)


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        ("shape", InputError, "gives ndarray of shape"),
        ("nan", InputError, "gives infinite cells"),
        ("negative", InputError, "below zero"),
        ("order", ConformanceError, "row by row, cells come out differently"),
        ("clock", ConformanceError, "the same cells come out differently"),
        ("writes", ConformanceError, "changes what it is given"),
        ("fails", MappingError, r"--device .*:Tenth \(unversioned\): program\(\) failed: KeyError"),
    ],
)
def test_faults_are_found(fault: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        check_device(Tenth(fault))


def test_an_object_for_effects_is_checked() -> None:
    """And what it raises on a chip is told as its own."""
    with pytest.raises(MappingError, match=r"program\(\) failed: KeyError"):
        list(map(_chip(Tenth("fails")).levels, _chip(None).program.crossbar_steps))
    with pytest.raises(MappingError, match="lacks"):
        _chip(3)  # type: ignore[arg-type]


def test_what_is_no_model_is_refused() -> None:
    with pytest.raises(InputError, match="--device: needs --effects variation"):
        Effects(frozenset({"noise"}), device=Tenth())
    with pytest.raises(MappingError, match="no device model 'morse'"):
        load_device("morse")
    with pytest.raises(MappingError, match="lacks name, numbers, program"):
        load_device("numpy:pi")


def test_the_command_takes_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place, data = tmp_path / "a.xbar", tmp_path / "d.npz"
    assert main(["compile", str(MODEL), "-o", str(place)]) == 0
    inputs = np.random.default_rng(0).random((4, 1, 28, 28), dtype=np.float32)
    np.savez(data, image=inputs)
    asked = ["check", str(place), "--data", str(data), "--device", f"{__name__}:Tenth", "--json"]
    capsys.readouterr()
    assert main(asked) == 2
    assert "--device: needs --effects variation" in capsys.readouterr().err
    assert main([*asked, "--effects", "variation"]) == 0
    named = f'"device": "tenth ({__name__}:Tenth, unversioned)"'
    assert named in capsys.readouterr().out

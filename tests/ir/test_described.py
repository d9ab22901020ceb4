"""The file format is described: every key of `program.json` and every array has a meaning."""

from __future__ import annotations

import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "docs"))

import file_format  # type: ignore[import-not-found]  # noqa: E402  # found through the line above

from tests.builders import int_layer, mapped, program_of, small_target  # noqa: E402
from xbarc.ir.facts import InputFacts, Narrowed  # noqa: E402
from xbarc.ir.files import load_program, save_program  # noqa: E402
from xbarc.ir.files.arrays import FORMS, check_forms, hold_arrays  # noqa: E402
from xbarc.ir.files.schema import CrossbarRecord  # noqa: E402
from xbarc.ir.network import LayerHead  # noqa: E402


@pytest.mark.parametrize("record", file_format.records(), ids=lambda record: record.__name__)
def test_every_key_has_a_meaning(record: type) -> None:
    assert [name for name, text in file_format.meanings(record).items() if not text] == []


def test_every_array_has_a_meaning_and_stands_in_the_page() -> None:
    table = file_format.array_table()
    for name, form in FORMS.items():
        assert form.meaning
        assert f"| `{name}` |" in table


def test_no_layer_has_an_array_that_nobody_described() -> None:
    with pytest.raises(ValueError, match=r"no layer has an array 'tiling\.spare'"):
        check_forms("fc", {"tiling.spare": np.zeros(3, np.int32)})


def test_what_is_wrong_with_an_array_names_its_axes() -> None:
    with pytest.raises(ValueError, match=r"float64 with 1 axes, expected integer with 1: row"):
        check_forms("fc", {"tiling.row_input": np.zeros(3)})


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint64", "int64"])
def test_integers_are_held_as_the_compiler_writes_them(dtype: str) -> None:
    """A bound of 64 in 8 bits overflows where it is doubled."""
    held = hold_arrays("fc", {"tiling.row_bounds": np.array([0, 64], dtype)})
    assert held["tiling.row_bounds"].dtype == np.int32
    with pytest.raises(ValueError, match=r"fc: adc\.bits holds .* expected uint8"):
        hold_arrays("fc", {"adc.bits": np.full((1, 1, 1, 1), 256)})


@pytest.mark.parametrize("encoding", ["differential", "offset", "acm", "bias-column"])
def test_a_saved_layer_holds_the_arrays_that_every_layer_has(encoding: str, tmp_path: Path) -> None:
    target = small_target()
    step = mapped(int_layer(np.arange(24).reshape(1, 6, 4) - 12), target, encoding=encoding)
    save_program(program_of([step], target, (1, 6)), tmp_path / "net.xbar")
    names = {name.partition(".")[2] for name in load_file(tmp_path / "net.xbar/cells.safetensors")}
    always = {name for name, form in FORMS.items() if not form.optional}
    assert always <= names <= set(FORMS)
    load_program(tmp_path / "net.xbar")


def test_a_layer_keeps_its_head_on_crossbars_and_in_files() -> None:
    """What a new field of the head needs: nothing in mapping, a key or an array in the files."""
    names = {item.name for item in fields(LayerHead)}
    assert names - set(CrossbarRecord.model_fields) == {"equalised"}
    assert "result.equalised" in FORMS
    facts = InputFacts(np.zeros((1, 3), np.int64), np.full((1, 3), 9))
    layer = replace(
        int_layer(np.arange(6).reshape(1, 3, 2)),
        input_shape=(1, 3),
        uncounted="a reason",
        equalised=np.ones(2, np.float32),
        facts=facts,
        narrowed=Narrowed(8),
    )
    step = mapped(layer, small_target())
    assert {name for name in names if getattr(step, name) is not getattr(layer, name)} == {"facts"}
    assert step.facts is not None
    assert step.facts.low is facts.low  # facts also tell what they save
    assert step.facts.high is facts.high

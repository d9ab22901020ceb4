"""A layer with declared integers is exact, or a note names it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.models.declared import Case, build, draw
from xbarc.cli import main
from xbarc.compiler import CompileOptions, compile_model
from xbarc.errors import MappingError
from xbarc.executor import Executor
from xbarc.frontend import runnable_model
from xbarc.ir.program import Program
from xbarc.mapping.encodings import encoding_names
from xbarc.oracle import Oracle
from xbarc.report import collect
from xbarc.target import Target, load_target

Record = Callable[[str, object], None]


def _target(seed: int) -> Target:
    bits = (1, 2, 4)[seed % 3]
    levels = np.linspace(1.0, 40.0, 1 << bits).round(4).tolist()
    settings = [f"cell.bits={bits}", f"cell.conductance={levels}", "adc.max_bits=16"]
    return load_target("rram128", settings)


def _options(seed: int, *, exact: bool = False) -> CompileOptions:
    rng = np.random.default_rng(seed)
    names = [name for name in encoding_names() if name != "unipolar"]
    slices = (None, None, 1, 2, 4)[rng.integers(5)]
    encoding = names[rng.integers(len(names))]
    return CompileOptions(encoding=encoding, weight_slices=slices, exact_weights=exact)


def _result(case: Case, folder: Path) -> str:
    """What became of a model: `exact`, `noted`, `refused` (the cells cannot hold such weights)."""
    model, feeds = build(case)
    path = folder / f"{case.seed}.onnx"
    onnx.save(model, path)
    target, options = _target(case.seed), _options(case.seed)
    try:
        program = compile_model(path, target, options=options)
    except MappingError as error:
        return _allowed(error)
    (wanted,) = Oracle(runnable_model(path)).run(feeds).values()
    (found,) = Executor(program).run(feeds)
    noted = _noted(program)
    _assert_refusal(path, target, case.seed, refused=noted)
    if np.array_equal(found, wanted):
        return "noted" if noted else "exact"
    assert noted or _declares_nothing(case), (case, options, _error(found, wanted))
    return "noted" if noted else "real"


def _allowed(error: MappingError) -> str:
    """Refused are weights that no cell holds, and integers that must stay as they are."""
    text = str(error)
    known = ("do not fit", "gives integers", "needs")
    return "refused" if any(word in text for word in known) else text


def _declares_nothing(case: Case) -> bool:
    """Weights alone say nothing of inputs."""
    return case.notation == "weights-only"


def _noted(program: Program) -> bool:
    notes = [note for note in collect(program).notes if note.startswith("Declared integers")]
    assert len(notes) == sum(len(step.unkept) for step in program.crossbar_steps)
    for step in program.crossbar_steps:
        assert not step.unkept or any(step.name in note for note in notes)
    return bool(notes)


def _assert_refusal(path: Path, target: Target, seed: int, *, refused: bool) -> None:
    """`exact_weights` refuses what a note names, and nothing else."""
    if not refused:
        return
    with pytest.raises(MappingError, match="exact-weights"):
        compile_model(path, target, options=_options(seed, exact=True))


def _error(found: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.abs(found.astype(np.float64) - wanted.astype(np.float64)).max())


def test_declared_integers_are_exact_or_noted(tmp_path: Path) -> None:
    counts = Counter(_result(draw(seed), tmp_path) for seed in range(40))
    assert counts["exact"] >= 15


@pytest.mark.slow
@pytest.mark.parametrize("part", range(6))
def test_hundreds_of_declared_models(part: int, tmp_path: Path, record_property: Record) -> None:
    seeds = range(100 + 100 * part, 200 + 100 * part)
    counts = Counter(_result(draw(seed), tmp_path) for seed in seeds)
    for kind, count in counts.items():
        record_property("declared integers", f"{count} {kind}")
    assert counts["exact"] >= 40


def test_the_command_refuses_and_names_the_layer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One cell of two bits does not hold eight."""
    model, _ = build(Case("qdq", "gemm", "nothing", "uint8", "int8", True, False, False, 1))
    model.graph.node[-1].name = "head"
    path = tmp_path / "net.onnx"
    onnx.save(model, path)
    words = ["compile", str(path), "--weight-slices", "1", "-o", str(tmp_path / "net.xbar")]
    assert main(words) == 0
    told = capsys.readouterr().out
    assert "Declared integers of layer head: its weights are not kept" in " ".join(told.split())
    assert main([*words, "--exact-weights"]) == 2
    refused = " ".join(capsys.readouterr().err.split())
    assert "head" in refused
    assert "SQNR" in refused
    assert main([*words[:2], "--exact-weights", *words[4:]]) == 0

"""The compiler: a chain of named stages from an ONNX file to a program.

`compilation.py` holds what stages work on, `stages.py` the stages in their order, `lowering.py` the
walk that maps layer after layer. To add a stage, write a function from `Compilation` to
`Compilation` and put it into `STAGES`, with what it reads and makes; `xbarc passes` prints them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from xbarc.compiler.compilation import Compilation, start_compilation
from xbarc.compiler.stages import STAGES, CompileObserver
from xbarc.ir import Network, Program
from xbarc.memo import Memo
from xbarc.numerics import AnyArray, ordered_sums
from xbarc.options import CompileOptions
from xbarc.pipeline import Progress, run_stages
from xbarc.target import Target, load_target

_OF_NETWORKS = ("read", "simplify", "scale")

__all__ = [
    "STAGES",
    "Compilation",
    "CompileObserver",
    "CompileOptions",
    "compile_model",
    "prepared_network",
    "run_compiler",
]


def run_compiler(
    path: str | Path,
    target: str | Path | Target = "rram128",
    *,
    options: CompileOptions | None = None,
    calibration: Mapping[str, AnyArray] | None = None,
    progress: Progress | None = None,
    observe: CompileObserver | None = None,
    memo: Memo | None = None,
) -> Compilation:
    """Compile a model: run all stages, in their order.

    Args:
        path: the model; the file is only read.
        target: a name, a TOML file, or a target already loaded.
        options: None takes all defaults.
        calibration: arrays by input name, first axis the sample; unlabelled is enough. With it,
            activation ranges are static, without it they are taken at run time.
        progress: called with the stage and the layer at work, its number and the count of layers.
        observe: called after each stage with what it gave, and its time.
        memo: what other compilations have made, and where this one keeps what they may use.

    Raises:
        ModelError: the model cannot be read or run.
        TargetError: the target is wrong.
        MappingError: the model does not fit the target.
        InputError: calibration data does not fit the model.
    """
    loaded = target if isinstance(target, Target) else load_target(target)
    start = start_compilation(path, loaded, options, calibration, memo)
    # BLAS sums in an order that depends on its threads; one order gives the same bytes.
    with ordered_sums():
        return run_stages(start, STAGES, progress, observe)


def compile_model(
    path: str | Path,
    target: str | Path | Target = "rram128",
    *,
    options: CompileOptions | None = None,
    calibration: Mapping[str, AnyArray] | None = None,
    progress: Progress | None = None,
    memo: Memo | None = None,
) -> Program:
    """Compile a model and return its program; see `run_compiler`.

    Raises:
        XbarcError: as `run_compiler`.
    """
    made = run_compiler(
        path, target, options=options, calibration=calibration, progress=progress, memo=memo
    )
    return made.program


def prepared_network(
    path: Path,
    target: Target,
    options: CompileOptions | None = None,
    calibration: Mapping[str, AnyArray] | None = None,
) -> Network:
    """The network of a model as its layers are mapped: dead layers gone, channels scaled.

    Args:
        path: the model.
        target: says whether all layers share one range.
        options: None takes all defaults.
        calibration: as `compile_model` takes it.

    Raises:
        ModelError: the model cannot be read or run.
    """
    start = start_compilation(path, target, options, calibration)
    with ordered_sums():
        return run_stages(start, [stage for stage in STAGES if stage.name in _OF_NETWORKS]).network

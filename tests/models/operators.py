"""The single-operator cases of the onnx package, and what became of each."""

from __future__ import annotations

import importlib
import re
import warnings
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import onnxruntime as ort
from onnx import numpy_helper
from onnx.backend.test.case.test_case import TestCase

from xbarc.compiler import compile_model
from xbarc.errors import XbarcError
from xbarc.executor import Executor
from xbarc.ir.network import Value
from xbarc.ir.program import Program

VERSION, TOTAL = "1.23.2", 1884
"""Cases in this version of onnx; another has another number of them."""

Kind = Literal["equal", "as-runtime", "random", "refused", "differs", "unjustified"]

RANDOM = frozenset(
    f"test_training_dropout{end}" for end in ("", "_default", "_default_mask", "_mask")
)
"""Operators that draw random numbers: only shape and element type can agree."""

AS_RUNTIME = {
    "sums that are zero come out as 1e-5 of the signal, the tolerance around zero is 1e-7": (
        *(f"test_dft{end}" for end in ("", "_axis", "_inverse", "_rfft", "_irfft")),
        *(f"test_dft{end}_opset19" for end in ("", "_axis", "_inverse", "_rfft", "_irfft")),
        "test_stft",
        "test_stft_with_window",
    ),
    "one float16 step of difference in 192 values": ("test_attention_4d_causal_fp16",),
    "masks with the lowest float where the case expects minus infinity": (
        "test_attention_4d_with_past_and_present_qk_matmul_bias_3d_mask_causal",
        "test_attention_4d_with_past_and_present_qk_matmul_bias_4d_mask_causal",
    ),
    "reads indices as those of the given output shape": (
        "test_maxunpool_export_with_output_shape",
    ),
    "takes the scale, not the sizes, for aligned corners": (
        "test_resize_downsample_scales_linear_align_corners",
        "test_resize_downsample_scales_cubic_align_corners",
    ),
}
"""Cases that ONNX Runtime itself answers otherwise than the onnx package, by what it does."""


@dataclass(frozen=True)
class Outcome:
    """What became of one case.

    Attributes:
        kind: `equal` to the expected outputs within the case's tolerance; `as-runtime`: not so, but
            ONNX Runtime on the whole model gives the same bits; `random`; `refused` by a named
            error, and ONNX Runtime refuses it too; the other two are failures.
        detail: the error's text, or what differs.
    """

    name: str
    kind: Kind
    detail: str = ""


@cache
def all_cases() -> tuple[TestCase, ...]:
    """All cases; making them takes some seconds and warns about overflow on purpose."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases  # noqa: PLC0415  # it warns

        return tuple(collect_testcases(None))


def cases_of(operators: Collection[str]) -> list[TestCase]:
    """Cases whose only node is one of these; the package's other cases take eight seconds."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case import node as package  # noqa: PLC0415  # it warns

        for name in operators:
            importlib.import_module(f"{package.__name__}.{name.lower()}")
    nodes = ((case, model_of(case).graph.node) for case in package._NodeTestCases)
    return [case for case, (first, *more) in nodes if not more and first.op_type in operators]


def model_of(case: TestCase) -> onnx.ModelProto:
    """A case's model, which each of these cases has."""
    assert case.model is not None
    return case.model


def run_case(case: TestCase, folder: Path) -> Outcome:
    """Compile and run one case; only an XbarcError counts as a refusal."""
    path = folder / f"{case.name}.onnx"
    path.write_bytes(model_of(case).SerializeToString())
    feeds, wanted = case_data(case)
    try:
        program = compile_model(path)
        found = Executor(program).run(carried(feeds, program.inputs))
    except XbarcError as error:
        reason = f"{type(error).__name__}: {error.message}"
        refused = runtime_refuses(case, feeds)
        return Outcome(case.name, "refused" if refused else "unjustified", reason)
    finally:
        path.unlink()
    return _judge(case, program, found, wanted, feeds)


def _judge(
    case: TestCase, program: Program, found: list[Any], wanted: list[Any], feeds: dict[str, Any]
) -> Outcome:
    if case.name in RANDOM:
        same = all(np.shape(a) == np.shape(b) for a, b in zip(found, wanted, strict=True))
        return Outcome(case.name, "random" if same else "differs")
    try:
        assert_close(found, wanted, case.rtol, case.atol)
    except AssertionError as error:
        known = any(case.name in names for names in AS_RUNTIME.values())
        same = known and not _differs(found, run_runtime(model_of(case), feeds))
        return Outcome(case.name, "as-runtime" if same else "differs", first_line(error))
    return Outcome(case.name, "equal")


def _differs(found: list[Any], told: list[Any]) -> bool:
    try:
        assert_close(found, told, 0.0, 0.0)
    except AssertionError:
        return True
    return False


def first_line(error: BaseException) -> str:
    """An assertion's text on one line."""
    return " ".join(str(error).split())[:160]


def case_data(case: TestCase) -> tuple[dict[str, Any], list[Any]]:
    """Inputs by name, and the expected outputs."""
    assert case.data_sets
    inputs, outputs = case.data_sets[0]
    names = [value.name for value in model_of(case).graph.input]
    arrays = [_plain(value) for value in inputs]
    return dict(zip(names, arrays, strict=True)), [_plain(value) for value in outputs]


def _plain(value: Any) -> Any:
    """Element types that numpy lacks come as protobufs."""
    return numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value


def carried(feeds: dict[str, Any], inputs: Sequence[Value]) -> dict[str, Any]:
    """Inputs in the types that cross a program's border: bfloat16 travels as float32."""
    kinds = {value.name: value.dtype for value in inputs}
    return {
        name: array.astype(kinds[name]) if _is_foreign(array) and kinds[name] != "other" else array
        for name, array in feeds.items()
    }


def _is_foreign(value: Any) -> bool:
    """Whether an array is of an element type that numpy itself does not know."""
    return isinstance(value, np.ndarray) and value.dtype.type.__module__ != "numpy"


def runtime_refuses(case: TestCase, feeds: dict[str, Any]) -> bool:
    """Whether ONNX Runtime, as anyone would call it, cannot run the model as it stands.

    Types that its Python interface cannot be fed with prove nothing: then it must refuse to load.
    """
    try:
        session = ort.InferenceSession(
            model_of(case).SerializeToString(), _quiet(), providers=["CPUExecutionProvider"]
        )
    except Exception:  # whatever ONNX Runtime raises, it refused
        return True
    if any(_is_foreign(value) for value in feeds.values()):
        return False
    try:
        session.run(None, feeds)
    except Exception:  # as above
        return True
    return False


def run_runtime(model: onnx.ModelProto, feeds: dict[str, Any]) -> list[Any]:
    """Outputs of ONNX Runtime with its optimisations off and exact integer kernels."""
    options = _quiet()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    results: list[Any] = session.run([value.name for value in session.get_outputs()], feeds)
    return results


def _quiet() -> Any:
    options = ort.SessionOptions()
    options.log_severity_level = 4
    return options


def assert_close(found: Iterable[Any], wanted: Iterable[Any], rtol: float, atol: float) -> None:
    """Compare outputs as the onnx package's own runner does: type, shape, then values."""
    for one, other in zip(found, wanted, strict=True):
        _assert_value(one, other, rtol, atol)


def _assert_value(found: Any, wanted: Any, rtol: float, atol: float) -> None:
    if isinstance(wanted, list):
        assert isinstance(found, list)
        assert_close(found, wanted, rtol, atol)
    elif wanted is None:
        assert found is None
    elif np.asarray(wanted).dtype.kind in "OUS":
        assert np.array_equal(np.asarray(found, dtype=object), np.asarray(wanted, dtype=object))
    else:
        _assert_numbers(np.asarray(found), np.asarray(wanted), rtol, atol)


def _assert_numbers(found: Any, wanted: Any, rtol: float, atol: float) -> None:
    if _is_foreign(wanted):  # bfloat16 and the like travel in a wider type
        wanted = wanted.astype(found.dtype)
    assert found.dtype == wanted.dtype, f"{found.dtype} for {wanted.dtype}"
    assert found.shape == wanted.shape, f"{found.shape} for {wanted.shape}"
    np.testing.assert_allclose(found, wanted, rtol=rtol, atol=atol)


_REASONS = (
    (r"knows the operators of (?P<what>\S+) up to version (?P<version>\d+)", "opset newer than {}"),
    (r"cannot run operator (?P<what>\w+) \(domain '(?P<version>[^']*)'\)", "no kernel for {}"),
    (r"refuses operator (?P<what>\w+)", "schema of {} refuses the node"),
    (r"while running (?P<what>\w+) node", "kernel of {} fails at run time"),
)


def reason_of(detail: str) -> str:
    """A refusal's reason without the case's own numbers, to count by."""
    for pattern, text in _REASONS:
        found = re.search(pattern, detail)
        if found is not None:
            return text.format(" ".join(found.groups()).replace(" ai.onnx", ""))
    return detail[:110]

"""ONNX Runtime behind one typed wrapper: every operator runs as the model writes it.

Graph optimisations are off, so that nothing is fused or reordered. That alone is not exact for
integers: on x86 without VNNI, uint8 x int8 kernels saturate 16-bit sums, and the option against it,
`session.x64quantprecision`, acts through an optimisation. Models that come here with such products
were rewritten in `frontend.fragments.saturation`, and `IntegerProduct` has none.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from xbarc.errors import InputError, ModelError, UnsupportedError, XbarcError
from xbarc.numerics import THREADS, AnyArray, IntArray, available_cores

_NUMPY_NAMES = {
    "float": "float32",
    "double": "float64",
    "bool": "bool",
    **{name: name for name in ("float16", "int8", "int16", "int32", "int64")},
    **{name: name for name in ("uint8", "uint16", "uint32", "uint64", "bfloat16", "string")},
}


class RuntimeValue:
    """Name, element type and shape of a model's input or output, as ONNX Runtime sees it."""

    def __init__(self, node: Any) -> None:
        self.name: str = node.name
        self.type: str = node.type
        self.shape: list[int | str | None] = list(node.shape) if node.shape is not None else []

    @property
    def dtype(self) -> str:
        """Numpy name of the element type; `other` for sequences, maps and optional types."""
        inner = self.type.removeprefix("tensor(").removesuffix(")")
        return _NUMPY_NAMES.get(inner, "other") if self.type.startswith("tensor(") else "other"


def _default_threads() -> int:
    """As many as the environment asks for; without that ONNX Runtime knows the cores better."""
    return available_cores() if THREADS in os.environ else 0


class OnnxSession:
    """One ONNX model, loaded and ready to run.

    Args:
        model: serialised model, or the path of a model file (needed for external data).
        where: what the model is, for error messages.
        threads: threads of one operator; 0 lets ONNX Runtime choose.
        shared: arrays of initialisers that the model declares as external, by name. They are used
            where they lie, and never copied into the model.

    Raises:
        UnsupportedError: ONNX Runtime has no kernel for an operator, or its type.
        ModelError: the model is not valid.
    """

    def __init__(
        self,
        model: bytes | Path,
        *,
        where: str,
        threads: int = 0,
        shared: Mapping[str, AnyArray] | None = None,
    ) -> None:
        import onnxruntime as ort  # noqa: PLC0415  # --help must not load it

        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # Errors come as exceptions; what ONNX Runtime prints beside them would reach the user's
        # terminal.
        options.log_severity_level = 4
        options.intra_op_num_threads = threads or _default_threads()
        self.where = where
        # ONNX Runtime reads them for as long as the session lives.
        self._shared = {
            name: ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array))
            for name, array in (shared or {}).items()
        }
        if self._shared:
            options.add_external_initializers([*self._shared], [*self._shared.values()])
        source = str(model) if isinstance(model, Path) else model
        try:
            self._session = ort.InferenceSession(
                source, options, providers=["CPUExecutionProvider"]
            )
        except _runtime_errors() as error:
            raise _load_error(str(error), where) from error
        try:
            self.inputs = tuple(RuntimeValue(node) for node in self._session.get_inputs())
            self.outputs = tuple(RuntimeValue(node) for node in self._session.get_outputs())
        except UnicodeDecodeError as error:
            raise ModelError("a name is not UTF-8 text", where=where) from error

    def __deepcopy__(self, memo: dict[int, Any]) -> OnnxSession:
        """Itself: a session keeps nothing from one run to the next."""
        return self

    def run(self, feeds: Mapping[str, Any], outputs: Sequence[str] | None = None) -> list[Any]:
        """Run on inputs by name; gives the outputs asked for, or all.

        Raises:
            InputError: ONNX Runtime refused the inputs or failed on them.
        """
        names = [value.name for value in self.outputs] if outputs is None else list(outputs)
        # ONNX Runtime takes an empty list for a wish for all outputs.
        if not names:
            return []
        try:
            results: list[Any] = self._session.run(names, dict(feeds))
        except _runtime_errors() as error:
            raise InputError(_short(str(error)), where=self.where) from error
        return results


def _runtime_errors() -> tuple[type[Exception], ...]:
    from onnxruntime.capi import onnxruntime_pybind11_state as state  # noqa: PLC0415

    names: tuple[str, ...] = ("EPFail", "Fail", "InvalidArgument", "InvalidGraph", "NoSuchFile")
    names += (
        "InvalidProtobuf",
        "ModelLoaded",
        "NoModel",
        "NotImplemented",
        "RuntimeException",
        "EngineError",
    )
    found = [getattr(state, name) for name in names if hasattr(state, name)]
    return (*found, ValueError, RuntimeError, TypeError)


_INVALID = ("INVALID_GRAPH", "INVALID_PROTOBUF", "INVALID_ARGUMENT", "Type Error", "ShapeInference")
_NODE = re.compile(r'In Node, \("(?P<node>[^"]*)", (?P<op>\w+), "(?P<domain>[^"]*)"')
_KERNEL = re.compile(r"(?:implementation|kernel) for (?P<op>\w+)\(\d+\)[^']*'(?P<node>[^']*)'")
_UNKNOWN = re.compile(r"(?P<domain>[\w.]*):(?P<op>\w+)\(-?\d+\) is not a registered")
_OPSET = re.compile(r"support for domain (?P<domain>\S+) is till opset (?P<version>\d+)")


def _load_error(text: str, where: str) -> ModelError:
    opset = _OPSET.search(text)
    if opset is not None:
        return UnsupportedError(
            f"this ONNX Runtime knows the operators of {opset['domain']} up to version"
            f" {opset['version']}, the model uses newer ones",
            where=where,
            hint="export the model for an older opset",
        )
    unknown = "is not a registered function/op" in text or "No Op registered" in text
    unknown = unknown or "No opset import" in text
    if unknown or not any(mark in text for mark in _INVALID):
        return UnsupportedError(
            f"ONNX Runtime cannot run {_culprit(text)}: {_short(text)}",
            where=where,
            hint="replace the operator, or export the model for another opset",
        )
    return ModelError(f"ONNX Runtime refuses {_culprit(text)}: {_short(text)}", where=where)


def lacks_kernel(error: XbarcError) -> bool:
    """Whether the model is valid, and ONNX Runtime has no kernel for an operator or its type."""
    return "Could not find an implementation" in error.message


def _culprit(text: str) -> str:
    """Operator, domain and node that a message of ONNX Runtime is about, as far as it says."""
    found = _NODE.search(text) or _KERNEL.search(text) or _UNKNOWN.search(text)
    if found is None:
        return "the model"
    parts = found.groupdict()
    name = f" of node '{parts['node']}'" if parts.get("node") else ""
    return f"operator {parts['op']} (domain '{parts.get('domain') or 'ai.onnx'}'){name}"


def _short(text: str) -> str:
    """One line of an ONNX Runtime message, without its prefix and source positions."""
    line = " ".join(text.split()).removeprefix("[ONNXRuntimeError] : ")
    line = re.sub(r"^\d+ : \w+ : ", "", line)
    line = re.sub(r"\S*/onnxruntime_src/\S+ ", "", line)
    return line if len(line) <= 400 else line[:397] + "..."


class IntegerProduct:
    """An exact integer product with constant int8-sized weights in ONNX Runtime.

    Weights go in as uint8 with zero point 128: the uint8 x uint8 kernels add in 32 bits on every
    CPU, where uint8 x int8 saturates on those without VNNI.

    Args:
        weights: -128 to 127; axes of MatMul: group, input, output; of Conv: channel, input of the
            group, kernel.
        conv: attributes of Conv; None for a matrix product.
        threads: threads of the product; 0 lets ONNX Runtime choose.
    """

    def __init__(
        self, weights: IntArray, conv: Mapping[str, Any] | None = None, threads: int = 0
    ) -> None:
        import onnx  # noqa: PLC0415  # --help must not load it
        from onnx import helper, numpy_helper  # noqa: PLC0415

        # In two's complement the highest bit alone says which half: turning it adds 128.
        shifted = weights.astype(np.int8, copy=False).view(np.uint8) ^ np.uint8(128)
        outside = onnx.TensorProto(
            name="w",
            data_type=onnx.TensorProto.UINT8,
            dims=shifted.shape,
            data_location=onnx.TensorProto.EXTERNAL,
        )
        # No file: the array is handed over when the session is made.
        outside.external_data.add(key="location", value="w")
        constants = [
            outside,
            numpy_helper.from_array(np.array(0, np.uint8), "x_zero"),
            numpy_helper.from_array(np.array(128, np.uint8), "w_zero"),
        ]
        kind = "MatMulInteger" if conv is None else "ConvInteger"
        node = helper.make_node(kind, ["x", "w", "x_zero", "w_zero"], ["y"], **(conv or {}))
        border = [
            helper.make_tensor_value_info(name, element, None)
            for name, element in (("x", onnx.TensorProto.UINT8), ("y", onnx.TensorProto.INT32))
        ]
        graph = helper.make_graph([node], "product", border[:1], border[1:], constants)
        opset = [helper.make_opsetid("", 13)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=8)
        self._session = OnnxSession(
            model.SerializeToString(),
            where="integer product",
            threads=threads,
            shared={"w": shifted},
        )

    def run(self, codes: IntArray) -> IntArray:
        """Products of codes from 0 to 255, int32."""
        narrow = np.ascontiguousarray(codes, dtype=np.uint8)
        product: IntArray = self._session.run({"x": narrow}, ["y"])[0]
        return product

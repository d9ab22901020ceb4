"""A node of every operator that bounds know, with attributes and constants drawn at random."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import helper, numpy_helper

from tests.intervals.growing import FLOAT, Graph, typed
from xbarc.numerics.types import AnyArray

Example = Callable[[Graph, str], str | None]


def _alone(kind: str, **attributes: Any) -> Example:
    def build(graph: Graph, x: str) -> str | None:
        chosen = {k: graph.pick(*v) for k, v in attributes.items() if graph.chance(0.7)}
        return graph.add(kind, [x], **chosen)

    return build


def _pair(kind: str) -> Example:
    def build(graph: Graph, x: str) -> str | None:
        array = graph.values[x]
        other: str | AnyArray = graph.pick(*graph.values)
        if graph.chance(0.8):
            other = graph.partner(array.shape, array.dtype)
        return graph.add(kind, [x, other] if graph.chance(0.7) else [other, x])

    return build


def _many(kind: str) -> Example:
    def build(graph: Graph, x: str) -> str | None:
        array = graph.values[x]
        others: list[str | AnyArray | None] = [
            graph.partner(array.shape, array.dtype) for _ in range(graph.pick(0, 1, 1, 2, 3))
        ]
        return graph.add(kind, [x, *others])

    return build


def _clip(graph: Graph, x: str) -> str | None:
    dtype = graph.values[x].dtype
    ends: list[str | AnyArray | None] = [
        None if graph.chance(0.2) else typed(graph.numbers((), wild=0.2), dtype) for _ in range(2)
    ]
    return graph.add("Clip", [x, *ends])


def _power(graph: Graph, x: str) -> str | None:
    exponent = np.array(graph.pick(0, 1, 2, 3, 4, -1, -2, 0.5, 1.5, -0.5, 40), FLOAT)
    return graph.add("Pow", [x, exponent.reshape(graph.pick((), (1,), (1, 1)))])


def _where(graph: Graph, x: str) -> str | None:
    array = graph.values[x]
    condition = graph.partner(array.shape, FLOAT) > 0
    parts: list[str | AnyArray | None] = [x, graph.partner(array.shape, array.dtype)]
    return graph.add("Where", [condition, *(parts if graph.chance() else parts[::-1])])


def _compare(kind: str) -> Example:
    def build(graph: Graph, x: str) -> str | None:
        array = graph.values[x]
        return graph.add(kind, [x, graph.partner(array.shape, array.dtype)])

    return build


def _reduce(kind: str) -> Example:
    def build(graph: Graph, x: str) -> str | None:
        rank = graph.values[x].ndim
        axes = [axis for axis in range(rank) if graph.chance()]
        axes = [axis - rank * graph.chance() for axis in axes]
        keep = graph.pick(0, 1)
        if graph.chance(0.2):
            return graph.add(kind, [x], keepdims=keep)
        if graph.opset >= 18 or kind == "ReduceSum":
            return graph.add(kind, [x, np.array(axes, np.int64)], keepdims=keep)
        return graph.add(kind, [x], axes=axes, keepdims=keep) if axes else None

    return build


def _axis(kind: str) -> Example:
    def build(graph: Graph, x: str) -> str | None:
        rank = max(1, graph.values[x].ndim)
        return graph.add(kind, [x], axis=int(graph.rng.integers(-rank, rank)))

    return build


def _reshape(graph: Graph, x: str) -> str | None:
    shape = list(graph.values[x].shape)
    while len(shape) > 1 and graph.chance(0.6):
        place = int(graph.rng.integers(len(shape) - 1))
        shape[place : place + 2] = [shape[place] * shape[place + 1]]
    if graph.chance(0.3):
        shape.insert(int(graph.rng.integers(len(shape) + 1)), 1)
    target = np.array(shape, np.int64)
    if target.size and graph.chance(0.6):
        target[int(graph.rng.integers(target.size))] = -1
    if target.size and graph.chance(0.5) and graph.values[x].ndim:
        target[0] = 0
    return graph.add("Reshape", [x, target])


def _transpose(graph: Graph, x: str) -> str | None:
    rank = graph.values[x].ndim
    if not rank or graph.chance(0.2):
        return graph.add("Transpose", [x])
    order = graph.rng.permutation(rank)
    if rank == 4 and graph.chance(0.6):
        order = np.array(graph.pick((0, 2, 3, 1), (0, 3, 1, 2)))
    return graph.add("Transpose", [x], perm=order.tolist())


def _squeeze(graph: Graph, x: str) -> str | None:
    axes = [axis for axis, size in enumerate(graph.values[x].shape) if size == 1 and graph.chance()]
    if graph.chance(0.3):
        return graph.add("Squeeze", [x])
    return graph.add("Squeeze", [x, np.array(axes, np.int64)]) if axes else None


def _unsqueeze(graph: Graph, x: str) -> str | None:
    rank = graph.values[x].ndim + 1
    axis = int(graph.rng.integers(-rank, rank))
    return graph.add("Unsqueeze", [x, np.array([axis], np.int64)])


def _expand(graph: Graph, x: str) -> str | None:
    shape = graph.values[x].shape
    target = [graph.pick(1, 2, 3) if size == 1 else graph.pick(1, size) for size in shape]
    target = [graph.pick(1, 2)] * graph.pick(0, 0, 1) + target
    return graph.add("Expand", [x, np.array(target, np.int64)])


def _tile(graph: Graph, x: str) -> str | None:
    times = [graph.pick(1, 1, 2) for _ in graph.values[x].shape]
    return graph.add("Tile", [x, np.array(times, np.int64)])


def _slice(graph: Graph, x: str) -> str | None:
    rank = graph.values[x].ndim
    axes = [axis for axis in range(rank) if graph.chance()]
    parts = np.array([[graph.pick(0, 1, -1, -2, 5, -99, 1 << 40) for _ in axes] for _ in "ab"])
    steps = np.array([graph.pick(1, 1, 2, -1, -2) for _ in axes], np.int64)
    named = np.array([axis - rank * graph.chance(0.3) for axis in axes], np.int64)
    reads: list[str | AnyArray | None] = [x, parts[0].astype(np.int64), parts[1].astype(np.int64)]
    if axes == list(range(len(axes))) and graph.chance():
        return graph.add("Slice", reads) if axes else None
    return graph.add("Slice", [*reads, named, steps] if graph.chance(0.7) else [*reads, named])


def _gather(graph: Graph, x: str) -> str | None:
    shape = graph.values[x].shape
    if not shape or 0 in shape:
        return None
    axis = int(graph.rng.integers(len(shape)))
    form = graph.pick((), (1,), (2,), (2, 2), (3,))
    places = graph.rng.integers(-shape[axis], shape[axis], form)
    return graph.add("Gather", [x, places], axis=axis - len(shape) * graph.chance(0.3))


def _gather_elements(graph: Graph, x: str) -> str | None:
    shape = graph.values[x].shape
    if not shape or 0 in shape:
        return None
    return graph.add("GatherElements", [x, graph.rng.integers(0, min(shape), shape)], axis=0)


def _gather_nd(graph: Graph, x: str) -> str | None:
    shape = graph.values[x].shape
    if not shape or 0 in shape:
        return None
    return graph.add("GatherND", [x, graph.rng.integers(0, shape[0], (2, 1))])


def _split(graph: Graph, x: str) -> str | None:
    shape = graph.values[x].shape
    places = [axis for axis, size in enumerate(shape) if size > 1]
    if not places:
        return None
    axis = graph.pick(*places)
    sizes = np.array([1, shape[axis] - 1], np.int64)
    return graph.add("Split", [x, sizes], axis=axis, outputs=2)


def _concat(graph: Graph, x: str) -> str | None:
    array = graph.values[x]
    if not array.ndim:
        return None
    axis = int(graph.rng.integers(array.ndim))
    shape = [graph.pick(1, 2, size) if a == axis else size for a, size in enumerate(array.shape)]
    other = typed(graph.numbers(tuple(shape)), array.dtype)
    same = [name for name, value in graph.values.items() if value.shape == array.shape]
    reads: list[str | AnyArray | None] = [x, graph.pick(other, graph.pick(*same))]
    return graph.add(
        "Concat", reads[:: graph.pick(1, -1)], axis=axis - array.ndim * graph.chance(0.3)
    )


def _pad(graph: Graph, x: str) -> str | None:
    array = graph.values[x]
    pads = np.array([graph.pick(0, 0, 1, 2, -1) for _ in range(2 * array.ndim)], np.int64)
    mode = graph.pick("constant", "constant", "reflect", "edge")
    reads: list[str | AnyArray | None] = [x, pads]
    if graph.chance():
        reads.append(typed(graph.numbers(()), array.dtype))
    return graph.add("Pad", reads, mode=mode)


def _resize(graph: Graph, x: str) -> str | None:
    rank = graph.values[x].ndim
    factors = [1.0] * min(2, rank) + [graph.pick(0.5, 1.0, 1.5, 2.0) for _ in range(rank - 2)]
    if graph.chance(0.2):
        factors = [graph.pick(1.0, 2.0) for _ in range(rank)]
    mode = graph.pick("nearest", "linear", "cubic")
    place = graph.pick("half_pixel", "asymmetric", "align_corners")
    scales = np.array(factors, FLOAT)
    return graph.add("Resize", [x, None, scales], mode=mode, coordinate_transformation_mode=place)


def _upsample(graph: Graph, x: str) -> str | None:
    """An operator of version 9 alone."""
    if graph.opset != 9 or graph.values[x].ndim != 4:  # other ranks end the process
        return None
    scales = np.array([1.0, 1.0, 2.0, 2.0], FLOAT)
    return graph.add("Upsample", [x, scales], mode=graph.pick("nearest", "linear"))


def _pool(kind: str) -> Example:
    def build(graph: Graph, x: str) -> str | None:
        spatial = graph.values[x].ndim - 2
        if spatial < 1:
            return None
        options = _window(graph, spatial)
        if kind == "MaxPool" and graph.chance(0.2):
            options["dilations"] = [graph.pick(1, 2, 3) for _ in range(spatial)]
        if kind == "AveragePool" and graph.chance(0.4):
            options["count_include_pad"] = 1
        return graph.add(kind, [x], **options)

    return build


def _window(graph: Graph, spatial: int) -> dict[str, Any]:
    kernel = [graph.pick(1, 2, 3) for _ in range(spatial)]
    options: dict[str, Any] = {"kernel_shape": kernel}
    if graph.chance(0.4):
        options["pads"] = [graph.pick(0, min(1, k - 1)) for k in kernel + kernel]
    elif graph.chance(0.3):
        options["auto_pad"] = graph.pick("SAME_UPPER", "SAME_LOWER", "VALID")
    if graph.chance(0.4):
        options["strides"] = [graph.pick(1, 2, 3) for _ in range(spatial)]
    if graph.chance(0.2):
        options["ceil_mode"] = 1
    return options


def _free(*shapes: tuple[int, ...], **options: Any) -> Callable[[str], Example]:
    """An operator of inputs that are drawn by themselves, some of them never below 0."""

    def of(kind: str) -> Example:
        def build(graph: Graph, x: str) -> str | None:
            arrays: list[str | AnyArray | None] = [graph.numbers(shape) for shape in shapes]
            if graph.chance(0.7):
                arrays = [np.abs(array) for array in arrays if isinstance(array, np.ndarray)]
            if graph.values[x].shape == shapes[0] and graph.values[x].dtype == FLOAT:
                arrays[0] = x
            return graph.add(kind, arrays, **options)

        return build

    return of


def _gemm(graph: Graph, x: str) -> str | None:
    factors = {"alpha": graph.pick(1.0, 2.0, -1.0), "beta": graph.pick(1.0, -1.0)}
    return _free((2, 4), (4, 3), (3,), **factors)("Gemm")(graph, x)


def _col2im(graph: Graph, x: str) -> str | None:
    del x
    columns = graph.numbers((1, 4, 4))
    reads = [np.abs(columns) if graph.chance() else columns, np.array([3, 3]), np.array([2, 2])]
    return graph.add("Col2Im", reads)


def _sizes(kind: str, *sizes: int | float | list[int], **options: Any) -> Example:
    """An operator of the size or the shape of its result."""

    def build(graph: Graph, x: str) -> str | None:
        del x
        return graph.add(kind, [np.array(graph.pick(*sizes), np.int64)], **options)

    return build


def _multinomial(graph: Graph, x: str) -> str | None:
    if graph.values[x].ndim != 2:  # other ranks end the process
        return None
    return graph.add("Multinomial", [x], sample_size=3)


def _filled(graph: Graph, x: str) -> str | None:
    del x
    value = typed(graph.numbers((1,)), graph.pick(FLOAT, np.float64, np.int64, np.uint8))
    options = {"value": numpy_helper.from_array(value)} if graph.chance(0.8) else {}
    shape = np.array(graph.pick([2, 3], [0], []), np.int64)
    return graph.add("ConstantOfShape", [shape], **options)


def _on_codes(kind: str, operands: int = 2, **attributes: int) -> Example:
    """An operator of com.microsoft on integers with their scales."""

    def build(graph: Graph, x: str) -> str | None:
        array = graph.values[x]
        pools = kind.endswith("Pool")
        if array.dtype not in (np.uint8, np.int8) or (pools and array.ndim < 3):
            return None
        form = [np.array(graph.pick(0.5, 0.02), FLOAT), np.array(graph.pick(0, 3), array.dtype)]
        reads: list[str | AnyArray | None] = [x, *form]
        if operands == 2:
            reads += [typed(graph.numbers(array.shape, wild=0), array.dtype), *form]
        window = {"kernel_shape": [2] * (array.ndim - 2)} if kind == "QLinearAveragePool" else {}
        return graph.add(kind, [*reads, *form], domain="com.microsoft", **window, **attributes)

    return build


def _range(graph: Graph, x: str) -> str | None:
    del x
    ends = graph.pick((0.5, 9.0, 2.0), (3.0, -3.0, -1.0), (-2.0, 2.0, 0.3))
    dtype = graph.pick(FLOAT, np.int64)
    return graph.add("Range", [np.array(end).astype(dtype) for end in ends])


def _compress(graph: Graph, x: str) -> str | None:
    return graph.add("Compress", [x, graph.rng.random(2) < 0.5])


def _reverse(graph: Graph, x: str) -> str | None:
    shape = graph.values[x].shape
    if len(shape) < 2 or 0 in shape:
        return None
    return graph.add("ReverseSequence", [x, graph.rng.integers(1, shape[0] + 1, shape[1])])


def _cumulated(kind: str) -> Example:
    def build(graph: Graph, x: str) -> str | None:
        rank = graph.values[x].ndim
        if not rank:
            return None
        axis = np.array(graph.pick(*range(-rank, rank)), np.int64)
        return graph.add(kind, [x, axis], exclusive=graph.pick(0, 1), reverse=graph.pick(0, 1))

    return build


def _scatter(kind: str) -> Example:
    def build(graph: Graph, x: str) -> str | None:
        array = graph.values[x]
        if array.ndim < 2 or 0 in array.shape:
            return None
        options = {"reduction": graph.pick("none", "none", "add")} if graph.opset >= 18 else {}
        if kind == "ScatterND":
            places, form = np.zeros((1, 1), np.int64), (1, *array.shape[1:])
        else:
            places, form = np.zeros((1,) * array.ndim, np.int64), (1,) * array.ndim
        return graph.add(kind, [x, places, typed(graph.numbers(form), array.dtype)], **options)

    return build


def _crop(graph: Graph, x: str) -> str | None:
    shape = [max(1, size + graph.pick(-1, 0, 2)) for size in graph.values[x].shape]
    return graph.add("CenterCropPad", [x, np.array(shape, np.int64)])


def _unpool(graph: Graph, x: str) -> str | None:
    del x
    places = np.array([0, 5, 10, 15], np.int64).reshape(1, 1, 2, 2)
    reads = [np.abs(graph.numbers((1, 1, 2, 2))), places]
    return graph.add("MaxUnpool", reads, kernel_shape=[2, 2], strides=[2, 2])


def _regions(kind: str) -> Example:
    def build(graph: Graph, x: str) -> str | None:
        if graph.values[x].ndim != 4:
            return None
        box = [0.0, *graph.pick((0, 0, 3, 3), (1, 1, 2, 2), (-2, -2, 9, 9))]
        if kind == "MaxRoiPool":
            return graph.add(kind, [x, np.array([box], FLOAT)], pooled_shape=[2, 2])
        reads: list[str | AnyArray | None] = [x, np.array([box[1:]], FLOAT), np.zeros(1, np.int64)]
        return graph.add(kind, reads)

    return build


def _cast_like(graph: Graph, x: str) -> str | None:
    return graph.add("CastLike", [x, np.zeros(1, graph.pick(FLOAT, np.float64, np.int8, np.int32))])


def _suppress(graph: Graph, x: str) -> str | None:
    del x
    boxes, scores = np.abs(graph.numbers((1, 3, 4), wild=0)), np.abs(graph.numbers((1, 1, 3)))
    return graph.add("NonMaxSuppression", [boxes, scores, np.array([3], np.int64)])


def _norm(graph: Graph, x: str) -> str | None:
    array = graph.values[x]
    if array.ndim < 2:
        return None
    parts = [graph.numbers((array.shape[1],), wild=0.1) for _ in range(4)]
    return graph.add("BatchNormalization", [x, *parts[:3], np.abs(parts[3])])


def _scale_and_zero(graph: Graph, shape: tuple[int, ...]) -> tuple[AnyArray, AnyArray, int]:
    axis = int(graph.rng.integers(max(1, len(shape))))
    form = graph.pick((), (1,)) if not shape or graph.chance() else (shape[axis],)
    scale = np.array(np.abs(graph.numbers(form, wild=0.1)) + 1e-3 * graph.chance(0.9), FLOAT)
    dtype = graph.pick(np.uint8, np.int8, *([np.uint16, np.int16] if graph.opset >= 21 else []))
    info = np.iinfo(dtype)
    return scale, graph.rng.integers(info.min, info.max + 1, form).astype(dtype), axis


def _quantize(graph: Graph, x: str) -> str | None:
    scale, zero, axis = _scale_and_zero(graph, graph.values[x].shape)
    codes = graph.add("QuantizeLinear", [x, scale, zero], axis=axis)
    if codes is None or graph.chance(0.4):
        return codes
    return graph.add("DequantizeLinear", [codes, scale, zero], axis=axis)


def _dequantize(graph: Graph, x: str) -> str | None:
    scale, _, axis = _scale_and_zero(graph, graph.values[x].shape)
    return graph.add(
        "DequantizeLinear", [x, scale, np.zeros(scale.shape, graph.values[x].dtype)], axis=axis
    )


def _one_hot(graph: Graph, x: str) -> str | None:
    del x
    places = graph.constant(graph.rng.integers(0, 3, (2,)))
    return graph.add("OneHot", [places, np.array(3, np.int64), graph.numbers((2,))])


def _cast(graph: Graph, x: str) -> str | None:
    kinds = (np.float32, np.float64, np.float16, np.int8, np.uint8, np.int32, np.int64, np.bool_)
    return graph.add("Cast", [x], to=helper.np_dtype_to_tensor_dtype(np.dtype(graph.pick(*kinds))))


def _top_k(graph: Graph, x: str) -> str | None:
    return graph.add("TopK", [x, np.array([1], np.int64)], outputs=2)


def _blocks(kind: str) -> Example:
    return _alone(kind, blocksize=(1, 2))


def _not(graph: Graph, x: str) -> str | None:
    array = graph.values[x]
    truth = graph.add("Greater", [x, graph.partner(array.shape, array.dtype)])
    return None if truth is None else graph.add("Not", [truth])


def _logical(kind: str) -> Example:
    def build(graph: Graph, x: str) -> str | None:
        array = graph.values[x]
        truth = graph.add("Less", [x, graph.partner(array.shape, array.dtype)])
        return (
            None
            if truth is None
            else graph.add(kind, [truth, graph.partner(array.shape, np.bool_)])
        )

    return build


_ALONG_AN_AXIS = (
    *("Softmax", "Hardmax", "ArgMax", "ArgMin", "Flatten"),
    *("LogSoftmax", "LpNormalization"),
)
_ALPHA = (0.0, 0.1, 1.0, -0.5, 3.0)
EXAMPLES: dict[str, Example] = {
    **{kind: _pair(kind) for kind in ("Add", "Sub", "Mul", "Div", "PRelu", "Mod")},
    **{kind: _many(kind) for kind in ("Sum", "Mean", "Min", "Max")},
    **{
        kind: _compare(kind)
        for kind in ("Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual")
    },
    **{kind: _logical(kind) for kind in ("And", "Or", "Xor")},
    **{
        kind: _alone(kind)
        for kind in (
            *("Relu", "Sigmoid", "Tanh", "Erf", "Softplus", "Softsign", "HardSwish", "Exp", "Sqrt"),
            *("Log", "Reciprocal", "Sin", "Cos", "Abs", "Neg", "Floor", "Ceil", "Round", "Sign"),
            *("Identity", "Dropout", "IsNaN", "IsInf", "Shape", "Size", "NonZero"),
            *("GlobalMaxPool", "GlobalAveragePool", "GlobalLpPool", "Mish", "Trilu", "Bernoulli"),
            *("Asin", "Acos", "Atan", "Sinh", "Cosh", "Asinh", "Acosh", "Atanh", "EyeLike"),
        )
    },
    **{kind: _axis(kind) for kind in _ALONG_AN_AXIS},
    **{
        kind: _reduce(kind)
        for kind in (
            *("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin"),
            *("ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceProd"),
        )
    },
    "LeakyRelu": _alone("LeakyRelu", alpha=_ALPHA),
    "ThresholdedRelu": _alone("ThresholdedRelu", alpha=_ALPHA),
    "Elu": _alone("Elu", alpha=_ALPHA),
    "Celu": _alone("Celu", alpha=(0.1, 1.0, 3.0)),
    "Selu": _alone("Selu", alpha=_ALPHA, gamma=(0.5, 1.0, 2.0)),
    "Gelu": _alone("Gelu", approximate=("none", "tanh")),
    "HardSigmoid": _alone("HardSigmoid", alpha=_ALPHA, beta=_ALPHA),
    "LRN": lambda graph, x: graph.add("LRN", [x], size=3, bias=graph.pick(0.5, 1.0, 2.0)),
    "Swish": _alone("Swish", alpha=(0.5, 1.0, 3.0)),
    "QuickGelu": _alone("QuickGelu", alpha=(1.702, 1.0), domain=("com.microsoft",)),
    "Shrink": _alone("Shrink", lambd=_ALPHA, bias=_ALPHA),
    "MatMul": _free((2, 4), (4, 3))("MatMul"),
    "Gemm": _gemm,
    "Einsum": _free((2, 4), (4, 3), equation="ij,jk->ki")("Einsum"),
    "Conv": _free((2, 3, 4, 4), (2, 3, 2, 2), (2,))("Conv"),
    "ConvTranspose": _free((2, 3, 4, 4), (3, 2, 2, 2), (2,))("ConvTranspose"),
    "Col2Im": _col2im,
    "HannWindow": _sizes("HannWindow", 1, 5, 8),
    "HammingWindow": _sizes("HammingWindow", 1, 5, 8),
    "Range": _range,
    **{kind: _on_codes(kind) for kind in ("QLinearAdd", "QLinearMul")},
    **{kind: _on_codes(kind, 1) for kind in ("QLinearSigmoid", "QLinearLeakyRelu")},
    "QLinearAveragePool": _on_codes("QLinearAveragePool", 1),
    "QLinearGlobalAveragePool": _on_codes("QLinearGlobalAveragePool", 1),
    "QLinearSoftmax": _on_codes("QLinearSoftmax", 1, axis=-1, opset=13),
    "ConstantOfShape": _filled,
    "Multinomial": _multinomial,
    "NonMaxSuppression": _suppress,
    "Compress": _compress,
    "ReverseSequence": _reverse,
    "CumSum": _cumulated("CumSum"),
    "ScatterElements": _scatter("ScatterElements"),
    "ScatterND": _scatter("ScatterND"),
    "CenterCropPad": _crop,
    "MaxUnpool": _unpool,
    "MaxRoiPool": _regions("MaxRoiPool"),
    "RoiAlign": _regions("RoiAlign"),
    "CastLike": _cast_like,
    "LpPool": _pool("LpPool"),
    "Not": _not,
    "Clip": _clip,
    "Pow": _power,
    "Where": _where,
    "Reshape": _reshape,
    "Transpose": _transpose,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Expand": _expand,
    "Tile": _tile,
    "Slice": _slice,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "GatherND": _gather_nd,
    "Split": _split,
    "Concat": _concat,
    "Pad": _pad,
    "Resize": _resize,
    "Upsample": _upsample,
    "MaxPool": _pool("MaxPool"),
    "AveragePool": _pool("AveragePool"),
    "BatchNormalization": _norm,
    "QuantizeLinear": _quantize,
    "DequantizeLinear": _dequantize,
    "OneHot": _one_hot,
    "Cast": _cast,
    "TopK": _top_k,
    "DepthToSpace": _blocks("DepthToSpace"),
    "SpaceToDepth": _blocks("SpaceToDepth"),
}
"""An example of each operator that bounds know, on a value."""

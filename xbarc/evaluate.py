"""Measuring a program: against the float model on data, and against its own definition."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from xbarc.errors import ProgramError, say_count
from xbarc.executor import Executor, FastLayer, LabelledBatch, labelled_batches, layer_engine
from xbarc.instruments import Met, probe_layers
from xbarc.ir import (
    ABSENT,
    DOWN,
    UP,
    CrossbarStep,
    Program,
    SignResult,
    Trace,
    broken_rules,
    every_code,
    layer_outputs,
)
from xbarc.lazy import lazy_module
from xbarc.numerics import AnyArray, Int64Array, IntArray, exact_matmul
from xbarc.options import fixed_of
from xbarc.oracle import Oracle
from xbarc.rows import (
    Accuracy,
    Row,
    TableData,
    accuracy,
    decibels,
    fact,
    render_card,
    table_of,
)

if TYPE_CHECKING:
    from xbarc import frontend
else:
    frontend = lazy_module("xbarc.frontend")  # only a comparison with the model reads ONNX

# Of a layer: bounds the time that the reference engine takes; large layers are verified on 3
# vectors, small ones on 16.
_VERIFY_CONVERSIONS = 20_000_000

# Numbers whose squares are summed at a time: 256 KB in float64 stay near, where whole tensors of a
# batch do not.
_NEAR = 1 << 15
# Inputs of a layer that are multiplied at a time: their weights in floating point are 16 MiB where
# there are 4,096 outputs.
_INPUTS = 1 << 10
_WIDE_ENOUGH = ("lossless", "worst-case")
Progress = Callable[[int, int], None]


@dataclass(eq=False)
class _Noise:
    """Energies of a signal and of its error, summed over batches."""

    signal: float = 0.0
    error: float = 0.0

    def join(self, other: _Noise) -> None:
        """Add what was summed over later batches."""
        self.signal += other.signal
        self.error += other.error

    def add(self, wanted: AnyArray, found: AnyArray) -> None:
        """Add one tensor of one batch."""
        flat, other = np.asarray(wanted).reshape(-1), np.asarray(found).reshape(-1)
        with np.errstate(over="ignore", invalid="ignore"):  # infinite values have no ratio
            for first in range(0, flat.size, _NEAR):
                # float32 sums of millions of squares would lose the small error beside the large
                # signal.
                exact = flat[first : first + _NEAR].astype(np.float64)
                self.signal += float(np.square(exact).sum())
                exact -= other[first : first + _NEAR].astype(np.float64, copy=False)
                self.error += float(np.square(exact, out=exact).sum())

    @property
    def sqnr_db(self) -> float | None:
        """Signal to quantisation noise; None where there is no error, or no signal, at all."""
        if self.error <= 0 or self.signal <= 0 or not np.isfinite(self.signal + self.error):
            return None
        return 10 * float(np.log10(self.signal / self.error))


class LayerResult(Row, title="Layers, with errors of earlier ones"):
    """How far one layer's output lies from the float model's, errors of earlier layers included."""

    name: str = fact("name of the layer", head="layer")
    sqnr_db: float | None = fact(
        "SQNR, dB; null where the outputs are identical or the float model has no such value",
        head="SQNR>",
        of=lambda layer: decibels(layer.sqnr_db, layer.identical),
    )
    identical: bool = fact("whether every value is equal")
    conversions: int = fact("conversions, count", head="conversions>", text="{:,}")
    saturated: int = fact(
        "sums that lay outside what is read, as in `LayerTrace`, count",
        head="saturated>",
        text="{:,}",
    )
    agreement: Accuracy | None = fact(
        "share of bits that equal the float model's, behind the layer's pool, 0 to 1; null for "
        "layers that do not give bits",
        default=None,
        head="equal bits>",
    )


def why_no_top1(top1: float | None, agreement: float | None) -> str:
    """Why tables show `-` for top-1, behind their title; empty where it is known."""
    if top1 is not None:
        return ""
    if agreement is None:
        return "; no top-1: no scores per sample"
    return "; no top-1: no labels in the data"


@dataclass(frozen=True)
class Evaluation:
    """What `xbarc check` reports; shares are between 0 and 1, None where labels are missing."""

    samples: int
    top1_float: float | None
    top1_crossbar: float | None
    agreement: float | None
    output_sqnr_db: float | None
    identical: bool
    layers: tuple[LayerResult, ...]

    def __repr__(self) -> str:
        output = decibels(self.output_sqnr_db, self.identical)
        figures = f"agreement {accuracy(self.agreement)}, output SQNR {output}"
        return f"<Evaluation of {say_count(self.samples, 'sample')}: {figures}>"

    def _repr_html_(self) -> str:
        rows = (
            ("samples", f"{self.samples:,}"),
            ("top-1 of the float model", accuracy(self.top1_float)),
            ("top-1 of the program", accuracy(self.top1_crossbar)),
            ("agreement", accuracy(self.agreement)),
            ("SQNR of the output", decibels(self.output_sqnr_db, self.identical)),
        )
        tables = (TableData("", ("", ""), rows), table_of(LayerResult, self.layers))
        title = f"Float model against program{why_no_top1(self.top1_crossbar, self.agreement)}"
        return render_card(title, (), tables)

    def as_json(self) -> dict[str, Any]:
        """Plain data, in the order of the contract."""
        return {
            "samples": self.samples,
            "top1_float": self.top1_float,
            "top1_crossbar": self.top1_crossbar,
            "agreement": self.agreement,
            "output_sqnr_db": self.output_sqnr_db,
            "identical": self.identical,
            "layers": [vars(layer) for layer in self.layers],
        }


@dataclass(eq=False)
class Tally:
    """What was counted on one batch, or on several in their order."""

    samples: int = 0
    classified: int = 0
    labelled: int = 0
    correct_float: int = 0
    correct_crossbar: int = 0
    agree: int = 0
    unequal: bool = False  # an output of another shape, or a text, that has no noise
    output: _Noise = field(default_factory=_Noise)
    layers: dict[str, _Noise] = field(default_factory=dict)
    bits: dict[str, tuple[int, int]] = field(default_factory=dict)
    conversions: dict[str, tuple[int, int]] = field(default_factory=dict)

    def join(self, later: Tally) -> None:
        """Add what later batches gave. Floats are added batch by batch, whoever counted them."""
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + getattr(later, name))
        self.unequal = self.unequal or later.unequal
        self.output.join(later.output)
        for name, noise in later.layers.items():
            self.layers.setdefault(name, _Noise()).join(noise)
        for mine, others in ((self.bits, later.bits), (self.conversions, later.conversions)):
            for name, (one, two) in others.items():
                first, second = mine.get(name, (0, 0))
                mine[name] = first + one, second + two


_COUNTS = ("samples", "classified", "labelled", "correct_float", "correct_crossbar", "agree")


def evaluate(
    program: Program,
    data: Mapping[str, AnyArray],
    model: Path,
    *,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Run the float model and the program, each from input to output, on the same data.

    Args:
        program: the compiled program.
        data: arrays by input name, and `labels` where there are labels.
        model: the ONNX file the program was compiled from.
        executor: runs the program; None takes the fast engine on all cores.
        progress: called with samples done and samples in all.

    Raises:
        ProgramError: the program was compiled from another model.
        InputError: the data does not fit the model.
    """
    meter = Meter(program, model, [executor or Executor(program)])
    batches = labelled_batches(program, data)
    total = sum(count for _, _, count in batches)
    tally = Tally()
    for batch in batches:
        tally.join(meter.measure(batch)[0])
        if progress is not None:
            progress(tally.samples, total)
    return evaluation_of(program, tally)


class Meter:
    """Measures one batch after another; what it finds can be joined in their order.

    Args:
        program, model: as for `evaluate`.
        executors: chips of one program, at least one; the float model runs once for all of them.
    """

    def __init__(self, program: Program, model: Path, executors: Sequence[Executor]) -> None:
        _check_source(program, model)
        self._exposed = _find_exposed(program)
        self._oracle = _FloatModel(program, model, self._exposed)
        self._executors = executors
        self._program = program
        self._bits = frozenset(
            _bits_name(step)
            for step in program.crossbar_steps
            if isinstance(step.result, SignResult)
        )

    def measure(self, batch: LabelledBatch) -> list[Tally]:
        """Run the float model and every chip on a batch."""
        wanted: dict[str, Any] = {}
        found = []
        for executor in self._executors:
            trace = Trace()
            names = [*(value.name for value in self._program.outputs), *self._exposed]
            values = executor.run(batch[0], names, trace=trace)
            # After the program, whose errors about data are those of `run`.
            wanted = wanted or self._oracle.run(batch[0])
            found.append(self._compare(batch, values, wanted, trace))
        return found

    def _compare(
        self, batch: LabelledBatch, values: list[Any], wanted: dict[str, Any], trace: Trace
    ) -> Tally:
        """Count what one chip gave on a batch."""
        _, labels, count = batch
        names, exposed = [v.name for v in self._program.outputs], self._exposed
        found = dict(zip([*names, *exposed], values, strict=True))
        # Layers whose channels were equalised give scaled values: the float model knows the values
        # before that.
        steps = self._program.crossbar_steps
        found |= {step.output: step.original(found[step.output]) for step in steps}
        seen = {name: (one.conversions, one.saturated) for name, one in trace.layers.items()}
        tally = Tally(samples=count, conversions=seen)
        _book(tally, wanted, found, names, exposed, self._bits)
        _classify(tally, wanted[names[0]], values[0], labels)
        return tally


class _FloatModel:
    """The source model on the program's inputs; those that the program holds fixed are fed."""

    def __init__(self, program: Program, model: Path, exposed: tuple[str, ...]) -> None:
        fixed = fixed_of(dict(program.settings))
        self._fed = frontend.fixed_feeds(model, fixed)
        self._layers = Oracle(frontend.runnable_model(model, fixed), exposed)
        # With an input fixed the graph was cut; outputs are judged by the model as it is, fed with
        # the same constant.
        self._whole = Oracle(frontend.runnable_model(model)) if fixed else self._layers

    def run(self, feeds: Mapping[str, Any]) -> dict[str, Any]:
        """Outputs, and tensors of layers where they are asked for."""
        found = self._layers.run(feeds)
        # Outputs of the whole model win over those of the cut one.
        return found | self._whole.run({**feeds, **self._fed}) if self._fed else found


def _find_exposed(program: Program) -> tuple[str, ...]:
    """Tensors of layers that the float model has as well."""
    known = {name for step in program.steps for name in layer_outputs(step)}
    names = [name for step in program.crossbar_steps for name in (step.output, _bits_name(step))]
    return tuple(dict.fromkeys(name for name in names if name in known))


def _bits_name(step: CrossbarStep) -> str:
    """The tensor that a layer's bits stand for."""
    return step.sense.value if step.sense is not None and step.sense.value else step.output


def _check_source(program: Program, model: Path) -> None:
    given, source = frontend.source_digest(model), program.source
    if given == source.sha256:
        return
    again = f"compile {model} again" if model.is_file() else "compile again"
    same = model.name == Path(source.path).name
    raise ProgramError(
        f"was compiled from {source.path} with the digest {source.sha256[:12]}, {model} has the"
        f" digest {given[:12]}",
        where=program.name,
        hint=f"if the file changed since then, {again}; otherwise pass the right one with --model"
        if same
        else f"pass the right file with --model, or {again}",
    )


def _book(
    tally: Tally,
    wanted: Mapping[str, Any],
    found: Mapping[str, Any],
    outputs: list[str],
    exposed: tuple[str, ...],
    bits: frozenset[str],
) -> None:
    for name in outputs:
        if _is_numeric(wanted.get(name)) and np.shape(wanted[name]) == np.shape(found[name]):
            tally.output.add(wanted[name], found[name])
        elif not _equal(wanted.get(name), found[name]):
            tally.unequal = True
    for name in exposed:
        if _is_numeric(wanted.get(name)) and np.shape(wanted[name]) == np.shape(found[name]):
            tally.layers.setdefault(name, _Noise()).add(wanted[name], found[name])
            if name not in bits:
                continue
            equal, total = tally.bits.get(name, (0, 0))
            same = int(np.count_nonzero(wanted[name] == found[name]))
            tally.bits[name] = (equal + same, total + int(np.size(found[name])))


def _equal(wanted: Any, found: Any) -> bool:
    """Whether outputs that are no tensors of numbers of one shape are the same."""
    if isinstance(wanted, list) and isinstance(found, list):
        return len(wanted) == len(found) and all(map(_equal, wanted, found))
    if isinstance(wanted, dict) and isinstance(found, dict):
        same = wanted.keys() == found.keys()
        return same and all(_equal(value, found[key]) for key, value in wanted.items())
    return np.array_equal(wanted, found)


def _is_numeric(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in "fiub"


def _classify(tally: Tally, wanted: Any, found: Any, labels: AnyArray | None) -> None:
    """Top-1 of both, where the first output has one row of scores a sample."""
    # One number a sample is no choice among classes: the largest of it is itself, whatever it is.
    if not _is_numeric(wanted) or wanted.ndim < 2 or wanted.size <= len(wanted):
        return
    rows = wanted.reshape(wanted.shape[0], -1).argmax(axis=1)
    columns = found.reshape(found.shape[0], -1).argmax(axis=1)
    tally.classified += rows.size
    tally.agree += int((rows == columns).sum())
    # Labels of another size belong to pixels or to tokens: no top-1 is claimed then.
    if labels is not None and labels.size == rows.size:
        tally.labelled += rows.size
        tally.correct_float += int((rows == labels).sum())
        tally.correct_crossbar += int((columns == labels).sum())


def evaluation_of(program: Program, tally: Tally) -> Evaluation:
    """What was counted on all batches, as it is reported."""
    layers = []
    for step in program.crossbar_steps:
        name = _bits_name(step)
        noise = tally.layers.get(name)
        conversions, saturated = tally.conversions.get(step.name, (0, 0))
        bits = tally.bits.get(name, (0, 0)) if isinstance(step.result, SignResult) else (0, 0)
        layers.append(
            LayerResult(
                name=step.name,
                sqnr_db=None if noise is None else noise.sqnr_db,
                identical=noise is not None and noise.error == 0,
                conversions=conversions,
                saturated=saturated,
                agreement=_share(*bits),
            )
        )
    return Evaluation(
        samples=tally.samples,
        top1_float=_share(tally.correct_float, tally.labelled),
        top1_crossbar=_share(tally.correct_crossbar, tally.labelled),
        agreement=_share(tally.agree, tally.classified),
        output_sqnr_db=tally.output.sqnr_db,
        identical=tally.output.error == 0 and not tally.unequal,
        layers=tuple(layers),
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def self_check(
    program: Program,
    seed: int = 0,
    progress: Callable[[str, int, int], None] | None = None,
    met: Mapping[str, Met] | None = None,
) -> Iterator[tuple[str, str]]:
    """Every broken rule, and every layer whose engines differ; nothing when all is well.

    The program runs on inputs of many kinds. What layers meet there must lie within what the
    program claims of them. Each layer is then executed by both engines on some of these vectors, on
    random codes within the claims and on their ends; a lossless layer must equal the plain integer
    product with its effective weights.

    Args:
        program: what to check.
        seed: of the random inputs and codes.
        progress: called with a layer's name, its number and the count of layers.
        met: what layers meet, from `probe_layers`; None runs the program here.

    Yields:
        Name of the rule or check, and what is wrong.
    """
    broken = list(broken_rules(program))
    yield from broken
    # Later checks execute the program, and what a broken rule leaves undefined must not be
    # executed.
    if broken:
        return
    rng = np.random.default_rng(seed)
    met = probe_layers(program, seed) if met is None else met
    steps = program.crossbar_steps
    for number, step in enumerate(steps):
        if progress is not None:
            progress(step.name, number, len(steps))
        yield from _outside(step, met[step.name])
        yield from _check_layer(step, rng, met[step.name])


def _outside(step: CrossbarStep, met: Met) -> Iterator[tuple[str, str]]:
    """Codes that a layer met and is said never to carry."""
    if met.beyond is not None:
        found = f"codes {met.beyond[0]} to {met.beyond[1]} do not fit"
        yield (
            "codes within facts",
            f"{step.name}: {found} the {step.input_bits}-bit codes that are left",
        )
    facts = step.facts
    if facts is None or met.low is None or met.high is None:
        return
    outside = (met.low < facts.low) | (met.high > facts.high)
    if not outside.any():
        return
    group, place = (int(i) for i in np.argwhere(outside)[0])
    row = group if len(facts.low) > 1 else 0
    claimed = f"{facts.low[row, place]} to {facts.high[row, place]}"
    found = f"{met.low[group, place]} to {met.high[group, place]}"
    text = f"{step.name}: input {place} claims codes {claimed}, it carried {found}"
    yield "codes within facts", text


def _check_layer(
    step: CrossbarStep, rng: np.random.Generator, met: Met
) -> Iterator[tuple[str, str]]:
    engine = met.engine or layer_engine(step)
    weights = engine.weights if isinstance(engine, FastLayer) else None
    lossless = weights is not None
    vectors = _test_vectors(step, rng, few=lossless)
    # Vectors of a real run too: sums of random codes gather around their mean, and those of data
    # need not. Where no sum of any code is lost only a claim about codes can be wrong.
    if met.vectors is not None and not (lossless and step.facts is None):
        seen = met.vectors[: 1 if lossless else len(vectors)]
        vectors = np.concatenate([vectors, seen.astype(np.int64)])
    reference = layer_engine(step, fast=False).accumulate(vectors)
    fast = engine.accumulate(vectors)
    if not np.array_equal(fast, reference):
        yield "fast == reference", f"{step.name}: {int((fast != reference).sum())} sums differ"
    if step.adc.policy in _WIDE_ENOUGH and step.sense is None and not lossless:
        text = f"said to be {step.adc.policy}, and some sums lie beyond the converters' range"
        yield "converters cover sums", f"{step.name}: {text}"
    if weights is not None:
        plain = _multiply(vectors, weights)
        if not np.array_equal(plain, reference):
            yield "lossless == product", f"{step.name}: {int((plain != reference).sum())} differ"


def _multiply(vectors: Int64Array, weights: IntArray) -> Int64Array:
    """The plain integer product, some inputs at a time; axes: vector, group, output."""
    by_group = vectors.transpose(1, 0, 2)
    total = np.zeros((*by_group.shape[:2], weights.shape[2]), dtype=np.int64)
    for first in range(0, weights.shape[1], _INPUTS):
        part = slice(first, first + _INPUTS)
        largest = int(
            np.abs(weights[:, part], dtype=np.int32).sum(axis=1, dtype=np.int64).max(initial=0)
        )
        bound = largest * int(vectors.max(initial=0))
        total += exact_matmul(by_group[:, :, part], weights[:, part], bound)
    return total.transpose(1, 0, 2)


def _test_vectors(step: CrossbarStep, rng: np.random.Generator, *, few: bool) -> Int64Array:
    """Random codes, all at the most and all at the least; axes: vector, group, input.

    Args:
        step: the layer.
        rng: draws codes.
        few: whether one random vector is enough, beside the one of most: converters that cover
            every sum change none, so a layer without loss is linear, and what is left to be wrong
            differs on nearly any vector.
    """
    segments = step.tiling.segment_bounds.size - 1
    each = step.groups * segments * step.input_slices * step.conversions
    count = 2 if few else int(np.clip(_VERIFY_CONVERSIONS // max(1, each), 3, 16))
    if step.sense is not None:
        states = rng.choice(np.array([UP, DOWN, ABSENT]), (count, step.groups, step.inputs))
        states[0], states[1] = DOWN, UP
        return states.astype(np.int64)
    facts = every_code(step) if step.facts is None else step.facts
    low, high = (end.astype(np.int64) for end in (facts.low, facts.high))
    vectors = rng.integers(low, high + 1, (count, step.groups, step.inputs), dtype=np.int64)
    vectors[0] = high
    if not few:
        vectors[1] = low
    return vectors

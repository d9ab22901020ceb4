"""A program in training: prepare it, train it in any loop, and get a program back."""

from __future__ import annotations

import copy
import hashlib
import io
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Unpack, cast

import numpy as np
import torch
from torch import Tensor, nn

from xbarc import frontend
from xbarc.api import CompiledProgram, compile  # noqa: A004  # xbarc's own compile
from xbarc.circuit import Effects, cell_model, load_device
from xbarc.errors import InputError, MappingError, ModelError
from xbarc.executor import Executor, check_feeds
from xbarc.ir import (
    CrossbarStep,
    DigitalFragment,
    FloatResult,
    Program,
    SignResult,
    Step,
    layer_outputs,
    verify_program,
)
from xbarc.mapping import adc_settings
from xbarc.numerics import AnyArray, pack_cells
from xbarc.options import CompileKeywords, CompileOptions, Method, Training, fixed_of
from xbarc.runtime import OnnxSession
from xbarc.target import Target
from xbarc.train.digital import TrainedFragment
from xbarc.train.layer import ProgramLayer

# Converters of these policies follow from the cells, so they are sized anew when training ends and
# the layer is trained as the plain product that they give.
_FROM_CELLS = ("lossless", "worst-case")

# The oldest operator set that all operators of torch's exporter know; 17 also holds
# LayerNormalization as one operator.
_OPSET = 17

_RATES = Training()

# Parameters that are numbers of a sum's units.
_IN_SUMS = ("levels", "threshold")

OWN_DEVICE = "variation"
"""What the target's own spread is called where a device model is named."""

Regulariser = Callable[["TrainJob"], Tensor]


@dataclass(frozen=True)
class Checked:
    """How torch's evaluation and the program compare.

    Attributes:
        samples: that were run through both.
        differing: numbers of the outputs that differ.
        layer: the first step whose result differs, whether or not an output does; empty where none
            does.
    """

    samples: int
    differing: int
    layer: str

    def __bool__(self) -> bool:
        return not self.layer

    def __str__(self) -> str:
        if self:
            return f"{self.samples} samples: torch's eval and the program give equal bits"
        if not self.differing:  # later layers hid it on these samples, and may not on others
            return f"{self.samples} samples: equal outputs, but values of {self.layer} differ"
        return f"{self.samples} samples: {self.differing} outputs differ, first in {self.layer}"


class TrainJob(nn.Module):
    """A compiled program as a torch module, and what training needs around it.

    Call it like the network it came from: tensors in the order of the model's inputs, or one
    mapping of tensors by name. `train()` computes with gradients, `eval()` to the program's bits.

    Args:
        compiled: the program to start from.
        teacher: the float network, tensors to tensor; a module is moved to where the inputs are.
    """

    def __init__(self, compiled: CompiledProgram, teacher: Callable[..., Tensor]) -> None:
        super().__init__()
        self.compiled = compiled
        # in a list, so that a teacher that is a module is neither trained nor saved
        self._teacher = [teacher]
        self._regularisers: list[tuple[float, Regulariser]] = []
        self._modules_of = {
            step.name: f"step{number}" for number, step in enumerate(self.program.steps)
        }
        for step in self.program.steps:
            self.add_module(self._modules_of[step.name], _module_of(step, self.program.target))
        if not self.layers:
            raise MappingError(
                "no layer of this network is on crossbars, so there is nothing to train for them",
                where=self.program.name,
                hint="; ".join(self.stayed_digital) or "it holds no matrix layer",
            )

    @property
    def program(self) -> Program:
        """The program that training started from."""
        return self.compiled.program

    @property
    def layers(self) -> dict[str, ProgramLayer]:
        """The layers on crossbars by name."""
        found = {step.name: self._module(step) for step in self.program.steps}
        return {name: layer for name, layer in found.items() if isinstance(layer, ProgramLayer)}

    @property
    def stayed_digital(self) -> tuple[str, ...]:
        """Why matrix operators are not on crossbars, a line each."""
        return tuple(note for step in self.program.digital_steps for note in step.notes)

    @property
    def fixed_batch(self) -> int:
        """How many samples the model takes at a time; 0 where its inputs leave that open."""
        sizes = [value.shape[0] for value in self.program.inputs if value.shape]
        return next((size for size in sizes if isinstance(size, int)), 0)

    def _module(self, step: Step) -> nn.Module:
        return self.get_submodule(self._modules_of[step.name])

    # running

    def forward(self, *inputs: Any) -> Any:
        """The network's outputs: one tensor, or a tuple where it has several."""
        values = self.run(self._name_inputs(inputs))
        outputs = tuple(values[value.name] for value in self.program.outputs)
        return outputs[0] if len(outputs) == 1 else outputs

    def _name_inputs(self, inputs: Sequence[Any]) -> dict[str, Tensor]:
        kinds = {value.name: value.dtype for value in self.program.inputs}
        if len(inputs) == 1 and isinstance(inputs[0], Mapping):
            given = {name: inputs[0][name] for name in kinds if name in inputs[0]}
        elif len(inputs) == len(kinds):
            given = dict(zip(kinds, inputs, strict=True))
        else:
            raise InputError(
                f"{len(inputs)} tensors were given, expected {len(kinds)}: {', '.join(kinds)}",
                where=self.program.name,
            )
        # names and shapes are the program's; a tensor may be of any float type
        check_feeds(
            self.program.inputs,
            {n: np.broadcast_to(np.zeros((), kinds[n]), t.shape) for n, t in given.items()},
        )
        return given

    def run(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Every value of the network by name."""
        known = dict(values)
        # ONNX Runtime has no gradient, so that in `eval` only layers behind the last digital step
        # would be trained, without a word; a backward pass that finds nothing is an error
        graded, first = self.training and torch.is_grad_enabled(), next(self.parameters())
        # sums of integers in half precision would be other sums
        if first.dtype.itemsize < torch.float32.itemsize:
            raise InputError(
                f"cells are {first.dtype}, which cannot hold what is trained",
                where=self.program.name,
                hint="job.float(); torch.autocast leaves the job as it is",
            )
        with torch.set_grad_enabled(graded), torch.autocast(first.device.type, enabled=False):
            for step in self.program.steps:
                module = self._module(step)
                if isinstance(step, DigitalFragment):
                    known.update(module({name: known[name] for name in step.inputs}))
                else:
                    known[step.output] = module(known[step.input], known)
        return known

    @torch.no_grad()
    def teach(self, *inputs: Any) -> Tensor:
        """The first output of the float network."""
        teacher = self._teacher[0]
        named = self._name_inputs(inputs)
        tensors = [named[value.name] for value in self.program.inputs]
        if isinstance(teacher, nn.Module):
            teacher.eval().to(tensors[0].device)
        answer: Any = teacher(*tensors)
        if isinstance(answer, Mapping):
            answer = next(iter(answer.values()))
        first: Tensor = answer[0] if isinstance(answer, tuple | list) else answer
        return first

    @property
    def teacher_digest(self) -> str:
        """SHA-256 of the teacher's file; empty where it is no file."""
        return getattr(self._teacher[0], "sha256", "")

    # training

    def parameter_groups(
        self, cells: float = _RATES.cell_rate, digital: float = _RATES.digital_rate
    ) -> list[dict[str, Any]]:
        """Groups for Adam or one of its kin, which move a number by about its rate in a step.

        Scales differ by orders of magnitude between layers, so each has a rate of its own.

        Args:
            cells: learning rate of cells, in levels of the least significant cells of a layer; a
                cell that weighs `k` times as much moves by a `k`th of that.
            digital: of scales, biases and factors of columns, as a share of their mean magnitude in
                the layer; of thresholds, in units of the sums that they compare.
        """
        groups: list[dict[str, Any]] = []
        for layer in self.layers.values():
            groups.append({"params": [layer.cells], "lr": cells})
            for name, parameter in layer.named_parameters():
                if parameter.requires_grad and name != "cells":
                    unit = 1.0 if name in _IN_SUMS else layer.digital_unit(name)
                    groups.append({"params": [parameter], "lr": digital * unit})
        return groups

    def regularise(self, regulariser: Regulariser, weight: float) -> None:
        """Add a term to `regulariser()`: `weight` times what it gives for this job."""
        self._regularisers.append((weight, regulariser))

    def regulariser(self) -> Tensor:
        """The sum of all terms; 0 where none was added."""
        total = torch.zeros((), device=next(self.parameters()).device)
        for weight, regulariser in self._regularisers:
            total = total + weight * regulariser(self)
        return total

    def set_noise(self, share: float) -> None:
        """Let every cell deviate by a normal share of its range, drawn anew at each call."""
        for layer in self.layers.values():
            layer.noise = share

    def set_device(self, device: str | Method | None = OWN_DEVICE) -> None:
        """Let every cell hold what programming makes of its level, drawn anew at each call.

        Args:
            device: a device model, its name or `package:Name`; `variation` is the target's own
                spread. None writes cells as they should be.

        Raises:
            MappingError: there is no such model.
        """
        cell = None
        if device is not None:
            chosen = None if device == OWN_DEVICE else load_device(device)
            effects = Effects(frozenset({"variation"}), device=chosen)
            cell = cell_model(self.program.target, effects)
        for layer in self.layers.values():
            layer.programming = cell

    def project(self, pull: float = 0.0) -> None:
        """Keep latent cells in the range of their levels; call it after each optimiser step.

        Args:
            pull: share of the way back to its level that each cell goes first, so that steps
                that do not agree leave it where it is. `r` times the learning rate holds those
                cells whose mean gradient is below `r / 2` of its root mean square. A decoupled
                form of the dampening of Nagel et al. (2022).
        """
        for layer in self.layers.values():
            layer.project(pull)

    # ending

    @torch.no_grad()
    def changed_cells(self) -> dict[str, float]:
        """Share of the cells of each layer that hold another level than before training."""
        return {
            name: float(
                (torch.round(layer.latent_levels()).cpu() != _levels(layer.step)).float().mean()
            )
            for name, layer in self.layers.items()
        }

    def finish(self, note: str = "in Python") -> CompiledProgram:
        """The program with the cells, scales, biases and thresholds as they are now.

        Converters that follow from the cells are sized anew; calibrated ones stay as they were
        trained with.

        Args:
            note: how it was trained, for the settings of the program.

        Raises:
            MappingError: the target's converter has too few bits for the trained cells, or a
                parameter is not a number.
        """
        lost = [n for n, layer in self.layers.items() if not _is_finite(layer)]
        if lost:
            raise MappingError(
                "cells, scales, biases or thresholds are NaN or infinite",
                where=lost[0],
                hint="training diverged: a smaller learning rate, from an earlier state",
            )
        steps = tuple(
            self._step_as_trained(step) if isinstance(step, CrossbarStep) else step
            for step in self.program.steps
        )
        settings = dict(self.program.settings)
        settings["trained"] = note
        program = replace(
            self.program, steps=steps, settings=tuple(sorted(settings.items())), front=(), rows=()
        )
        verify_program(program)
        # further files of the folder tell what placement found with the cells of before
        return CompiledProgram(program, {}, self.compiled.cost_law)

    def misfit(self) -> str:
        """Why the target cannot hold the cells as they are now; empty where it can.

        Cells that grow may sum to more than its converters tell apart.
        """
        try:
            for step in self.program.crossbar_steps:
                self._step_as_trained(step)
        except MappingError as error:
            return str(error)
        return ""

    def export(self, path: str | Path, note: str = "in Python") -> None:
        """Write the program as it is now as ONNX that compiles to the same cells.

        Args:
            path: of the model.
            note: as `finish` takes it.

        Raises:
            MappingError: as `finish` says.
            UnsupportedError: a layer has a form that is not written.
            InputError: the path cannot be written.
        """
        self.finish(note).export(path)

    @torch.no_grad()
    def _step_as_trained(self, step: CrossbarStep) -> CrossbarStep:
        layer = self.layers[step.name]
        levels = (
            torch.round(layer.latent_levels().clamp(0.0, float(layer.top))).cpu().float().numpy()
        )
        made = replace(
            step, cells=pack_cells(levels.astype(np.uint8), step.cells.bits), fit=None, choice=None
        )
        if isinstance(step.result, FloatResult):
            made = replace(
                made,
                result=replace(step.result, scale=_array(layer.scale), bias=_array(layer.bias)),
            )
        if isinstance(step.result, SignResult):
            limit = torch.round(layer.threshold).cpu().numpy().astype(np.int64)
            made = replace(made, result=replace(step.result, threshold=limit))
        scales = layer.current_scales()
        if scales is not None:
            whole = scales.cpu().numpy().astype(np.uint8)
            made = replace(made, periphery=replace(step.periphery, column_scale=whole))
        if step.sense is not None:
            levels = torch.round(layer.levels)[:, :, :, 0].cpu().numpy().astype(np.int64)
            levels = np.sort(np.moveaxis(levels, (0, 1), (1, 3)), axis=3)
            limits = levels.astype(step.sense.thresholds.dtype)
            made = replace(made, sense=replace(step.sense, thresholds=limits))
        if step.adc.policy in _FROM_CELLS and step.sense is None:
            made = replace(made, adc=adc_settings(made, self.program.target, step.adc.policy))
        return made

    @torch.no_grad()
    def check(self, data: Any, batch: int = 128) -> Checked:
        """Compare torch's `eval` with the finished program, bit for bit.

        Args:
            data: a tensor or array of the model's only input, or a mapping by input name.
            batch: samples at a time, where the model leaves that open.
        """
        feeds = self._arrays(data)
        batch = self.fixed_batch or batch
        program = self.finish().program
        executor = Executor(program)
        names = [name for step in program.steps for name in layer_outputs(step)]
        samples = len(next(iter(feeds.values())))
        if not samples:
            raise InputError("no samples to compare on", where=self.program.name)
        differing, first = 0, len(names)
        for start in range(0, samples, batch):
            part = {name: array[start : start + batch] for name, array in feeds.items()}
            # first the program, which says what is wrong with data
            expected = dict(zip(names, executor.run(part, names), strict=True))
            seen = self._run_exactly(part)
            apart = {name: _count_differing(seen[name], expected[name]) for name in names}
            differing += sum(apart[value.name] for value in program.outputs if value.name in apart)
            first = min(first, next((i for i, n in enumerate(names) if apart[n]), first))
        layer = "" if first == len(names) else _maker(program, names[first])
        return Checked(samples, differing, layer)

    def _run_exactly(self, feeds: Mapping[str, AnyArray]) -> dict[str, Tensor]:
        """Every value in `eval`, whatever mode the job is in and stays in."""
        training, here = self.training, next(self.parameters()).device
        self.eval()
        try:
            return self.run({n: torch.from_numpy(a.copy()).to(here) for n, a in feeds.items()})
        finally:
            self.train(training)

    def _arrays(self, data: Any) -> dict[str, AnyArray]:
        names = [value.name for value in self.program.inputs]
        if not isinstance(data, Mapping):
            data = {names[0]: data}
        arrays = {
            # one axis at least, to count samples by
            name: np.atleast_1d(array.detach().cpu() if isinstance(array, Tensor) else array)
            for name, array in data.items()
            if name in names
        }
        if not arrays:
            raise InputError(f"no data for {', '.join(names)}", where=self.program.name)
        return arrays


def prepare(
    model: nn.Module | str | Path,
    target: str | Path | Target = "rram128",
    *,
    example: Tensor | Sequence[Tensor] | None = None,
    calibration: Mapping[str, AnyArray] | Tensor | AnyArray | None = None,
    teacher: Callable[..., Tensor] | str | Path | None = None,
    **options: Unpack[CompileKeywords],
) -> TrainJob:
    """Compile a network and make its program trainable.

    Args:
        model: a torch module, or the path of an ONNX file.
        target: a shipped name, the path of a TOML file, or a `Target`.
        example: input of the module, or its inputs in order, one sample or more; needed to export a
            module.
        calibration: arrays by input name, or the array of the only input. Activation ranges are
            taken from it, and the settings of converters that need data.
        teacher: whose answers are learned, tensors to tensor, or the path of an ONNX file with the
            same inputs; the model itself if none is given.
        options: as `xbarc.compile` takes them. `range_analysis="all"` means `structure`: what is
            known of inputs from the weights of earlier layers ends with the first step.

    Raises:
        ModelError: the module cannot be exported.
        XbarcError: as `xbarc.compile`.
    """
    given = cast("CompileKeywords", CompileOptions.rename(options))
    if given.get("range_analysis", "all") == "all":
        given["range_analysis"] = "structure"
    own: Callable[..., Tensor] | Path
    if isinstance(model, nn.Module):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            # a copy: modes of the user's modules, some frozen, stay as they are
            own = module = copy.deepcopy(model).eval()
            path.write_bytes(_export_module(module, example))
            compiled = _compile_model(path, target, calibration, given)
    else:
        own = Path(model)
        compiled = _compile_model(own, target, calibration, given)
    chosen = own if teacher is None else teacher
    if isinstance(chosen, str | Path):
        chosen = OnnxTeacher(Path(chosen), compiled.program)
    return TrainJob(compiled, chosen)


class OnnxTeacher:
    """The float model in ONNX Runtime, tensors to tensor.

    Args:
        path: of the model.
        program: says which inputs are given, in which order, and which it holds fixed.

    Raises:
        InputError: the model has other inputs.
    """

    def __init__(self, path: Path, program: Program) -> None:
        self._session = _float_session(path)
        self._names = [value.name for value in program.inputs]
        self._fixed = frontend.fixed_feeds(path, fixed_of(dict(program.settings)))
        found = sorted(value.name for value in self._session.inputs)
        expected = sorted({*self._names, *self._fixed})
        if found != expected:
            raise InputError(
                f"the teacher has the inputs {', '.join(found)}, expected {', '.join(expected)}",
                where=str(path),
                hint="a network that takes what the trained one takes",
            )
        self.sha256 = hashlib.sha256(path.read_bytes()).hexdigest()

    def __call__(self, *inputs: Tensor) -> Tensor:
        """The model's first output."""
        arrays = [tensor.detach().cpu().numpy() for tensor in inputs]
        feeds = dict(zip(self._names, arrays, strict=True)) | self._fixed
        first: AnyArray = self._session.run(feeds)[0]
        return torch.from_numpy(first).to(inputs[0].device)


def _float_session(path: Path) -> OnnxSession:
    """The model as ONNX Runtime runs it: operators of QONNX spelled out, integer products exact."""
    return OnnxSession(frontend.runnable_model(path), where=str(path))


def _compile_model(
    path: Path, target: str | Path | Target, calibration: Any, options: CompileKeywords
) -> CompiledProgram:
    if isinstance(calibration, Tensor):
        calibration = calibration.detach().cpu().numpy()
    if calibration is not None and not isinstance(calibration, Mapping):
        name = _float_session(path).inputs[0].name
        calibration = {name: np.asarray(calibration)}
    return compile(path, target, calibration=calibration, **options)


def _export_module(model: nn.Module, example: Tensor | Sequence[Tensor] | None) -> bytes:
    """The module as ONNX, its first axis a batch of any size."""
    if example is None:
        raise InputError(
            "a module is exported by running it, which needs an input",
            where="prepare",
            hint="example=x, one sample as the module takes it",
        )
    inputs = (example,) if isinstance(example, Tensor) else tuple(example)
    names = [f"input{number}" for number in range(len(inputs))] if len(inputs) > 1 else ["input"]
    stream = io.BytesIO()
    try:
        with warnings.catch_warnings():
            # the exporter warns of its own successor, which needs another package
            warnings.simplefilter("ignore", DeprecationWarning)
            torch.onnx.export(
                model,
                inputs,
                stream,  # type: ignore[arg-type]
                dynamo=False,
                input_names=names,
                output_names=["output"],
                dynamic_axes={name: {0: "batch"} for name in [*names, "output"]},
                opset_version=_OPSET,
            )
    except (RuntimeError, TypeError, ValueError, torch.onnx.OnnxExporterError) as error:
        line = " ".join(str(error).split())[:300]
        raise ModelError(
            f"torch cannot export this module: {line}",
            where=type(model).__name__,
            hint="export it to ONNX yourself and give prepare the file",
        ) from error
    return stream.getvalue()


def _module_of(step: Step, target: Target) -> nn.Module:
    if isinstance(step, DigitalFragment):
        return TrainedFragment(step)
    return ProgramLayer(
        step,
        converters=step.adc.policy not in _FROM_CELLS,
        scale_bits=target.adc.scale_bits,
    )


def _is_finite(layer: nn.Module) -> bool:
    return all(bool(torch.isfinite(parameter).all()) for parameter in layer.parameters())


def _levels(step: CrossbarStep) -> Tensor:
    return torch.from_numpy(step.cells.unpack().astype(np.float32))


def _array(parameter: Tensor) -> AnyArray:
    values: AnyArray = parameter.detach().cpu().float().numpy().copy()
    return values


def _count_differing(seen: Tensor, expected: AnyArray) -> int:
    found = seen.detach().cpu().numpy()
    if found.shape != expected.shape:
        return max(found.size, expected.size)
    same = (found == expected) | (np.isnan(found) & np.isnan(expected))
    if found.dtype == expected.dtype and found.dtype.kind == "f":
        same &= np.signbit(found) == np.signbit(expected)
    return int((~same).sum())


def _maker(program: Program, value: str) -> str:
    return next(step.name for step in program.steps if value in layer_outputs(step))

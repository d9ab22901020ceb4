"""`ProgramLayer`: one crossbar layer of a program as a torch module made of the program's arrays.

No encoding is named here. Cells, `A`, `R`, `a`, `beta`, converters and thresholds are all there is,
so whatever a program can hold, an encoding of a third party included, can be trained.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from math import prod

import numpy as np
import torch
from torch import Tensor, nn

from xbarc.circuit import CellModel, count_numbers, program_cells
from xbarc.ir import (
    CrossbarStep,
    Dense,
    FloatResult,
    IntegerResult,
    RequantizedResult,
    Scatter,
    Sense,
    SignResult,
    Window,
    output_matrix,
)
from xbarc.numerics import AnyArray
from xbarc.train.comparisons import ComparedRows, compare
from xbarc.train.crossbar import ActiveRows, ColumnConverters, LayerCut, convert
from xbarc.train.geometry import (
    dense_result,
    first_axis_sample,
    of_vectors,
    pad_codes,
    scatter_sums,
    vectors_of,
    window_vectors,
)
from xbarc.train.inputs import TorchCodes, binary_wires, read_codes, straight_through
from xbarc.train.results import real_values
from xbarc.train.weights import WeightEntries, round_levels

# The converters' policy where all layers share one range: their one constant from sums to values is
# what such hardware is built for, so training leaves it as it is.
_ONE_RANGE = "uniform"

_CONVOLUTIONS = {1: nn.functional.conv1d, 2: nn.functional.conv2d, 3: nn.functional.conv3d}


class ProgramLayer(nn.Module):
    """A crossbar layer whose cells, factors, scales, biases and thresholds are parameters.

    In `eval` the arithmetic is exact: the same bits as the program with these cells. In `train` it
    is the same up to the rounding of float32 sums beyond 2**24, and differentiable.

    Args:
        step: the layer of the program.
        converters: False computes the plain product: what a lossless program gives, whose
            converters are sized anew when training ends.
        scale_bits: of a factor of a column.
    """

    constant: Tensor
    input_sum: Tensor
    row_input: Tensor
    significance: Tensor

    def __init__(
        self, step: CrossbarStep, *, converters: bool, scale_bits: int | None = None
    ) -> None:
        super().__init__()
        self.step = step
        self.converters = converters
        self.noise = 0.0
        self.programming: CellModel | None = None
        self.top = (1 << step.cells.bits) - 1
        self._add_digital(step)
        self._add_column_scale(step, scale_bits)
        # only conversions one by one need `R` as a matrix
        self._reads = converters or step.sense is not None
        plain = self._without_factors(step)
        segments = [_tensor(part) for part in _outputs(plain)] if self._reads else []
        self._output_names = [f"output{number}" for number in range(len(segments))]
        for name, part in zip(self._output_names, segments, strict=True):
            self._hold(name, part)
        self._hold("constant", torch.from_numpy(step.periphery.constant.copy()))
        self._hold("input_sum", torch.from_numpy(step.periphery.input_sum.copy()))
        self._has_input_sum = bool(step.periphery.input_sum.any())
        self._entries = WeightEntries.of(plain)
        self._add_cells(step)
        self._hold("row_input", torch.from_numpy(_int64(step.tiling.row_input)))

    @property
    def is_sized_from_cells(self) -> bool:
        """Whether cells decide on the bits of the layer's converters."""
        return not self.converters and self.step.sense is None

    def _hold(self, name: str, fact: Tensor) -> None:
        """Keep what the program says, outside `state_dict`.

        A state of another program would change it, and the job would then compute something else
        than the program that it finishes to.
        """
        self.register_buffer(name, fact, persistent=False)

    @property
    def _outputs(self) -> list[Tensor]:
        """`R` of each segment; axes: group or 1, conversion, output."""
        return [self.get_buffer(name) for name in self._output_names]

    def _add_cells(self, step: CrossbarStep) -> None:
        """Latent cells, in units of the layer's least significant level.

        Adam moves every number by about its rate. In levels, the highest of four slices of two bits
        would change weights 64 times as fast as the lowest; in these units all change them equally.
        """
        significance = torch.from_numpy(self._entries.significances(step.cells.columns))
        self._hold("significance", significance)
        levels = torch.from_numpy(step.cells.unpack().astype(np.float32))
        self.cells = nn.Parameter(levels * significance)
        self._has_slices = bool((significance != 1).any())

    def _add_digital(self, step: CrossbarStep) -> None:
        result, sense = step.result, step.sense
        if isinstance(result, FloatResult):
            scale = torch.from_numpy(result.scale.copy())
            self.scale = nn.Parameter(scale, requires_grad=step.adc.policy != _ONE_RANGE)
            self.bias = nn.Parameter(torch.from_numpy(result.bias.copy()))
        if isinstance(result, SignResult):
            self.threshold = nn.Parameter(torch.from_numpy(result.threshold.astype(np.float64)))
        if sense is not None:
            levels = np.moveaxis(sense.thresholds, (1, 3), (0, 1)).astype(np.float32)
            # axes: segment, level, group, vector (1), conversion
            self.levels = nn.Parameter(torch.from_numpy(levels[:, :, :, None].copy()))

    def _add_column_scale(self, step: CrossbarStep, bits: int | None) -> None:
        """Factors of columns, where conversions are made one by one."""
        self.column_scale: nn.Parameter | None = None
        given = step.periphery.column_scale
        if given is not None and self.converters:
            self.largest_scale = (1 << (bits or 8)) - 1
            self.column_scale = nn.Parameter(torch.from_numpy(given.astype(np.float32)))

    def _without_factors(self, step: CrossbarStep) -> CrossbarStep:
        """The layer without the factors that are parameters here."""
        if self.column_scale is None:
            return step
        return replace(step, periphery=replace(step.periphery, column_scale=None))

    # what the cells are at this moment

    def current_scales(self) -> Tensor | None:
        """Factors as they would be loaded, straight-through; axes as in the program."""
        if self.column_scale is None:
            return None
        clamped = self.column_scale.clamp(0.0, float(self.largest_scale))
        return straight_through(clamped, torch.round(clamped))

    def latent_levels(self) -> Tensor:
        """Cells in levels, not rounded; axes: group, row, column."""
        return self.cells / self.significance if self._has_slices else self.cells

    def written_levels(self) -> Tensor:
        """Levels as they would be written, straight-through; axes: group, row, column."""
        return round_levels(self.latent_levels(), self.top)

    def current_levels(self) -> Tensor:
        """Levels as cells hold them: in `train` they deviate, where that was asked for."""
        levels = self.written_levels()
        if not self.training:
            return levels
        if self.programming is not None:
            levels = _program_cells(levels, self.programming)
        if self.noise:
            levels = levels + self.noise * self.top * torch.randn_like(levels)
        return levels

    def table(self, levels: Tensor | None = None) -> Tensor:
        """`A` applied to levels, the current ones if none are given: what conversions see."""
        levels, periphery = self.current_levels() if levels is None else levels, self.step.periphery
        if not periphery.a_sign.size:
            return levels
        shape = (*levels.shape[:2], self.step.conversions)
        sign = torch.from_numpy(periphery.a_sign.astype(np.float32)).to(levels.device)
        column, conversion = (
            torch.from_numpy(_int64(places)).to(levels.device)
            for places in (periphery.a_column, periphery.a_conversion)
        )
        return levels.new_zeros(shape).index_add(2, conversion, levels[:, :, column] * sign)

    def weight(self, levels: Tensor) -> Tensor:
        """The matrix that levels stand for; axes: group, input, output."""
        entries, scales = self._entries, self.current_scales()
        if scales is not None:
            entries = entries.scaled_by(scales.detach().cpu().numpy())
        matrix = entries.matrix(levels)
        if scales is not None and self.training:
            # nothing, with the gradient of the sums that the zero point is multiplied with: its
            # share is large, and factors that ignored it would move every output's mean
            matrix = matrix + self._no_sums(scales, levels)[:, None] / self.step.inputs
        if not self._has_input_sum:
            return matrix
        beta = self.input_sum.to(levels.dtype)
        return matrix + beta.reshape(self.step.groups, 1, self.step.outputs)

    # from tensor to tensor

    def forward(self, tensor: Tensor, values: Mapping[str, Tensor] | None = None) -> Tensor:
        """The layer's output for its input tensor; `values` holds zero points of run time."""
        step = self.step
        samples = first_axis_sample(tensor, step.geometry)
        levels = self.current_levels()
        if not self.training:
            levels = levels.to(self._exact_type())
        weight = None
        if step.sense is not None:
            codes = binary_wires(samples, step.quantizer, step.name)
        else:
            codes = read_codes(samples, step.quantizer, values or {}, step.name)
            # with converters it only says what the zero point adds
            if not self.converters or bool(codes.zero.any()):
                # its sums over inputs may pass 2**24 where no conversion does: 600 weights of 16
                # bits, or fewer of them behind factors
                weight = self.weight(levels if self.training else levels.double())
        table = self.table(levels) if self._reads else levels
        match step.geometry:
            case Window() as geometry:
                return self._window(codes, geometry, table, weight)
            case Scatter() as scatter:
                acc = self._products(
                    vectors_of(codes, scatter, step.groups, tensor.shape), table, weight
                )
                zero = of_vectors(codes.zero, scatter, step.groups, tensor.shape)
                acc = self._less_zero(acc, zero, weight)
                total = scatter_sums(acc, scatter, tensor.shape)
                none = total.new_zeros((1, total.shape[1]))
                return self._values(total, none, codes.scale[:, None])
            case Dense() as dense:
                return self._dense(codes, dense, tensor.shape, table, weight)

    def _dense(
        self,
        codes: TorchCodes,
        geometry: Dense,
        shape: torch.Size,
        table: Tensor,
        weight: Tensor | None,
    ) -> Tensor:
        groups, outputs = self.step.groups, self.step.outputs
        acc = self._products(vectors_of(codes, geometry, groups, shape), table, weight)
        zero = of_vectors(codes.zero, geometry, groups, shape)
        scale = of_vectors(codes.scale, geometry, groups, shape)
        acc = self._less_zero(acc, zero, weight)
        acc = acc.transpose(0, 1).reshape(acc.shape[1], groups * outputs)
        spread = scale.expand(groups if geometry.batch else 1, -1, 1).transpose(0, 1)
        if spread.shape[1] > 1:
            spread = spread.repeat_interleave(outputs, dim=1)
        flat = self._values(acc, self.constant[None], spread.reshape(spread.shape[0], -1))
        return dense_result(flat.reshape(-1, groups, outputs).transpose(0, 1), geometry, shape)

    def _window(
        self, codes: TorchCodes, geometry: Window, table: Tensor, weight: Tensor | None
    ) -> Tensor:
        step = self.step
        border = pad_codes(codes, geometry)
        images = border.shape[0]
        if weight is not None and self.training and not self.converters:
            kernel = weight.transpose(1, 2).reshape(
                step.groups * step.outputs, -1, *geometry.kernel
            )
            acc = _CONVOLUTIONS[len(geometry.kernel)](
                border,
                kernel,
                stride=geometry.strides,
                dilation=geometry.dilations,
                groups=step.groups,
            )
        else:
            vectors, extent = window_vectors(border, geometry, step.groups)
            products = self._products(vectors, table, weight)
            split = products.reshape(step.groups, images, prod(extent), step.outputs)
            moved = split.permute(1, 0, 3, 2)
            acc = moved.reshape(images, step.groups * step.outputs, *extent)
        offset = self.constant.to(acc.dtype)[None]
        if weight is not None and bool(codes.zero.any()):
            sums = weight.sum(1).reshape(1, -1).to(acc.dtype)
            offset = offset - codes.zero.to(acc.dtype).reshape(-1, 1) * sums
        return self._values(acc, offset, codes.scale[:, None])

    def _products(self, vectors: Tensor, table: Tensor, weight: Tensor | None) -> Tensor:
        """Accumulators without `a`; axes: group, vector, output."""
        if weight is not None and not self._reads:
            exact = weight if self.training else weight.double()
            return vectors.to(exact.dtype) @ exact
        if self.step.sense is not None:
            return self._votes(self.step.sense, vectors, table)
        acc = convert(vectors, table, self._scales_of_segments(), self._cut(table))
        if not self._has_input_sum:
            return acc
        beta = self.input_sum.to(acc.dtype).reshape(self.step.groups, 1, self.step.outputs)
        return acc + vectors.to(acc.dtype).sum(2, keepdim=True) * beta

    def _votes(self, sense: Sense, vectors: Tensor, table: Tensor) -> Tensor:
        """What comparisons add up to; axes: group, vector, output."""
        levels = straight_through(self.levels, torch.round(self.levels)).to(table.dtype)
        drive = torch.from_numpy(_int64(sense.drive)).to(table.device)
        segments = tuple(
            # a few standard deviations of a sum of so many signs
            ComparedRows.of(
                rows, self.row_input, drive, output, 2.0 * (rows.stop - rows.start) ** 0.5
            )
            for rows, output in zip(self._row_segments(), self._outputs, strict=True)
        )
        joined = table.dtype if self.training else torch.float64
        return compare(vectors, table, levels, segments, joined)

    def _row_segments(self) -> list[slice]:
        """Rows that are active together."""
        bounds = self.step.tiling.segment_bounds.tolist()
        return [slice(first, last) for first, last in pairwise(bounds)]

    def _no_sums(self, scales: Tensor, levels: Tensor) -> Tensor:
        """Zeros with the gradient by factors of sums of weights; axes: group, output."""
        free, table = scales - scales.detach(), self.table(levels.detach())
        bounds, blocks = self.step.tiling.segment_bounds.tolist(), self.step.tiling.segment_block
        total = levels.new_zeros((self.step.groups, self.step.outputs))
        for first, last, block, output in zip(
            bounds[:-1], bounds[1:], blocks.tolist(), self._outputs, strict=True
        ):
            sums = table[:, first:last].sum(1) * free[:, block % free.shape[1]]
            total = total + (sums[:, None] @ output.to(sums.dtype))[:, 0]
        return total

    def _scales_of_segments(self) -> Tensor | None:
        """Axes: segment, group or 1, vector (1), conversion."""
        scales = self.current_scales()
        if scales is None:
            return None
        blocks = _int64(self.step.tiling.segment_block) % scales.shape[1]
        return scales[:, torch.from_numpy(blocks)].transpose(0, 1)[:, :, None]

    def _less_zero(self, acc: Tensor, zero: Tensor, weight: Tensor | None) -> Tensor:
        if weight is None or not bool(zero.any()):
            return acc
        return acc - zero.to(acc.dtype) * weight.sum(1, keepdim=True).to(acc.dtype)

    def _values(self, acc: Tensor, offset: Tensor, scale: Tensor) -> Tensor:
        """The layer's result.

        Args:
            acc: axes: sample, channel, further ones.
            offset: to be added to it; axes: sample or 1, channel.
            scale: real value of an input's step; axes: sample or 1, channel or 1.
        """
        result = self.step.result
        if isinstance(result, FloatResult):
            kind = getattr(torch, result.dtype)
            return real_values(acc, offset, scale, self.scale, self.bias, kind)
        acc = acc + offset.to(acc.dtype).reshape(*offset.shape, *(1,) * (acc.ndim - 2))
        match result:
            case IntegerResult():
                return acc
            case RequantizedResult():
                return _requantize(acc, result)
            case SignResult():
                return self._signs(acc, result)

    def _signs(self, acc: Tensor, result: SignResult) -> Tensor:
        limit = straight_through(self.threshold, torch.round(self.threshold))
        apart = acc - _by_channel(limit.to(acc.dtype), acc.ndim)
        flip = torch.from_numpy(result.flip.astype(np.bool_)).to(acc.device)
        flip = _by_channel(flip, acc.ndim)
        reached = (apart >= 0) ^ flip
        low, high = (torch.tensor(v, device=acc.device) for v in (result.low, result.high))
        exact = torch.where(reached, high, low).float()
        # the width of a clamp that stands in for the sign: as wide as the votes of one output
        width = max(1.0, float(len(self.step.tiling.segment_bounds) - 1))
        soft = (apart / width).clamp(-1.0, 1.0) * torch.where(flip, -1.0, 1.0)
        return straight_through(soft.float() * (result.high - result.low) / 2, exact)

    def _exact_type(self) -> torch.dtype:
        """The narrowest float in which no sum of this layer is rounded."""
        # Other devices may take float32 products in fewer bits (TF32), if somebody allowed it.
        if not self.cells.is_cpu:
            return torch.float64
        step = self.step
        rows = int(np.diff(step.tiling.segment_bounds).max(initial=1))
        most = rows * self.top * ((1 << step.input_bits) - 1)
        most = max(most * self._reach, self._largest_reading())
        return torch.float32 if most < 1 << 22 else torch.float64

    def _largest_reading(self) -> int:
        """What bounds a conversion as it is read, joined over input slices."""
        step = self.step
        # in 64 bits: programs keep ranges in 32, where these sums may not fit
        low, wide, bits = (_int64(a) for a in (step.adc.lo, step.adc.step, step.adc.bits))
        codes = int(np.abs(low).max()) + int((wide << bits).max())
        return codes << step.input_bits

    def _reading_type(self) -> torch.dtype:
        """The narrowest type that holds what conversions are read as: whole numbers."""
        return torch.int16 if self._largest_reading() < 1 << 15 else torch.int32

    def _cut(self, table: Tensor) -> LayerCut:
        step = self.step
        segments = tuple(
            ActiveRows(
                rows,
                self.row_input[rows],
                output,
                _converters(step, number, table),
                _first_of_run(step.tiling.row_input[rows]),
            )
            for number, (rows, output) in enumerate(
                zip(self._row_segments(), self._outputs, strict=True)
            )
        )
        joined = table.dtype if self.training else torch.float64
        deviate = self.training and (self.noise or self.programming is not None)
        largest = None if deviate else self.top * self._reach
        return LayerCut(
            segments, step.dac_bits, step.input_slices, joined, largest, self._reading_type()
        )

    @property
    def _reach(self) -> int:
        """How many cells of one row a conversion sees at most."""
        step = self.step
        if not step.periphery.a_sign.size:
            return 1
        return int(np.bincount(_int64(step.periphery.a_conversion)).max())

    @torch.no_grad()
    def digital_unit(self, name: str) -> float:
        """Mean magnitude of scales, biases or factors; of the scales where all of them are zero.

        A layer whose result is quantised again has no scales of its own to train.
        """
        values = [getattr(self, part) for part in (name, "scale") if hasattr(self, part)]
        means = [float(part.abs().mean()) for part in values if part.numel()]
        return next((mean for mean in means if mean > 0), 1.0)

    @torch.no_grad()
    def project(self, pull: float = 0.0) -> None:
        """Pull latent cells to their levels, and clamp them and factors to what there is."""
        if pull:
            # in units of the least significant cell, as steps are: all cells feel the same
            latent = self.latent_levels()
            self.cells.add_(torch.round(latent) - latent, alpha=min(pull, 1.0))
        torch.minimum(self.cells.clamp_(min=0.0), self.top * self.significance, out=self.cells)
        if self.column_scale is not None:
            self.column_scale.clamp_(0.0, float(self.largest_scale))


def _program_cells(levels: Tensor, cell: CellModel) -> Tensor:
    """What a device model makes of levels, drawn by torch; the gradient goes straight through."""
    whole = levels.detach().cpu().numpy().astype(np.int64)
    drawn = torch.randn((count_numbers(cell.device), *whole.shape), dtype=torch.float64).numpy()
    real = torch.from_numpy(program_cells(cell.device, whole, cell, drawn))
    return straight_through(levels, real.to(levels))


def _first_of_run(inputs: AnyArray) -> int | None:
    """The first of neighbouring inputs; None where they are not neighbours in order."""
    run = bool(inputs.size) and bool((np.diff(_int64(inputs)) == 1).all())
    return int(inputs[0]) if run else None


def _int64(values: AnyArray) -> AnyArray:
    return np.array(values, dtype=np.int64)


def _tensor(values: AnyArray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))


def _outputs(step: CrossbarStep) -> list[AnyArray]:
    """`R` of each segment; axes: group or 1, conversion, output."""
    groups = step.groups if step.periphery.r_lead[0] > 1 else 1
    found: dict[int, AnyArray] = {}
    for block in set(step.tiling.segment_block.tolist()):
        parts = [
            output_matrix(step.periphery, group, block, step.outputs, step.conversions)
            .toarray()
            .T.astype(np.float32)
            for group in range(groups)
        ]
        found[block] = np.stack(parts)
    return [found[block] for block in step.tiling.segment_block.tolist()]


def _converters(step: CrossbarStep, segment: int, table: Tensor) -> ColumnConverters:
    low, width, bits = (
        torch.from_numpy(_segment(a, segment).astype(np.float64)).to(table)
        for a in (step.adc.lo, step.adc.step, step.adc.bits)
    )
    return ColumnConverters(low, width, torch.exp2(bits) - 1.0)


def _segment(values: AnyArray, segment: int) -> AnyArray:
    """Settings of one segment; axes: input slice or 1, group or 1, vector (1), conversion or 1."""
    one = values[:, segment if values.shape[1] > 1 else 0]
    return np.ascontiguousarray(np.moveaxis(one, 2, 0)[:, :, None])


def _by_channel(values: Tensor, rank: int) -> Tensor:
    return values.reshape((1, -1) + (1,) * (rank - 2))


def _requantize(acc: Tensor, result: RequantizedResult) -> Tensor:
    info = np.iinfo(result.dtype)
    multiplier = torch.from_numpy(result.multiplier.copy()).to(acc.device)
    real = acc.float() * _by_channel(multiplier, acc.ndim)
    clipped = real.clamp(float(info.min - result.zero_point), float(info.max - result.zero_point))
    return straight_through(clipped, torch.round(clipped)) + result.zero_point

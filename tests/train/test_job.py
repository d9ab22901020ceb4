"""A whole network: prepare, train, check, finish."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnx.numpy_helper
import onnx.parser
import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

import xbarc
import xbarc.train as xt
from tests.binary_models import conv_net, dense_net
from tests.frontend.onnx_models import model_file
from tests.train.jobs import disturb, small_mlp
from xbarc.calibration import column_scales
from xbarc.errors import InputError, MappingError, ModelError, UnsupportedError
from xbarc.evaluate import self_check
from xbarc.ir import verify_program
from xbarc.options import RangeAnalysis
from xbarc.target import load_target


class Net(nn.Module):
    """A convolution, a residual block, a pool whose sums depend on their order, a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.second = nn.Conv2d(6, 6, 3, padding=1, groups=3)
        self.last = nn.Linear(6, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.relu(self.norm(self.first(x)))
        h = torch.relu(self.second(h) + h)
        return self.last(nn.functional.adaptive_avg_pool2d(h, 1).flatten(1))  # type: ignore[no-any-return]


def _data(count: int = 48, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Images whose class is the corner that is bright."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, count)
    images = rng.normal(size=(count, 2, 6, 6)).astype(np.float32)
    for image, label in zip(images, labels, strict=True):
        row, column = divmod(int(label), 2)
        image[:, 3 * row : 3 * row + 3, 3 * column : 3 * column + 3] += 1.5
    return torch.from_numpy(images), torch.from_numpy(labels.astype(np.int64))


def _net() -> nn.Module:
    torch.manual_seed(1)
    net = Net()
    nn.init.constant_(net.norm.running_mean, 0.1)  # type: ignore[arg-type]
    return net.eval()


@pytest.mark.parametrize("encoding", ["differential", "acm", "offset", "unipolar", "bias-column"])
@pytest.mark.parametrize("adc", ["lossless", "calibrated:2", "4"])
def test_a_disturbed_job_checks_to_the_bit(encoding: str, adc: str) -> None:
    images, _ = _data()
    job = xt.prepare(
        _net(), example=images[:1], calibration=images, encoding=encoding, adc=adc, weight_slices=2
    )
    assert len(job.layers) == 3
    assert not job.stayed_digital
    assert job.check(images)
    disturb(job)
    assert job.check(images)
    verify_program(job.finish().program)
    assert max(job.changed_cells().values()) > 0.1


def _scaled_job(encoding: str = "differential") -> tuple[xt.TrainJob, torch.Tensor]:
    images, _ = _data()
    job = xt.prepare(
        _net(),
        load_target("rram128", ["adc.scale_bits=8", "array.rows=16", "array.active_rows=16"]),
        example=images[:1],
        calibration=images,
        adc="calibrated:1",
        weight_slices=1,
        encoding=encoding,
    )
    return job, images


@pytest.mark.parametrize("encoding", ["differential", "acm", "offset"])
def test_factors_of_columns_are_trained_to_the_bit(
    encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(column_scales, "_WORTH", np.inf)  # factors even where they help little
    job, images = _scaled_job(encoding)
    before = {n: layer.current_scales() for n, layer in job.layers.items()}
    assert all(scale is not None for scale in before.values())
    assert job.check(images)
    disturb(job)
    assert job.check(images)
    made = job.finish().program
    verify_program(made)
    for step in made.crossbar_steps:
        scale, old = step.periphery.column_scale, before[step.name]
        assert (scale is None) == (old is None)
        if scale is not None and old is not None:
            assert not np.array_equal(scale, old.detach().numpy())
    # carried by ONNX as cells are
    job.export(tmp_path / "net.onnx")
    again = xbarc.compile(
        tmp_path / "net.onnx", job.program.target, carried_mapping="require"
    ).program
    for one, other in zip(made.crossbar_steps, again.crossbar_steps, strict=True):
        first, second = one.periphery.column_scale, other.periphery.column_scale
        assert (first is None and second is None) or np.array_equal(first, second)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("inputs", "adc", "settings"),
    [(600, "lossless", []), (600, "calibrated:4", []), (40, "calibrated:4", ["adc.scale_bits=8"])],
)
def test_a_zero_point_takes_wide_weights_exactly(
    inputs: int, adc: str, settings: list[str]
) -> None:
    """Sums of weights beyond 2**24, which float32 rounds."""
    torch.manual_seed(0)
    net = nn.Linear(inputs, 6)
    with torch.no_grad():
        net.weight.abs_().add_(0.2)
    x = torch.randn(64, inputs)
    target = load_target("puma", ["adc.max_bits=14", *settings])
    bits = {"weight_bits": 16, "activation_bits": 8}
    job = xt.prepare(net, target, example=x[:1], calibration=x, adc=adc, **bits)  # type: ignore[arg-type]
    for layer in job.layers.values():
        if layer.column_scale is not None:
            layer.column_scale.data.fill_(float(layer.largest_scale))
    assert job.check(x)


def test_factors_of_a_layer_that_quantises_its_result_again_have_a_rate(tmp_path: Path) -> None:
    model = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 17]>
        net (uint8[N, 64] x) => (uint8[N, 10] y) {
            y = QLinearMatMul (x, xs, xz, w, ws, wz, ys, yz)
        }"""
    )
    rng = np.random.default_rng(0)
    held = {
        "xs": np.float32(0.02),
        "xz": np.uint8(128),
        "w": rng.integers(-60, 60, (64, 10)).astype(np.int8),
        "ws": rng.uniform(0.005, 0.02, 10).astype(np.float32),
        "wz": np.zeros(10, np.int8),
        "ys": np.float32(0.1),
        "yz": np.uint8(128),
    }
    model.graph.initializer.extend(
        onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in held.items()
    )
    onnx.save(model, tmp_path / "net.onnx")
    codes = rng.integers(0, 256, (256, 64)).astype(np.uint8)
    job = xt.prepare(
        tmp_path / "net.onnx",
        load_target("isaac", ["adc.scale_bits=8"]),
        calibration={"x": codes},
        adc="calibrated:2",
    )
    (layer,) = job.layers.values()
    assert layer.column_scale is not None
    (rate,) = [
        group["lr"]
        for group in job.parameter_groups()
        if any(one is layer.column_scale for one in group["params"])
    ]
    assert rate > 0


@pytest.mark.parametrize("has_zero", [False, True])
def test_factors_have_the_gradient_of_what_they_multiply(
    has_zero: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Accumulators are linear in them: differences over whole steps give the gradient itself."""
    monkeypatch.setattr(column_scales, "_WORTH", np.inf)
    job, _ = _scaled_job()
    job.train()
    # behind a ReLU codes have no zero point; where there is one its share follows the factors
    layer = next(
        layer
        for layer in job.layers.values()
        if bool(getattr(layer.step.quantizer, "zero_point", 0)) == has_zero
    )
    scale = layer.column_scale
    assert scale is not None
    shape = layer.step.input_shape
    assert shape is not None
    x = torch.rand((3, *shape[1:]), generator=torch.Generator().manual_seed(0))
    probe = torch.randn(layer(x).shape, generator=torch.Generator().manual_seed(1))

    def value() -> torch.Tensor:
        total: torch.Tensor = (layer(x).double() * probe).sum()
        return total

    value().backward()  # type: ignore[no-untyped-call]
    assert scale.grad is not None
    rng = np.random.default_rng(0)
    for place in zip(*(rng.integers(0, size, 12) for size in scale.shape), strict=True):
        with torch.no_grad():
            was = float(scale[place])
            scale[place] = 100.0
            low = float(value())
            scale[place] = 101.0
            high = float(value())
            scale[place] = was
        assert float(scale.grad[place]) == pytest.approx(high - low, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("facts", ["all", "structure", "none"])
@pytest.mark.parametrize("adc", ["lossless", "calibrated:2"])
def test_what_is_known_of_inputs_holds_after_training(
    facts: RangeAnalysis, adc: str, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    path = model_file(
        tmp_path,
        """net (float[N, 8] x) => (float[N, 3] y) {
        h = MatMul (x, w) r = Relu (h)
        q = QuantizeLinear (r, s, z) d = DequantizeLinear (q, s, z)
        y = MatMul (d, v) }""",
        w=rng.normal(size=(8, 12)).astype(np.float32),
        v=rng.normal(size=(12, 3)).astype(np.float32),
        s=np.float32(0.04),
        z=np.int8(0),
    )
    x = rng.normal(size=(60, 8)).astype(np.float32)
    job = xt.prepare(path, calibration=x, range_analysis=facts, adc=adc)
    assert dict(job.program.settings)["range_analysis"] == (
        "none" if facts == "none" else "structure"
    )
    # int8 behind a ReLU has seven bits, whatever the weights are
    bits = job.program.crossbar_steps[1].input_bits
    assert bits == (8 if facts == "none" else 7)
    assert job.check(x)
    disturb(job, 2.0)
    assert job.check(x)
    assert not list(self_check(job.finish().program))  # claims are proven again
    job.train()
    xt.distill(job, torch.from_numpy(x)).backward()  # type: ignore[no-untyped-call]
    assert all(float(layer.cells.grad.abs().max()) > 0 for layer in job.layers.values())  # type: ignore[union-attr]


@pytest.mark.parametrize("adc", ["lossless", "calibrated:2"])
def test_an_exported_job_compiles_to_the_trained_cells(adc: str, tmp_path: Path) -> None:
    images, _ = _data()
    job = xt.prepare(
        _net(), example=images[:1], calibration=images, encoding="acm", adc=adc, weight_slices=1
    )
    disturb(job)
    job.export(tmp_path / "net.onnx")
    wanted, again = job.finish(), xbarc.compile(tmp_path / "net.onnx", carried_mapping="require")
    for one, other in zip(wanted.program.crossbar_steps, again.program.crossbar_steps, strict=True):
        assert np.array_equal(one.cells.data, other.cells.data)
    x = {"input": images.numpy()}
    assert np.array_equal(wanted.session().run(None, x)[0], again.session().run(None, x)[0])
    # training goes on from there
    resumed = xt.prepare(tmp_path / "net.onnx", calibration=images, carried_mapping="require")
    assert resumed.check(images)
    assert resumed.finish().program.crossbar_steps[0].encoding == "acm"


def test_ranges_of_run_time_check_to_the_bit() -> None:
    images, _ = _data()
    job = xt.prepare(_net(), example=images[:1])
    disturb(job)
    assert job.check(images)


@pytest.mark.parametrize("make", [dense_net, conv_net])
def test_sense_amplifiers_check_to_the_bit(make: object, tmp_path: Path) -> None:
    path = make(tmp_path)  # type: ignore[operator]
    rng = np.random.default_rng(0)
    shape = (40, 20) if make is dense_net else (40, 4, 6, 6)
    name = "b0" if make is dense_net else "x"
    x = rng.choice(np.array([-1, 1], np.float32), shape)
    job = xt.prepare(path, "bnn128", calibration={name: x})
    assert any(layer.step.sense is not None for layer in job.layers.values())
    assert job.check(x)
    disturb(job)
    assert job.check(x)
    job.train()
    xt.distill(job, torch.from_numpy(x)).backward()  # type: ignore[no-untyped-call]
    assert all(layer.cells.grad is not None for layer in job.layers.values())


def test_a_difference_is_found_and_its_layer_named(monkeypatch: pytest.MonkeyPatch) -> None:
    images, _ = _data()
    job = xt.prepare(_net(), example=images[:1], calibration=images)
    second = list(job.layers.values())[1]
    finish = job.finish

    def other() -> xbarc.CompiledProgram:
        with torch.no_grad():
            cell, top = second.cells[0, 0], 3 * second.significance[0, 0]
            cell[0] = top[0] - cell[0]
            made = finish()
            cell[0] = top[0] - cell[0]
        return made

    monkeypatch.setattr(job, "finish", other)
    found = job.check(images)
    assert not found
    assert found.layer == second.step.name
    assert "differ" in str(found)


def test_a_difference_that_later_layers_hide_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    images, _ = _data(4)
    job = xt.prepare(_net(), example=images[:1], calibration=images, adc="calibrated:1")
    first = next(iter(job.layers.values()))
    finish = job.finish

    def other() -> xbarc.CompiledProgram:
        held = first.scale.detach().clone()
        with torch.no_grad():
            first.scale[0] = torch.nextafter(held[0], torch.tensor(torch.inf))
            made = finish()
            first.scale.copy_(held)
        return made

    monkeypatch.setattr(job, "finish", other)
    found = job.check(images)
    assert (found.differing, found.layer) == (0, first.step.name)
    assert not found
    assert f"values of {first.step.name} differ" in str(found)


def test_inputs_that_are_held_fixed_are_fed_to_the_teacher(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = model_file(
        tmp_path,
        "net (float[N, 8] x, float[1] t) => (float[N, 3] y) { h = Mul (x, t) y = MatMul (h, w) }",
        w=rng.normal(size=(8, 3)).astype(np.float32),
    )
    x = rng.normal(size=(20, 8)).astype(np.float32)
    job = xt.prepare(path, calibration=x, fix_input={"t": [2.0]})
    loss = xt.distill(job, torch.from_numpy(x))
    assert float(loss.detach()) < 0.01  # 8-bit weights and inputs
    assert job.check(x)


def test_what_cannot_be_trained_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs an input"):
        xt.prepare(_net())

    class Odd(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            first: torch.Tensor = torch.linalg.qr(x)[0]
            return first

    with pytest.raises(ModelError, match="cannot export"):
        xt.prepare(Odd(), example=torch.ones(2, 2))
    nothing = model_file(tmp_path, "net (float[N, 8] x) => (float[N, 8] y) { y = Relu (x) }")
    with pytest.raises(MappingError, match="no layer"):
        xt.prepare(nothing)
    strange = model_file(
        tmp_path,
        "net (float[N, 8] x) => (float[N, 3] y) { h = CumSum (x, a) y = MatMul (h, w) }",
        a=np.int64(1),
        w=np.eye(8, 3, dtype=np.float32),
    )
    with pytest.raises(UnsupportedError, match="CumSum"):
        xt.prepare(strange)


def test_a_mapping_of_tensors_and_tensors_in_order_are_the_same(tmp_path: Path) -> None:
    path, samples = small_mlp(tmp_path)
    job = xt.prepare(path, calibration=samples.inputs).eval()
    x = torch.from_numpy(samples.inputs["x"])
    assert torch.equal(job(x), job({"x": x}))
    with pytest.raises(InputError, match="expected 1"):
        job(x, x)
    assert replace(job.check(x), samples=0).differing == 0


@pytest.mark.parametrize("adc", ["lossless", "calibrated:2"])
def test_mixed_precision_leaves_every_sum_as_it_is(adc: str) -> None:
    images, _ = _data()
    job = xt.prepare(_net(), example=images[:1], calibration=images, adc=adc)
    gradients = []
    for mixed in (False, True):
        job.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            total = job.train()(images).sum()
            assert job.check(images)
        total.backward()
        gradients.append([layer.cells.grad for layer in job.layers.values()])
    for plain, mixed_one in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, mixed_one, rtol=0, atol=0)
    with torch.autocast("cpu", torch.bfloat16):  # torch advises against it, and people do it
        job(images).sum().backward()
    for kind in (torch.bfloat16, torch.float16):
        with pytest.raises(InputError, match="cannot hold what is trained"):
            job.to(kind)(images)


@pytest.mark.parametrize("adc", ["lossless", "calibrated:2"])
@pytest.mark.parametrize("bits", [4, 8, 10])
def test_the_operations_for_other_devices_give_what_the_compiled_ones_give(
    adc: str, bits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, _ = _data()
    job = xt.prepare(
        _net(),
        example=images[:1],
        calibration=images,
        adc=adc,
        encoding="acm",
        weight_slices=1,
        activation_bits=bits,
    )
    disturb(job)
    results = []
    for compiled in (True, False):
        if not compiled:
            monkeypatch.setattr(torch.Tensor, "is_cpu", False)
        exact = job.eval()(images).detach()
        job.zero_grad()
        given = images.clone().requires_grad_()
        job.train()(given).square().sum().backward()
        gradients = [p.grad for p in job.parameters() if p.grad is not None]
        results.append([exact, given.grad, *gradients])
    monkeypatch.undo()
    assert torch.equal(results[0][0], results[1][0])
    assert len(results[0]) == len(results[1]) == 2 + 3 * len(job.layers)
    for seen, wanted in zip(*results, strict=True):
        torch.testing.assert_close(seen, wanted, rtol=1e-4, atol=1e-5)


def test_a_copy_of_a_job_and_a_state_are_the_same_job() -> None:
    images, _ = _data()
    job = xt.prepare(_net(), example=images[:1], calibration=images)
    fresh = copy.deepcopy(job)
    disturb(job)
    assert fresh.changed_cells() != job.changed_cells()
    fresh.load_state_dict(job.state_dict())
    assert fresh.changed_cells() == job.changed_cells()
    assert fresh.check(images)


@pytest.mark.parametrize("adc", ["lossless", "calibrated:2"])
def test_a_state_of_another_program_leaves_what_the_program_says(adc: str) -> None:
    images, _ = _data()

    def job(example: torch.Tensor, bits: int) -> xt.TrainJob:
        given = {"calibration": example, "adc": adc, "activation_bits": bits}
        return xt.prepare(_net(), example=example[:1], **given)  # type: ignore[arg-type]

    one, other = job(images, 4), job(3 * images - 1, 6)
    assert set(one.state_dict()) == {n for n, p in one.named_parameters() if p.requires_grad}
    one.load_state_dict(other.state_dict())
    assert one.check(images)


def test_a_job_that_something_holds_as_its_module_is_distilled() -> None:
    images, labels = _data()
    job = xt.prepare(_net(), example=images[:1], calibration=images, adc="calibrated:2")
    wanted = xt.distill(job, images, labels)
    for holder in (nn.DataParallel(job), nn.DataParallel(nn.DataParallel(job))):
        assert torch.equal(xt.distill(holder, images, labels), wanted)
    for kind in (torch.int32, torch.uint8, torch.int16):
        assert torch.equal(xt.distill(job, images, labels.to(kind)), wanted)


@pytest.mark.parametrize("make", ["lossless", "calibrated:2", "sense"])
def test_a_job_whose_activations_are_computed_again_has_the_same_gradient(
    make: str, tmp_path: Path
) -> None:
    if make == "sense":
        x = np.random.default_rng(0).choice(np.array([-1, 1], np.float32), (40, 20))
        job = xt.prepare(dense_net(tmp_path), "bnn128", calibration={"b0": x})
        images = torch.from_numpy(x)
    else:
        images, _ = _data()
        job = xt.prepare(_net(), example=images[:1], calibration=images, adc=make)
    gradients = []
    for again in (False, True):
        job.zero_grad()
        answers = checkpoint(job, images, use_reentrant=False) if again else job(images)
        answers.square().sum().backward()
        gradients.append([p.grad for p in job.parameters() if p.grad is not None])
    for seen, wanted in zip(*gradients, strict=True):
        assert torch.equal(seen, wanted)


@pytest.mark.parametrize("adc", ["lossless", "calibrated:2"])
def test_a_gradient_that_is_not_whole_is_an_error(adc: str) -> None:
    images, _ = _data()
    job = xt.prepare(_net(), example=images[:1], calibration=images, adc=adc)
    given = images.clone().requires_grad_()
    (first,) = torch.autograd.grad(job(given).sum(), given, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiate twice"):
        first.square().sum().backward()  # type: ignore[no-untyped-call]
    # digital steps of `eval` are those of ONNX Runtime
    with pytest.raises(RuntimeError, match="does not require grad"):
        job.eval()(given).sum().backward()


def test_the_module_given_keeps_the_modes_of_its_parts() -> None:
    net, (images, _) = _net().train(), _data()
    net.get_submodule("norm").eval()
    before = [part.training for part in net.modules()]
    xt.prepare(net, example=images[:1])
    assert [part.training for part in net.modules()] == before


def test_data_of_other_shapes_is_refused_in_training_and_in_check(tmp_path: Path) -> None:
    images, _ = _data()
    job = xt.prepare(_net(), example=images[:1], calibration=images)
    for call in (job.train(), job.eval(), job.teach, job.check):
        with pytest.raises(InputError, match="has shape"):
            call(torch.ones(2, 3, 6, 6))
    with pytest.raises(InputError, match="no samples"):
        job.check(images[:0])
    assert job.train()(images[:0]).shape == job.eval()(images[:0]).shape == (0, 4)
    with pytest.raises(InputError, match="has shape"):
        job.check(np.float32(3))
    with pytest.raises(InputError, match="'input' is missing"):
        job({"other": images})


def test_a_parameter_that_is_no_number_ends_in_no_program() -> None:
    images, _ = _data()
    job = xt.prepare(_net(), example=images[:1], calibration=images)
    next(iter(job.layers.values())).cells.data[0, 0, 0] = torch.nan
    with pytest.raises(MappingError, match="NaN"):
        job.finish()

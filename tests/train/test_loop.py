"""The loop of `xbarc train`: what is kept, what stops it, and how it goes on."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

import xbarc
import xbarc.train as xt
from tests.frontend.onnx_models import model_file
from tests.train.jobs import disturb, small_mlp
from xbarc.errors import InputError, MappingError
from xbarc.ir import FloatResult
from xbarc.numerics import AnyArray
from xbarc.options import Training
from xbarc.target import load_target


def test_training_wins_back_what_few_bits_lost(tmp_path: Path) -> None:
    path, samples = small_mlp(tmp_path, 1200)
    taught, chosen = samples.take(np.arange(900)), samples.take(np.arange(900, 1200))
    job = xt.prepare(
        path, calibration=taught.inputs, adc="calibrated:1", weight_slices=1, activation_bits=3
    )
    course = xt.Trainer(job, taught, chosen, Training(epochs=8, batch=50)).run()
    first, last = course.epochs[0].score, course.epochs[course.best].score
    assert last >= first + 0.06, (first, last)
    job.finish("a test").save(tmp_path / "net.xbar")
    loaded = xbarc.load(tmp_path / "net.xbar")
    assert dict(loaded.program.settings)["trained"] == "a test"
    answers = loaded.session().run(None, dict(chosen.inputs))[0].argmax(1)
    wanted = job.teach(torch.from_numpy(chosen.inputs["x"])).argmax(1).numpy()
    assert float((answers == wanted).mean()) == pytest.approx(last)


def test_an_epoch_whose_cells_the_converters_cannot_tell_apart_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, samples = small_mlp(tmp_path, 60)
    wide = xt.prepare(path, target="rram128", calibration=samples.inputs)
    bits = max(int(step.adc.bits.max()) for step in wide.program.crossbar_steps)
    target = load_target("rram128", [f"adc.max_bits={bits}"])
    job = xt.prepare(path, target=target, calibration=samples.inputs)
    assert not job.misfit()

    def raise_cells(*_: object) -> torch.Tensor:
        return torch.stack([-layer.cells.sum() for layer in job.layers.values()]).sum()

    options = Training(epochs=2, batch=20, cell_rate=20)
    trainer = xt.Trainer(job, samples, samples, options, loss=raise_cells)
    scores = iter((0.5, 0.8, 0.9))
    monkeypatch.setattr(trainer, "_score", lambda _: next(scores))
    course = trainer.run()
    assert [bool(epoch.misfit) for epoch in course.epochs] == [False, True, True]
    assert "conversions" in course.epochs[-1].misfit
    assert course.best == 0
    job.finish()
    with torch.no_grad():
        for layer in job.layers.values():
            layer.cells.add_(20 * layer.cells.max())
    with pytest.raises(MappingError, match="conversions"):
        job.finish()


def _states(job: xt.TrainJob) -> dict[str, AnyArray]:
    return {name: p.detach().numpy().copy() for name, p in job.named_parameters()}


def test_a_run_that_is_stopped_goes_on_to_the_same_cells(tmp_path: Path) -> None:
    path, samples = small_mlp(tmp_path)
    options = Training(epochs=4, batch=16, noise=0.1)

    def trainer(state: Path | None, seen: Training = options) -> xt.Trainer:
        job = xt.prepare(path, calibration=samples.inputs, adc="calibrated:3")
        return xt.Trainer(job, samples, samples, seen, state)

    whole = trainer(None)
    whole.run()
    state = tmp_path / "state"
    cut = trainer(state, options.model_copy(update={"hours": 1e-12}))
    assert "are over" in cut.run().stopped  # before the first epoch: nothing was kept
    assert not state.exists()
    half = trainer(state)

    def stop(name: str, done: int, total: int) -> None:
        if name == "epoch 3":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        half.run(stop)
    assert state.exists()
    resumed = trainer(state)
    course = resumed.run()
    assert [e.score for e in course.epochs] == [e.score for e in whole.course.epochs]
    for name, values in _states(whole.job).items():
        assert np.array_equal(values, _states(resumed.job)[name]), name
    with pytest.raises(InputError, match="other settings"):
        trainer(state, options.model_copy(update={"batch": 8})).run()
    state.write_bytes(b"no state")
    with pytest.raises(InputError, match="no state of a training run"):
        trainer(state).run()


def test_a_state_is_taken_whole_or_not_at_all(tmp_path: Path) -> None:
    path, samples = small_mlp(tmp_path)
    state, options = tmp_path / "state", Training(epochs=2, batch=16)
    prepared = xt.prepare(path, calibration=samples.inputs, adc="calibrated:3")

    def trainer() -> xt.Trainer:
        return xt.Trainer(copy.deepcopy(prepared), samples, samples, options, state)

    trainer().run()
    with safe_open(state, "pt") as file:
        about = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    job = trainer().job
    trained = {name for name, p in job.named_parameters() if p.requires_grad}
    assert {name.split("/")[1] for name in tensors if name.startswith("now/")} == trained
    cells = next(name for name in tensors if name.endswith(".cells"))
    moment = next(name for name in tensors if name.endswith("exp_avg"))

    def refused(change: dict[str, torch.Tensor] | None = None, **said: str) -> None:
        save_file({**tensors, **(change or {})}, state, {**about, **said})
        again = trainer()
        before = _states(again.job)
        with pytest.raises(InputError, match="no state of a training run"):
            again.run()
        assert not again.course.epochs
        assert all(np.array_equal(before[n], values) for n, values in _states(again.job).items())

    refused({cells: torch.zeros(1)})  # would fit every shape
    refused({cells: torch.full_like(tensors[cells], torch.nan)})
    refused({moment: torch.zeros(3, 3)})
    refused({"now/step9.cells": torch.zeros(3)})
    refused({"adam/99/exp_avg": torch.zeros(3)})
    course = json.loads(about["course"])
    for wrong in (
        *({**course, "best": best} for best in (-1, 7, "x")),
        {**course, "epochs": []},
        {**course, "epochs": course["epochs"][1:]},
        {**course, "epochs": [{**epoch, "score": "high"} for epoch in course["epochs"]]},
        [],
    ):
        refused(course=json.dumps(wrong))
    refused(course="[" * 100_000)
    gone = tensors.pop(cells)
    refused()
    save_file({**tensors, cells: gone}, state, about)
    assert trainer().run().epochs[-1].number == 2


def test_a_step_to_what_is_no_number_is_not_kept(tmp_path: Path) -> None:
    """A loss that is a number may have a gradient that is none: the last step shows no loss."""
    path, samples = small_mlp(tmp_path)
    job = xt.prepare(path, calibration=samples.inputs)
    first = next(iter(job.layers.values()))
    calls = []

    def root(_: xt.TrainJob) -> torch.Tensor:
        calls.append(1)
        return torch.sqrt((first.bias * 0).sum() + (len(calls) < 2))

    job.regularise(root, 1.0)
    state = tmp_path / "state"
    trainer = xt.Trainer(job, samples, samples, Training(epochs=3, batch=60), state)
    with pytest.raises(MappingError, match="no number after epoch 2"):
        trainer.run()
    assert [epoch.number for epoch in trainer.course.epochs] == [0, 1]
    assert all(np.isfinite(values).all() for values in _states(job).values())


@pytest.mark.parametrize(("settle", "expected"), [(0.0, (False, False)), (1.0, (True, False))])
def test_cells_settle_unless_their_gradients_agree(
    tmp_path: Path, settle: float, expected: tuple[bool, bool]
) -> None:
    """Whether cells keep their levels: under signs drawn for each step, and under one sign."""
    path, samples = small_mlp(tmp_path, 300)
    job = xt.prepare(path, calibration=samples.inputs, weight_slices=1)
    before, latest = _levels(job), list[torch.Tensor]()

    def push(made: xt.TrainJob, *_: object) -> torch.Tensor:
        drawn, steady = made.layers.values()
        latest[:] = _levels(made)
        signs = torch.randint(0, 2, drawn.cells.shape) * 2.0 - 1
        return (drawn.cells * signs).sum() + steady.cells.sum()

    options = Training(epochs=4, batch=3, cell_rate=0.02, settle=settle)
    xt.Trainer(job, samples, samples, options, loss=push).run()
    kept = [torch.equal(*pair) for pair in zip(before, latest, strict=True)]
    assert tuple(kept) == expected


def _levels(job: xt.TrainJob) -> list[torch.Tensor]:
    return [layer.current_levels().detach().clone() for layer in job.layers.values()]


def test_augmented_samples_train_and_a_stopped_run_goes_on_with_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = model_file(
        tmp_path,
        """net (float[N, 1, 6, 6] x) => (float[N, 3] y) {
        h = Conv <pads = [1, 1, 1, 1]> (x, w) r = Relu (h) f = Flatten (r) y = MatMul (f, v) }""",
        w=rng.normal(size=(2, 1, 3, 3)).astype(np.float32),
        v=rng.normal(size=(72, 3)).astype(np.float32),
    )
    x = rng.normal(size=(40, 1, 6, 6)).astype(np.float32)
    samples = xt.Samples({"x": x}, np.arange(40) % 3)
    prepared = xt.prepare(path, calibration=samples.inputs, adc="calibrated:2")
    known = {image.tobytes() for image in x}
    seen: list[tuple[bool, bool]] = []

    def loss(job: xt.TrainJob, inputs: tuple[dict[str, torch.Tensor]], labels: object) -> object:
        images = inputs[0]["x"].numpy()
        seen.append((all(image.tobytes() in known for image in images), labels is None))
        return xt.distill(job, inputs, None)

    def trainer(text: str, state: Path | None = None) -> xt.Trainer:
        options = Training.model_validate({"epochs": 3, "batch": 8, "augment": text})
        job = copy.deepcopy(prepared)
        return xt.Trainer(job, samples, samples, options, state, loss=loss)  # type: ignore[arg-type]

    whole = trainer("flip,shift:1,cutmix")
    whole.run()
    assert not any(as_given for as_given, _ in seen)
    assert all(alone for _, alone in seen)  # labels do not fit patches

    def stop(name: str, done: int, total: int) -> None:
        if name == "epoch 2":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trainer("flip,shift:1,cutmix", tmp_path / "state").run(stop)
    resumed = trainer("flip,shift:1,cutmix", tmp_path / "state")
    resumed.run()
    found = _states(resumed.job)
    assert all(np.array_equal(values, found[name]) for name, values in _states(whole.job).items())
    assert "augment flip,shift:1,cutmix" in resumed.note()
    with pytest.raises(InputError, match="other settings"):
        trainer("flip", tmp_path / "state").run()
    seen.clear()
    trainer("none").run()
    assert all(as_given and not alone for as_given, alone in seen)


def test_a_loss_of_ones_own_takes_the_place_of_the_teacher(tmp_path: Path) -> None:
    path, samples = small_mlp(tmp_path)
    labels = np.arange(len(samples)) % 3  # nothing that the float network would answer
    data = replace(samples, labels=labels)
    asked: list[int] = []

    def loss(
        job: xt.TrainJob, x: tuple[dict[str, torch.Tensor]], y: torch.Tensor | None
    ) -> torch.Tensor:
        asked.append(len(x[0]["x"]))
        assert y is not None
        return nn.functional.cross_entropy(job(*x), y)

    job = xt.prepare(path, calibration=samples.inputs)
    course = xt.Trainer(job, data, data, Training(epochs=40, batch=20), loss=loss).run()
    assert asked == [20] * 120
    assert course.epochs[course.best].score > course.teacher + 0.1


def test_another_network_teaches(tmp_path: Path) -> None:
    path, samples = small_mlp(tmp_path)
    rng = np.random.default_rng(1)

    def other(name: str, given: str = "x", classes: int = 3) -> Path:
        (tmp_path / name).mkdir()
        text = f"net (float[N, 8] {given}) => (float[N, {classes}] y) {{ y = MatMul ({given}, w) }}"
        w = rng.normal(size=(8, classes)).astype(np.float32)
        return model_file(tmp_path / name, text, w=w)

    wise = other("wise")
    job = xt.prepare(path, calibration=samples.inputs, teacher=wise)
    x = torch.from_numpy(samples.inputs["x"])
    own = xt.prepare(path, calibration=samples.inputs, teacher=lambda tensor: 2 * tensor[:, :3])
    assert torch.equal(own.teach(x), 2 * x[:, :3])
    assert not torch.equal(job.teach(x), xt.prepare(path, calibration=samples.inputs).teach(x))
    state, options = tmp_path / "state", Training(epochs=30, batch=20)
    trainer = xt.Trainer(job, samples, samples, options, state)
    course = trainer.run()
    first, last = course.epochs[0].score, course.epochs[course.best].score
    assert last > first + 0.2
    assert f"taught by SHA-256 {job.teacher_digest}" in trainer.note()
    again = xt.prepare(path, calibration=samples.inputs, teacher=other("wiser"))
    with pytest.raises(InputError, match="other settings"):
        xt.Trainer(again, samples, samples, options, state).run()
    with pytest.raises(InputError, match="the teacher has the inputs z, expected x"):
        xt.prepare(path, calibration=samples.inputs, teacher=other("stranger", "z"))
    wide = xt.prepare(path, calibration=samples.inputs, teacher=other("wide", classes=4))
    with pytest.raises(InputError, match=r"\[1, 4\] scores, the network with \[1, 3\]"):
        xt.Trainer(wide, samples, samples, options)


def test_layers_that_share_one_range_share_it_after_training(tmp_path: Path) -> None:
    path, samples = small_mlp(tmp_path)
    job = xt.prepare(
        path, calibration=samples.inputs, uniform=True, weight_slices=1, encoding="acm"
    )
    xt.Trainer(job, samples, samples, Training(epochs=2, batch=20)).run()
    disturb(job)
    for before, after in zip(
        job.program.crossbar_steps, job.finish().program.crossbar_steps, strict=True
    ):
        assert isinstance(before.result, FloatResult)
        assert isinstance(after.result, FloatResult)
        assert np.array_equal(before.result.scale, after.result.scale)
    assert max(job.changed_cells().values()) > 0.1
    assert job.check(samples.inputs)


def test_the_epoch_is_chosen_with_cells_that_deviate_as_in_training(tmp_path: Path) -> None:
    path, samples = small_mlp(tmp_path)
    job = xt.prepare(path, calibration=samples.inputs)
    calm = xt.Trainer(job, samples, samples, Training(epochs=0)).run()
    courses = [
        xt.Trainer(job, samples, samples, Training(epochs=0, noise=0.4)).run() for _ in range(2)
    ]
    assert courses[0].epochs[0].score < calm.epochs[0].score
    assert courses[0].epochs[0].score == courses[1].epochs[0].score
    assert courses[0].measure.endswith("with deviating cells")
    # one chip for all samples would be luck
    again = xt.Trainer(job, samples, samples, Training(epochs=0, noise=0.4))
    assert len(list(again._validated())) == 8
    assert job.check(samples.inputs)


def test_a_value_that_is_no_number_stops_and_keeps_the_best(tmp_path: Path) -> None:
    path, samples = small_mlp(tmp_path)
    job = xt.prepare(path, calibration=samples.inputs)
    before = _states(job)
    options = Training(epochs=2, batch=16, digital_rate=3e37, cell_rate=0)
    with pytest.raises((InputError, MappingError)):
        xt.Trainer(job, samples, samples, options).run()
    assert all(np.array_equal(before[name], values) for name, values in _states(job).items())


_QUANT = 'qonnx.custom_op.general.Quant <signed = {}, narrow = {}, rounding_mode = "ROUND">'


def test_networks_of_brevitas_keep_their_integers_and_are_trained_on(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    inputs, weights, hidden = (_QUANT.format(*flags) for flags in ((1, 0), (1, 1), (0, 0)))
    path = model_file(
        tmp_path,
        f"""net (float[N, 8] x) => (float[N, 3] y) {{
        a = {inputs} (x, step, zero, four) k = {weights} (w, wide, zero, three)
        h = MatMul (a, k) r = Relu (h) b = {hidden} (r, step, zero, four)
        m = {weights} (v, wide, zero, three) y = MatMul (b, m) }}""",
        '<ir_version: 9, opset_import: ["": 17, "qonnx.custom_op.general": 1]>',
        **{name: np.float32(v) for name, v in {"four": 4, "three": 3, "zero": 0}.items()},
        step=np.float32(0.4),
        wide=np.float32(0.6),
        w=rng.normal(size=(8, 12)).astype(np.float32),
        v=rng.normal(size=(12, 3)).astype(np.float32),
    )
    samples = xt.Samples({"x": rng.normal(size=(400, 8)).astype(np.float32)}, None)
    job = xt.prepare(path, calibration=samples.inputs["x"], adc="calibrated:2", exact_weights=True)
    assert not job.stayed_digital
    assert [step.input_bits for step in job.program.crossbar_steps] == [4, 4]
    course = xt.Trainer(job, samples, samples, Training(epochs=6, batch=20)).run()
    assert course.epochs[course.best].score > course.epochs[0].score
    assert job.check(samples.inputs)


@pytest.mark.parametrize("size", [1, 4])
def test_models_of_a_fixed_batch_are_trained_so_many_samples_at_a_time(
    size: int, tmp_path: Path
) -> None:
    text = """net (float[{}, 8] x) => (float[{}, 3] y) {{
        h = MatMul (x, w) r = Relu (h) y = MatMul (r, v) }}"""
    rng = np.random.default_rng(0)
    w, v = (rng.normal(size=shape).astype(np.float32) for shape in ((8, 12), (12, 3)))
    samples = xt.Samples({"x": rng.normal(size=(24, 8)).astype(np.float32)}, None)
    cells: list[AnyArray] = []
    for batch in (size, "N"):
        (tmp_path / str(batch)).mkdir()
        path = model_file(tmp_path / str(batch), text.format(batch, batch), w=w, v=v)
        job = xt.prepare(path, calibration=samples.inputs, adc="calibrated:2")
        xt.Trainer(job, samples, samples, Training(epochs=1, batch=8, cell_rate=0.1)).run()
        assert job.check(samples.inputs)
        cells.append(np.concatenate([a.ravel() for a in _states(job).values()]))
        if batch == 4:
            with pytest.raises(InputError, match="takes 4 at a time"):
                xt.Trainer(job, samples.take(np.arange(22)), samples, Training(batch=8))
    np.testing.assert_allclose(cells[0], cells[1], atol=1e-3)


class HalfLevels(xbarc.DeviceModel):
    """Every cell lies a half level lower than written, or a random share of that."""

    @property
    def name(self) -> str:
        return "half-levels"

    def program(self, levels: AnyArray, cell: object, drawn: AnyArray) -> AnyArray:
        del cell
        made: AnyArray = np.maximum(0, levels - 0.5 * np.abs(np.tanh(drawn[0])))
        return made


def test_cells_of_a_device_model_are_drawn_while_training_alone(tmp_path: Path) -> None:
    path, samples = small_mlp(tmp_path)
    x = torch.from_numpy(samples.inputs["x"])
    job = xt.prepare(path, calibration=samples.inputs, adc="calibrated:3")
    layer = next(iter(job.layers.values()))
    written = layer.eval().current_levels().detach()
    job.set_device(HalfLevels())
    torch.manual_seed(0)
    seen = layer.train().current_levels()
    assert bool((seen <= written).all() and (seen >= written - 0.5).all())
    assert 0 < float((written - seen.detach()).mean()) < 0.5
    assert not torch.equal(seen, layer.current_levels())
    seen.sum().backward()  # type: ignore[no-untyped-call]
    assert layer.cells.grad is not None
    assert bool((layer.cells.grad * layer.significance == 1).all())
    assert job.check(x)  # eval has the cells as they should be
    job.set_device()  # the target's own spread, on both sides
    spread = layer.train().current_levels().detach() - written
    assert float(spread.min()) < 0 < float(spread.max())
    with pytest.raises(MappingError):
        job.set_device("no-such-model")
    job.set_device(None)
    assert torch.equal(layer.current_levels(), written)
    options = Training(epochs=1, batch=16, noise_device=HalfLevels())
    xt.Trainer(job, samples, samples, options, tmp_path / "state").run()
    assert job.check(x)


def test_a_loss_that_is_no_number_stops_and_keeps_the_best(tmp_path: Path) -> None:
    path, samples = small_mlp(tmp_path)
    job = xt.prepare(path, calibration=samples.inputs)
    before = _states(job)
    job.regularise(lambda _: torch.tensor(float("nan")), 1.0)
    with pytest.raises(MappingError, match="step 1 of epoch 1"):
        xt.Trainer(job, samples, samples, Training(epochs=2)).run()
    assert all(np.array_equal(before[name], values) for name, values in _states(job).items())


def test_labels_and_answers_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    path, samples = small_mlp(tmp_path)
    job = xt.prepare(path, calibration=samples.inputs)
    count = len(samples)
    for labels, said in (
        (np.full(count, 3), "reach from 3 to 3, expected 0 to 2"),
        (np.full(count, -1), "reach from -1"),
        (np.full(count, 0.5), "labels are float64"),
        (np.eye(count, 3, dtype=np.int64), "expected int64"),
        (np.full(count, "cat"), "labels are <U3"),
    ):
        with pytest.raises(InputError, match=said):
            xt.Trainer(job, replace(samples, labels=labels), samples, Training())
        with pytest.raises(InputError, match="held out"):
            xt.Trainer(job, samples, replace(samples, labels=labels), Training())
    one = model_file(
        tmp_path,
        "net (float[N, 8] x) => (float[N, 1] y) { y = MatMul (x, w) }",
        w=np.ones((8, 1), np.float32),
    )
    labelled = replace(samples, labels=np.zeros(count, np.int64))
    for given in (samples, labelled):
        with pytest.raises(InputError, match="two classes or more"):
            xt.Trainer(xt.prepare(one, calibration=samples.inputs), given, given, Training())


def test_samples_that_do_not_fit_are_refused_before_training(tmp_path: Path) -> None:
    path, samples = small_mlp(tmp_path)
    job = xt.prepare(path, calibration=samples.inputs)
    x = samples.inputs["x"]
    for inputs, said in (
        ({"x": x[:0]}, "no samples"),
        ({}, "no samples"),
        ({"y": x}, "'x' is missing"),
        ({"x": x.astype(np.float64)}, "is float64"),
        ({"x": x[:, :5]}, r"has shape \[60, 5\]"),
    ):
        wrong = xt.Samples(inputs, None)
        for given, where in (((wrong, samples), "training data"), ((samples, wrong), "held out")):
            with pytest.raises(InputError, match=said) as refused:
                xt.Trainer(job, *given, Training())
            assert where in str(refused.value)
    with_more = xt.Samples({"x": x, "weights": np.ones(len(x))}, None)  # for a loss of one's own
    trainer = xt.Trainer(job, with_more, samples, Training(epochs=2, batch=30))
    assert len(trainer.run().epochs) == 3
    cells = _states(job)
    assert len(trainer.run().epochs) == 3  # nothing is left to do
    assert all(np.array_equal(cells[name], values) for name, values in _states(job).items())


def test_several_outputs_and_answers_a_sample_are_trained(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = model_file(
        tmp_path,
        "net (float[N, 5, 8] x) => (float[N, 5, 3] y, float[N, 5, 8] r) "
        "{ r = Relu (x) y = MatMul (r, w) }",
        w=rng.normal(size=(8, 3)).astype(np.float32),
    )
    x = {"x": rng.normal(size=(20, 5, 8)).astype(np.float32)}
    for labels in (None, rng.integers(0, 3, (20, 5))):
        job = xt.prepare(path, calibration=x)
        samples = xt.Samples(x, labels)
        course = xt.Trainer(job, samples, samples, Training(epochs=1, batch=8)).run()
        assert all(0 < epoch.score <= 1 for epoch in course.epochs)


def test_a_state_belongs_to_its_data_and_its_program(tmp_path: Path) -> None:
    path, samples = small_mlp(tmp_path)
    state = tmp_path / "state"

    def train(given: xt.Samples, calibration: dict[str, AnyArray]) -> xt.Course:
        job = xt.prepare(path, calibration=calibration)
        return xt.Trainer(job, given, samples, Training(epochs=1), state).run()

    ranges = dict(samples.inputs)
    train(samples, ranges)
    wider = {name: 2 * array for name, array in ranges.items()}
    for given, calibration in ((samples, wider), (xt.Samples(wider, None), ranges)):
        with pytest.raises(InputError, match="other settings"):
            train(given, calibration)
    train(samples, ranges)
    state.unlink()
    state.mkdir()
    with pytest.raises(InputError):
        train(samples, ranges)
    state.rmdir()
    state.with_name("state.partial").mkdir()
    with pytest.raises(InputError, match="cannot be written"):
        train(samples, ranges)

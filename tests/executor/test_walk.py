"""A walk keeps what later nodes read, and nothing else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from xbarc.executor.walk import Values, Walk, run_steps
from xbarc.ir.network import DigitalFragment
from xbarc.ir.program import Step


class _Runner:
    """Refuses what was dropped too early; counts what is alive."""

    def __init__(self) -> None:
        self.most = 0

    def run(self, step: Step, values: Values) -> None:
        assert isinstance(step, DigitalFragment)
        values |= {key: [values[name] for name in step.inputs] for key in step.outputs}
        self.most = max(self.most, len(values))


def _step(number: int, inputs: list[str]) -> DigitalFragment:
    return DigitalFragment(f"s{number}", b"", tuple(inputs), (f"v{number}",), (), 0, ())


@st.composite
def _steps(draw: st.DrawFn) -> list[DigitalFragment]:
    steps = []
    for number in range(draw(st.integers(1, 8))):
        known = ["x", *(f"v{earlier}" for earlier in range(number))]
        steps.append(_step(number, draw(st.lists(st.sampled_from(known), unique=True))))
    return steps


@given(_steps(), st.sets(st.integers(0, 7)), st.integers(1, 3))
def test_what_is_read_later_stays(
    steps: list[DigitalFragment], kept: set[int], batches: int
) -> None:
    keep = {f"v{number}" for number in kept}
    feeds: list[Values] = [{"x": number, "unread": 0} for number in range(batches)]
    walk = Walk(steps, keep)
    for number, step in enumerate(walk):
        walk.run(_Runner(), step, feeds)
        read = {name for later in steps[number + 1 :] for name in later.inputs} | keep
        made = {"x", "unread", *(f"v{earlier}" for earlier in range(number + 1))}
        assert [set(values) for values in feeds] == [read & made] * batches


@given(_steps())
def test_the_rest_of_a_program_runs_on_what_is_left(steps: list[DigitalFragment]) -> None:
    last = steps[-1].outputs[0]
    whole: Values = {"x": 1}
    run_steps(steps, whole, _Runner(), keep=[last])
    part: Values = {"x": 1}
    walk = Walk(steps, keep=[last])
    for number, step in enumerate(walk):
        walk.run(_Runner(), step, [part])
        if number == len(steps) // 2:
            run_steps(steps[number + 1 :], part, _Runner(), keep=[last])
            break
    assert whole == part


def test_a_chain_never_holds_more_than_two_values() -> None:
    steps = [_step(number, [f"v{number - 1}" if number else "x"]) for number in range(50)]
    runner, values = _Runner(), {"x": 0}
    run_steps(steps, values, runner, keep=["v49"])
    assert runner.most == 2
    assert list(values) == ["v49"]

"""What the stages of the compiler work on, and what is checked before the first of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from xbarc.calibration import Whole, check_judge
from xbarc.cost import without_law
from xbarc.errors import InputError, MappingError, VerifyError
from xbarc.executor import Values, calibration_batches
from xbarc.ir import (
    FrontPoint,
    Network,
    Program,
    RowsPoint,
    Step,
    built_settings,
    labels_in,
    network_text,
    program_text,
)
from xbarc.mapping import placement_name
from xbarc.memo import Memo
from xbarc.numerics import AnyArray
from xbarc.options import CompileOptions
from xbarc.plan import Plan, lossless, make_plan
from xbarc.target import Target


@dataclass(frozen=True, eq=False)
class Compilation:
    """What the stages work on: a program that grows from stage to stage.

    Attributes:
        path: the model.
        plan: options and target.
        calibration: arrays by input name, with labels if any; None where there are none.
        read: the network with what was chosen for it as a whole; None before it is read.
        steps: in execution order; empty before layers are mapped.
        unset: the steps before converters were set from data; empty where they were not.
        arrays: that the steps take.
        settings: what the program says of how it was made.
        front: converter bits that were weighed.
        rows: numbers of driven rows that were weighed.
        files: further files of the program's folder, by name.
        given: the options as the user gave them; None: none.
        carried: what the settings say of a mapping that the model carries.
        taken: whether the steps are those of that mapping.
        memo: what other compilations have made; it keeps nothing where nobody brought one.
    """

    path: Path
    plan: Plan
    calibration: Mapping[str, AnyArray] | None = None
    read: Whole | None = None
    steps: tuple[Step, ...] = ()
    unset: tuple[Step, ...] = ()
    arrays: int = 0
    settings: tuple[tuple[str, str], ...] = ()
    front: tuple[FrontPoint, ...] = ()
    rows: tuple[RowsPoint, ...] = ()
    files: Mapping[str, bytes] = field(default_factory=dict)
    given: CompileOptions | None = None
    carried: Mapping[str, str] = field(default_factory=dict)
    taken: bool = False
    memo: Memo = field(default_factory=Memo)

    @property
    def whole(self) -> Whole:
        """The network with what was chosen for it as a whole.

        Raises:
            VerifyError: it has not been read.
        """
        if self.read is None:
            raise VerifyError("no network has been read", where=str(self.path))
        return self.read

    @property
    def network(self) -> Network:
        """The network as the stages so far have left it."""
        return self.whole.network

    @property
    def program(self) -> Program:
        """The program as the stages so far have left it."""
        return Program(
            name=self.network.name,
            source=self.network.source,
            # A cost law is code of other people; a program is data, and loads without it.
            target=without_law(self.plan.target),
            inputs=self.network.inputs,
            outputs=self.network.outputs,
            steps=self.steps,
            arrays=self.arrays,
            settings=built_settings(self.settings, self.steps),
            front=self.front,
            rows=self.rows,
        )

    @property
    def layer_plan(self) -> Plan:
        """The plan for single layers: lossless first, where all share one converter setting."""
        return self.plan if self.whole.one is None else lossless(self.plan)

    def batches(self, least: int = 1) -> list[Values]:
        """Calibration data, cut as the model takes it into `least` batches or more."""
        if self.calibration is None:
            return []
        return calibration_batches(self.network.inputs, self.calibration, least)

    def text(self) -> str:
        """The network, or the program once there are steps, for people."""
        return program_text(self.program) if self.steps else network_text(self.network)


def start_compilation(
    path: str | Path,
    target: Target,
    options: CompileOptions | None,
    calibration: Mapping[str, AnyArray] | None,
    memo: Memo | None = None,
) -> Compilation:
    """Check everything that was asked for, and give the first stage what it takes.

    Raises:
        XbarcError: options do not go together, or need calibration data.
    """
    # What can be refused is refused here, before a model is read or data runs.
    plan = make_plan(options or CompileOptions(), target)
    if calibration is None:
        _check_needs(plan.options)
    elif plan.options.adc_budget is not None:
        # The name of the labels is known for sure once the model is read; none at all is none.
        labelled = labels_in(calibration) in calibration
        check_judge(plan.options.adc_budget, labelled=labelled)
    return Compilation(Path(path), plan, calibration, given=options, memo=memo or Memo())


def _check_needs(options: CompileOptions) -> None:
    """Refuse what needs calibration data, where there are none."""
    if options.feedback == "on":
        raise MappingError(
            "needs calibration data", where="--feedback on", hint="add --calibrate DATA.npz"
        )
    if options.fits_wires:
        where = (
            "--compensate"
            if options.placement == "none"
            else f"--placement {placement_name(options.placement)}"
        )
        hint = "--calibrate DATA.npz; labels in it are used"
        raise InputError("needs data", where=where, hint=hint)

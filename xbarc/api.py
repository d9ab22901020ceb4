"""The Python face: compile a model, keep, save, load, report and look into a program."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Unpack

from xbarc.compiler import run_compiler
from xbarc.cost import Policy, parse_policy, price_program
from xbarc.errors import InputError, ProgramError, XbarcError, say_count, visible
from xbarc.frontend import annotated_model, program_model, source_digest
from xbarc.ir import (
    CrossbarStep,
    Program,
    effective_weights,
    load_program,
    program_text,
    save_program,
    whole_file,
)
from xbarc.mapping import full_load
from xbarc.numerics import AnyArray, IntArray, UInt8Array
from xbarc.options import (
    CompileKeywords,
    CompileOptions,
    Method,
    ReportKeywords,
    ScheduleOptions,
    nearest,
)
from xbarc.pipeline import Progress
from xbarc.report import (
    BlockView,
    LayerRow,
    Report,
    TileMap,
    WeightView,
    collect,
    find_layer,
    inspect_block,
    inspect_layer,
    inspect_weight,
    layer_table,
    model_notes,
    node_notes,
    parquet_bytes,
    render_csv,
    render_html,
    render_json,
    render_model_explorer,
    render_perfetto,
    subject_of,
    tile_map,
)
from xbarc.rows import TableData, number, render_card
from xbarc.session import InferenceSession
from xbarc.target import Target, TargetName
from xbarc.version import VERSION
from xbarc.viewer import ProgramPage

if TYPE_CHECKING:
    from xbarc.executor import Engine


ReportFormat = Literal["html", "json", "csv", "parquet", "perfetto", "model-explorer", "onnx"]


@dataclass(frozen=True, eq=False)
class CompiledProgram:
    """A tile program, with what a user does with one.

    Attributes:
        program: the data structure itself.
        extra: further files of its folder, by name.
        cost_law: what its reports count with; None: the target's figures. It is not saved.
    """

    program: Program
    extra: Mapping[str, bytes] = field(default_factory=dict)
    cost_law: str | Method | None = None

    def save(self, path: str | Path) -> None:
        """Write the `.xbar` directory, whole or not at all.

        Raises:
            ProgramError: the path is taken by something else, or cannot be written.
        """
        report = render_json(self.report()).encode()
        files = {"report.json": report, **self.extra}
        by = VERSION if self.cost_law is None else ""
        save_program(self.program, Path(path), files, counted_by=by)

    def export(self, path: str | Path) -> None:
        """Write the program as an ONNX model that compiles to the same cells.

        ONNX Runtime gives what lossless converters give, up to the rounding of float32 sums.

        Raises:
            UnsupportedError: a layer has a form that is not written, or all of it is too large for
                one file.
            InputError: the path cannot be written, or holds the model that was compiled.
        """
        place, model = Path(path), program_model(self.program)
        if not place.is_file() or place.read_bytes() != model:
            self._spare_source(place)
        with whole_file(place) as file:
            file.write(model)

    def _spare_source(self, place: Path) -> None:
        """Refuse to write over the model that was compiled."""
        if self._is_source(place):
            raise InputError(
                "is the model that the program was compiled from, and would be lost",
                where=str(place),
                hint="choose another path",
            )

    def _is_source(self, path: Path) -> bool:
        """Whether a file is the model that was compiled, under whatever name."""
        if not path.is_file():
            return False
        try:
            return source_digest(path) == self.program.source.sha256
        except (XbarcError, OSError):  # some other file, which may be replaced
            return False

    def report(self, **options: Unpack[ReportKeywords]) -> Report:
        """Counts and costs; renders itself in a notebook.

        Args:
            options: as `xbarc report` takes them. `duplicate` is by default what the program was
                compiled with; so is `cost_law`, in the process that compiled it.

        Raises:
            MappingError: copies cannot be made as asked, there is no such law, or it fails.
        """
        # Without options the report is that of the program, gathered once; `save` and `report()`
        # then agree byte for byte.
        return self._report_with(dict(options)) if options else self._own_report

    @cached_property
    def _own_report(self) -> Report:
        """Kept: saving writes it, and the command prints it afterwards."""
        return self._report_with({})

    def _report_with(self, options: dict[str, object]) -> Report:
        program, policy = self._priced(options)
        return collect(program, policy, load=full_load(program.target))

    def _priced(self, options: dict[str, object]) -> tuple[Program, Policy | None]:
        """The program at the costs that a report counts, and how copies are chosen."""
        asked = ScheduleOptions.model_validate(options)
        # A law is code, so that it lives as long as the process that was given it, and no program
        # stores it.
        law = self.cost_law if asked.cost_law is None else asked.cost_law
        program = price_program(self.program, law)
        given = "duplicate" in options
        return program, parse_policy(asked.duplicate, program.target) if given else None

    def save_report(
        self,
        path: str | Path,
        format: ReportFormat | str,  # noqa: A002  # the name of the flag
        *,
        model: str | Path | None = None,
        **options: Unpack[ReportKeywords],
    ) -> None:
        """Write a report as a file, whole or not at all.

        Args:
            path: of the file.
            format: `html`, `json` or `csv`; `parquet`, the CSV with types; `perfetto`, a trace of
                the schedule; `model-explorer`, node data, `model-explorer:COLUMN` of another column
                than `energy_uj`; `onnx`, the model with the report's facts as metadata of nodes.
            model: the ONNX file, for `onnx`; where it was when it was compiled by default.
            options: as `report` takes them.

        Raises:
            InputError: the path cannot be written, there is no such format or column, or a library
                is missing.
            ProgramError: `model` is another one than the program was compiled from.
        """
        place, (kind, _, column) = Path(path), format.partition(":")
        ways: dict[str, Callable[[], str | bytes]] = {
            "html": lambda: render_html(self.report(**options)),
            "json": lambda: render_json(self.report(**options)),
            "csv": lambda: render_csv(self.report(**options)),
            "parquet": lambda: parquet_bytes(self.report(**options)),
            "perfetto": lambda: render_perfetto(subject_of(*self._priced(dict(options)))),
            "model-explorer": lambda: render_model_explorer(
                self.program, self.report(**options), column
            ),
            "onnx": lambda: self._annotated(model, self.report(**options)),
        }
        if kind not in ways or (column and kind != "model-explorer"):
            hint = nearest(kind, ways) or f"one of {', '.join(ways)}"
            raise InputError(f"no format '{format[:40]}'", where="--format", hint=hint)
        if kind == "onnx":
            self._spare_source(place)
        made = ways[kind]()
        with whole_file(place) as file:
            file.write(made if isinstance(made, bytes) else made.encode())

    def _annotated(self, model: str | Path | None, report: Report) -> bytes:
        """The model that was compiled, with what the report says of each node."""
        path, source = (
            Path(self.program.source.path if model is None else model),
            self.program.source,
        )
        if source_digest(path) != source.sha256:
            raise ProgramError(
                f"the program was compiled from another model ({source.path})",
                where=str(path),
                hint="pass the model that it was compiled from, or compile this one",
            )
        return annotated_model(path, node_notes(self.program, report), model_notes(report))

    def view(self, path: str | Path, *, wires: bool = False) -> None:
        """Write the page of `xbarc view`: network, floor plan, every cell, whole or not at all.

        Args:
            path: of the HTML file.
            wires: whether it holds the loss along wires of every cell.

        Raises:
            InputError: the path cannot be written, or the program is too large for one page.
        """
        place = Path(path)
        text = ProgramPage(self.program, f"{self.program.name}.xbar", wires=wires).render()
        with whole_file(place) as file:
            file.write(text.encode("utf-8", "replace"))

    def session(self, engine: Engine = "fast") -> InferenceSession:
        """A session that runs this program."""
        return InferenceSession(self.program, engine)

    @property
    def layers(self) -> tuple[CompiledLayer, ...]:
        """The layers on crossbars, in execution order."""
        return tuple(CompiledLayer(self, step) for step in self.program.crossbar_steps)

    def __getitem__(self, layer: str) -> CompiledLayer:
        """A layer on crossbars by its name.

        Raises:
            InputError: there is none; the message names those there are.
        """
        return CompiledLayer(self, find_layer(self.program, layer, where=self.program.name))

    def __iter__(self) -> Iterator[str]:
        """Names of the layers on crossbars, as a mapping gives its keys."""
        return (step.name for step in self.program.crossbar_steps)

    def __contains__(self, layer: object) -> bool:
        """Whether a layer on crossbars has this name."""
        return any(step.name == layer for step in self.program.crossbar_steps)

    def tile_map(self, layer: str, block: tuple[int, ...] | None = None) -> TileMap:
        """The cells of a layer or of one block; a notebook shows the picture.

        Args:
            layer: name of a layer on crossbars.
            block: row block and column block, with the group before them where there are several;
                None: all blocks of the layer.

        Raises:
            InputError: there is no such layer, or no such block.
        """
        return self[layer].tile_map(block)

    def __str__(self) -> str:
        return program_text(self.program)

    def __repr__(self) -> str:
        return f"<CompiledProgram {self.program.summary}>"

    # IPython asks for these two names: what it shows, and what the Tab key offers in brackets.
    def _repr_html_(self) -> str:
        target = self.program.target
        try:
            report = self.report()
        except XbarcError as error:  # such as a cost law that fails: the program is there
            return render_card(self.program.summary, (str(error),))
        rows = tuple(_layer_cells(row) for row in report.layers)
        heads = ("layer", "operator", "matrix>", "encoding", "arrays>", "ADC bits>", "energy uJ>")
        line = "; ".join(f"{name} {value} {unit}" for name, value, unit in report.headline())
        digital = f"{len(report.digital):,} digital fragments" if report.digital else ""
        title = f"{self.program.name} on {target.name}"
        return render_card(title, (line, digital), (TableData("", heads, rows),))

    def _ipython_key_completions_(self) -> list[str]:
        return list(self)


def _layer_cells(row: LayerRow) -> tuple[str, ...]:
    matrix = f"{row.inputs} x {row.outputs}" + (f" x {row.groups}" if row.groups > 1 else "")
    low, high = row.adc.min_bits, row.adc.max_bits
    bits = str(low) if low == high else f"{low} to {high}"
    counts = number(row.arrays), bits, number(row.energy_uj)
    return (row.name, row.operator, matrix, row.encoding, *counts)


@dataclass(frozen=True, eq=False)
class CompiledLayer:
    """A layer of a program on crossbars: `program["conv4"]`.

    Attributes:
        owner: the program that it is a layer of.
        step: the data structure itself.
    """

    owner: CompiledProgram
    step: CrossbarStep

    @property
    def name(self) -> str:
        """Its name in the model."""
        return self.step.name

    @property
    def costs(self) -> LayerRow:
        """Its row in the report: counts, converters, energy, latency, area."""
        return next(row for row in self.owner.report().layers if row.name == self.name)

    @property
    def cells(self) -> UInt8Array:
        """Levels of its cells; axes: group, row, column."""
        return self.step.cells.unpack()

    @property
    def weights(self) -> IntArray:
        """The integers that its cells stand for; axes: group, input, output."""
        return effective_weights(self.step)

    def block(self, i: int, j: int, group: int = 0) -> BlockView:
        """Everything that the array of one block is loaded with.

        Args:
            i: row block.
            j: column block.
            group: of a grouped convolution.

        Raises:
            InputError: there is no such block; the message says how many there are.
        """
        return inspect_block(self.step, group, i, j)

    def weight(self, *index: int) -> WeightView:
        """The cells of one weight: `layer.weight(12, 7)` is that from input 7 to output 12.

        Args:
            index: output over all groups, and input of its group's matrix; of a convolution also
                output channel, channel and place in the kernel, as its weight tensor has them.

        Raises:
            InputError: there is no such weight; the message says which there are.
        """
        return inspect_weight(self.step, index)

    def tile_map(self, block: tuple[int, ...] | None = None) -> TileMap:
        """Its cells, or those of one block; as `CompiledProgram.tile_map`."""
        return tile_map(self.step, block)

    def __repr__(self) -> str:
        step = self.step
        matrix = f"{step.inputs} x {step.outputs}"
        blocks = say_count(step.tiling.array.size, "block")
        what = f"{step.operator}, {matrix}, {step.encoding}, {blocks}"
        return f"<CompiledLayer {visible(step.name)}: {what}>"

    def _repr_html_(self) -> str:
        table = layer_table(inspect_layer(self.step))
        return render_card(table.title, (), (TableData("", table.headings, table.rows),))


def compile(  # noqa: A001  # the name users expect: xbarc.compile
    model: str | Path,
    target: TargetName | str | Path | Target = "rram128",
    *,
    calibration: Mapping[str, AnyArray] | None = None,
    progress: Progress | None = None,
    **options: Unpack[CompileKeywords],
) -> CompiledProgram:
    """Compile an ONNX model for a target.

    Args:
        model: path of the ONNX file, which is only read.
        target: a shipped name, the path of a TOML file, or a `Target`.
        calibration: arrays by input name, and `labels` if any; activation ranges become static.
        progress: called with the stage and the layer at work, its number and the count of layers.
        options: as `xbarc compile` takes them, under the same names with underscores;
            `xbarc options` prints them with their meaning, and `CompileKeywords` has their types.

    Raises:
        XbarcError: the model, the target, an option or the data is at fault; the message says how.
    """
    made = run_compiler(
        model,
        target,
        options=CompileOptions.model_validate(dict(options)),
        calibration=calibration,
        progress=progress,
    )
    return CompiledProgram(made.program, made.files, made.plan.options.cost_law)


def load(path: str | Path) -> CompiledProgram:
    """Read an `.xbar` directory.

    Raises:
        ProgramError: it is missing, damaged or of another format.
    """
    return CompiledProgram(load_program(Path(path)))

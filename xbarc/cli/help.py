"""The help of a command: everyday options, all of them on request, and examples."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from typing import Any, ClassVar

import typer
from typer.core import TyperCommand, TyperGroup

from xbarc.errors import InputError
from xbarc.options import Option, Options, nearest, warn_renamed

# Sections in the order of a user's decisions; those that are not named stand before the last one.
_SECTIONS = (
    "Arguments",
    "Model and data",
    "Options",
    "Precision",
    "Cells and encoding",
    "Converters",
    "Binary networks",
    "Wires and faults",
    "Costs and schedule",
    "Training",
    "Deviating chips",
    "Execution",
    "Output",
)
_FOOTER = "Everyday options; --help-all shows {} more."

EXAMPLES = {
    "": (
        "xbarc compile net.onnx --calibrate data.npz    write net.xbar",
        "xbarc check net.xbar --data test.npz           compare it with the float model",
        "xbarc report net.xbar                          area, energy, latency, sources",
    ),
    "compile": (
        "xbarc compile net.onnx --calibrate data.npz",
        "xbarc compile net.onnx --calibrate data.npz --for energy",
        "xbarc compile net.onnx --target isaac --weight-bits 4 -o net4.xbar",
    ),
    "options": ("xbarc options > mine.toml", "xbarc compile net.onnx --options mine.toml"),
    "train": (
        "xbarc train net.onnx --data train.npz --epochs 5",
        "xbarc train net.onnx --data train.npz --encoding acm --adc calibrated:4",
    ),
    "run": (
        "xbarc run net.xbar --inputs in.npz --outputs out.npz",
        "xbarc run net.xbar --inputs in.npz --outputs out.npz --trace codes.npz",
    ),
    "check": (
        "xbarc check net.xbar --data test.npz",
        "xbarc check net.xbar --data test.npz --effects variation,lines --samples 10",
        "xbarc check net.xbar --data test.npz --min-agreement 0.99",
    ),
    "compare": (
        "xbarc compare net.onnx --data test.npz --calibrate data.npz",
        "xbarc compare net.onnx --data test.npz --encodings differential,acm --noise 0.05",
    ),
    "verify": ("xbarc verify net.xbar", "xbarc verify net.xbar --seed 7"),
    "inspect": (
        "xbarc inspect net.xbar",
        "xbarc inspect net.xbar --layer conv1 --png conv1.png",
        "xbarc inspect net.xbar --layer conv1 --block 0,1 --json",
        "xbarc inspect net.xbar --layer fc1 --weight 12,7 the cells from input 7 to output 12",
    ),
    "view": (
        "xbarc view net.xbar -o net.html",
        "xbarc view net.xbar --data test.npz             colour layers by SQNR too",
        "xbarc view large.xbar --serve",
    ),
    "report": (
        "xbarc report net.xbar",
        "xbarc report net.xbar --layer conv1             its energy by component, with sources",
        "xbarc report net.xbar --format html -o report.html",
        "xbarc report first.xbar second.xbar --format html -o both.html",
        "xbarc report net.xbar --format perfetto -o net.trace.json",
    ),
    "place": ("xbarc place net.xbar", "xbarc place net.xbar --phases 3"),
    "print": ("xbarc print net.onnx", "xbarc print net.xbar | less"),
    "export": (
        "xbarc export net.xbar -o mapped.onnx",
        "xbarc compile mapped.onnx -o same.xbar",
    ),
    "import": ("xbarc import net.xbar tuned.onnx -o tuned.xbar",),
    "passes": ("xbarc passes", "xbarc compile net.onnx --print-after map"),
    "explore": ("xbarc explore study.toml --dry-run", "xbarc explore study.toml --jobs 0"),
    "sweep": (
        "xbarc sweep net.onnx --vary adc=4..8 --data test.npz",
        "xbarc sweep net.onnx --vary array.rows=64,128 --vary encoding=acm,differential",
    ),
    "doctor": ("xbarc doctor", "xbarc doctor --json"),
    "warm": ("xbarc warm", "xbarc warm --cache /opt/xbarc-loops"),
    "study lines": (
        "xbarc study lines net.onnx --data test.npz --quick",
        "xbarc study lines net.onnx --data test.npz --picture lines.svg",
    ),
    "targets list": ("xbarc targets list", "xbarc targets list --json"),
    "targets show": ("xbarc targets show isaac", "xbarc targets show mine.toml"),
    "targets cost": ("xbarc targets cost isaac --set adc.columns_per_adc=16",),
    "targets validate": ("xbarc targets validate mine.toml",),
    "targets new": (
        "xbarc targets new mine --from rram128 --set array.rows=256",
        "xbarc compile net.onnx --target mine.toml",
    ),
}
"""What to type, by command."""


_SHOWS_ALL = "xbarc.show_all"
"""Whether the help that is printed has every option, in what a context holds for plug-ins."""


class XbarcCommand(TyperCommand):
    """A command with sections of options, examples, and former names of flags."""

    facts: ClassVar[Mapping[str, tuple[type[Options], Option]]] = {}

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the command line; flags of the last release are still taken, with a note."""
        former = {
            f"--{old.replace('_', '-')}": parameter.opts[0]
            for parameter in self.params
            if parameter.name in self.facts
            for old in self.facts[parameter.name][1].formerly
        }
        return super().parse_args(ctx, _rename_flags(args, former))

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write usage, what the command does, examples and options."""
        self.format_usage(ctx, formatter)
        text = inspect.cleandoc(self.help or "")
        with formatter.indentation():
            formatter.write_paragraph()
            formatter.write_text(text if ctx.meta.get(_SHOWS_ALL) else text.partition("\n\n")[0])
        _write_examples(ctx, formatter)
        self.format_options(ctx, formatter)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """What the usage line shows behind the name: arguments as their help names them."""
        arguments = [one for one in self.get_params(ctx) if one.param_type_name == "argument"]
        return ["[OPTIONS]", *(str(one.metavar) for one in arguments)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments and options, section by section."""
        rows = [row for each in self.get_params(ctx) if (row := self._row(each, ctx)) is not None]
        whole = ctx.meta.get(_SHOWS_ALL, False)
        shown = [(heading, record) for heading, record, everyday in rows if everyday or whole]
        # A sort keeps the order of equal keys, which is that of the declarations.
        shown.sort(key=lambda row: _place(row[0]))
        for heading, group in groupby(shown, key=lambda row: row[0]):
            with formatter.section(heading):
                formatter.write_dl([record for _, record in group])
        if len(shown) < len(rows):
            formatter.write(f"\n{_FOOTER.format(len(rows) - len(shown))}\n")

    def _row(self, parameter: Any, ctx: Any) -> tuple[str, tuple[str, str], bool] | None:
        """Section, what to type and what it does, and whether that is for every day."""
        record = parameter.get_help_record(ctx)
        if record is None:
            return None
        plain = "Arguments" if parameter.param_type_name == "argument" else "Options"
        heading = getattr(parameter, "rich_help_panel", None) or plain
        if "--help" in parameter.opts:
            heading = "Output"
        if plain == "Arguments":  # as the usage line has it, without the type
            record = (parameter.metavar or record[0], record[1].removesuffix("  [required]"))
        if parameter.name not in self.facts:
            return heading, record, True
        panel, said = self.facts[parameter.name]
        if said.brief and not ctx.meta.get(_SHOWS_ALL):
            return heading, _shorten(record, said), True
        return heading, record, not (panel.table or said.advanced)


def _shorten(record: tuple[str, str], said: Option) -> tuple[str, str]:
    names = record[0]
    if said.brief_metavar:
        names = f"{names.partition(' ')[0]} {said.brief_metavar}"
    return names, said.brief


def _place(heading: str) -> int:
    return _SECTIONS.index(heading) if heading in _SECTIONS else len(_SECTIONS) - 2


def show_all(ctx: typer.Context, value: bool) -> None:
    """Print the help with every option, and leave."""
    if value:
        ctx.meta[_SHOWS_ALL] = True  # not of the command, which runs the next command line too
        print(ctx.get_help())
        raise typer.Exit


def command_class(function: Callable[..., int]) -> type[TyperCommand]:
    """What typer makes of a command, with what the options say about themselves."""
    return type("Command", (XbarcCommand,), {"facts": getattr(function, "facts", {})})


def _rename_flags(words: list[str], former: Mapping[str, str]) -> list[str]:
    """A command line with the present names of flags."""
    renamed = []
    for word in words:
        flag, equals, value = word.partition("=")
        if flag in former:
            warn_renamed(flag, former[flag])
        renamed.append(f"{former.get(flag, flag)}{equals}{value}")
    return renamed


class XbarcGroup(TyperGroup):
    """A list of commands with examples."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write usage, what there is, examples and exit codes."""
        self.format_usage(ctx, formatter)
        self.format_help_text(ctx, formatter)
        _write_examples(ctx, formatter)
        self.format_options(ctx, formatter)
        self.format_epilog(ctx, formatter)


def _write_examples(ctx: Any, formatter: Any) -> None:
    examples = EXAMPLES.get(ctx.command_path.partition(" ")[2], ())
    if examples:
        with formatter.section("Examples"):
            for line in examples:
                formatter.write(f"  {line}\n")


def usage_error(problem: Any) -> InputError:
    """What typer found wrong with a command line, in one line and with the nearest name."""
    context = getattr(problem, "ctx", None)
    path = "xbarc" if context is None else context.command_path
    where = path.partition(" ")[2]
    wrong = getattr(problem, "option_name", "")
    if not wrong or "No such option" not in problem.message:
        text = " ".join(problem.format_message().split()).rstrip(".")
        text = text[:1].lower() + text[1:]
        return InputError(text or "needs a command", where=where, hint=f"{path} --help")
    flags = sorted(_flags_in(context.command)) if context is not None else []
    hint = nearest(wrong, flags) or f"{path} --help-all lists the options"
    return InputError(f"no option '{wrong[:40]}'", where=where, hint=hint)


def _flags_in(command: Any) -> Iterator[str]:
    for parameter in command.params:
        if parameter.param_type_name == "option":
            yield from (*parameter.opts, *parameter.secondary_opts)

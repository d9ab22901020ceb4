"""Options of the commands, from the models that define them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Mapping
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, get_type_hints

import typer
from pydantic.fields import FieldInfo
from typer.core import TyperCommand

from xbarc.options import (
    Option,
    Options,
    about,
    default_text,
    flags_of,
    kind_of,
    metavar_of,
    option,
    warn_renamed,
)

if TYPE_CHECKING:
    from xbarc.target import Target

Command = Callable[..., int]
Panels = type[Options] | tuple[type[Options], ...]


class TargetChanges(Options):
    """Fields of a target that differ for one command."""

    settings: list[str] = option(
        [],
        "change a field of the target; may be repeated",
        flags=("--set",),
        metavar="key.path=value",
        repeated=True,
        unset=" ",
    )


class TargetChoice(TargetChanges):
    """What to compile for."""

    target: str = option(
        "rram128", "what to compile for; see xbarc targets list", metavar="NAME|FILE.toml"
    )

    def load(self) -> Target:
        """The target.

        Raises:
            TargetError: there is none of this name, or a field is wrong.
        """
        from xbarc.target import load_target

        return load_target(self.target, self.settings)


def takes(
    *,
    only: Collection[str] = (),
    unset: Mapping[str, str] | None = None,
    **panels: Panels,
) -> Callable[[Command], Command]:
    """Give a command the options of models.

    Args:
        only: names of options; empty takes all.
        unset: what the help says of an option that is left out, by name, in place of its default.
        panels: by the name of the command's parameter: a model, which the parameter gets, or
            several, of which it gets the options that were given as one dict by name.
    """
    added = {
        parameter: [
            _parameter(panel, name, field, (unset or {}).get(name))
            for panel in (kinds if isinstance(kinds, tuple) else (kinds,))
            for name, field in panel.model_fields.items()
            # Models without a table are the command's own, and are never cut.
            if not only or name in only or not panel.table
        ]
        for parameter, kinds in panels.items()
    }

    def decorate(command: Command) -> Command:
        # typer reads the signature; annotations are text until they are resolved here.
        hints = get_type_hints(command, include_extras=True, localns={"Target": Any})
        own = inspect.signature(command).parameters.values()
        plain = [p.replace(annotation=hints[p.name]) for p in own if p.name not in panels]

        @functools.wraps(command)
        def run(**values: Any) -> int:
            for parameter, kinds in panels.items():
                asked = {one.name: values.pop(one.name) for one in added[parameter]}
                given = {name: value for name, value in asked.items() if value not in (None, [])}
                values[parameter] = given if isinstance(kinds, tuple) else kinds(**given)
            return command(**values)

        parameters = [*plain, *(one for group in added.values() for one in group)]
        # typer asks for the signature and for the annotations; `functools.wraps` copied those of
        # the command.
        run.facts = {  # type: ignore[attr-defined]
            name: about(field)
            for kinds in panels.values()
            for panel in (kinds if isinstance(kinds, tuple) else (kinds,))
            for name, field in panel.model_fields.items()
        }
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": int}
        return run

    return decorate


def _parameter(
    panel: type[Options], name: str, field: FieldInfo, unset: str | None
) -> inspect.Parameter:
    said = about(field)
    default = (unset or default_text(field)).strip()
    made = typer.Option(
        *flags_of(name, field),
        metavar=metavar_of(field) or None,
        help=f"{said.help}  [default: {default}]" if default else said.help,
        rich_help_panel=f"Options: {panel.table}" if panel.table else None,
        show_default=False,
    )
    kind: Any = list[str] if said.repeated else kind_of(field)
    annotation = Annotated[kind | None, made]
    where = inspect.Parameter.KEYWORD_ONLY
    # None for all: a value that was not given must be told from one that equals the default, for a
    # file of options may say otherwise.
    return inspect.Parameter(name, where, default=None, annotation=annotation)


class Sections(TyperCommand):
    """A command whose help has a section for each model of options."""

    facts: ClassVar[Mapping[str, Option]] = {}

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the command line; flags of the last release are still taken, with a note."""
        former = {
            f"--{old.replace('_', '-')}": parameter.opts[0]
            for parameter in self.params
            if parameter.name in self.facts
            for old in self.facts[parameter.name].formerly
        }
        return super().parse_args(ctx, _rename_flags(args, former))

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments, then options by section."""
        shown = [(_name_panel(p), p.get_help_record(ctx)) for p in self.get_params(ctx)]
        shown = [row for row in shown if row[1] is not None]
        # Sections in the order of their first option; typer would mix those of one heading with
        # others.
        order = list(dict.fromkeys(heading for heading, _ in shown))
        shown.sort(key=lambda row: order.index(row[0]))
        for heading, group in groupby(shown, key=lambda row: row[0]):
            with formatter.section(heading):
                formatter.write_dl([record for _, record in group])


def _name_panel(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return "Arguments"
    return getattr(parameter, "rich_help_panel", None) or "Options"


def command_class(function: Command) -> type[TyperCommand]:
    """What typer makes of a command, with what the options say about themselves."""
    return type("XbarcCommand", (Sections,), {"facts": getattr(function, "facts", {})})


def _rename_flags(words: list[str], former: Mapping[str, str]) -> list[str]:
    """A command line with the present names of flags."""
    renamed = []
    for word in words:
        flag, equals, value = word.partition("=")
        if flag in former:
            warn_renamed(flag, former[flag])
        renamed.append(f"{former.get(flag, flag)}{equals}{value}")
    return renamed

"""Options of the commands, from the models that define them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, get_type_hints

import typer
from pydantic.fields import FieldInfo

from xbarc.cli.help import command_class, show_all
from xbarc.cli.messages import loudness
from xbarc.options import Options, about, default_text, flags_of, kind_of, metavar_of, option

if TYPE_CHECKING:
    from xbarc.target import Target

Command = Callable[..., int]
Panels = type[Options] | tuple[type[Options], ...]


class TargetChanges(Options):
    """Fields of a target that differ for one command."""

    panel: ClassVar[str] = "Model and data"

    settings: list[str] = option(
        [],
        "change a field of the target; may be repeated",
        flags=("--set",),
        metavar="key.path=value",
        repeated=True,
        unset=" ",
        brief="change a field of the target",
    )


class TargetChoice(TargetChanges):
    """What to compile for."""

    target: str = option(
        "rram128",
        "chip to compile for; xbarc targets list shows them",
        metavar="NAME|FILE.toml",
        brief="chip to compile for  [default: rram128]",
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
    """Give a command the options of models, and those that every command has.

    Args:
        only: names of options; empty takes all.
        unset: what the help says of an option that is left out, by name, in place of its default.
        panels: by the name of the command's parameter: a model, which the parameter gets, or
            several, of which it gets the options that were given as one dict by name.
    """
    added = {
        parameter: [
            _parameter(panel, name, field, (unset or {}).get(name))
            for panel, name, field in _fields(kinds)
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
            values.pop("help_all")
            for parameter, kinds in panels.items():
                asked = {one.name: values.pop(one.name) for one in added[parameter]}
                given = {name: value for name, value in asked.items() if value not in (None, [])}
                values[parameter] = given if isinstance(kinds, tuple) else kinds(**given)
            with loudness(quiet=values.pop("quiet"), verbose=values.pop("verbose")):
                return command(**values)

        parameters = [*plain, *(one for group in added.values() for one in group), *_COMMON]
        # What `help` shows, and which former flags are taken.
        run.facts = {  # type: ignore[attr-defined]
            name: (panel, about(field))
            for kinds in panels.values()
            for panel, name, field in _fields(kinds)
        }
        # typer asks for the signature and for the annotations; `functools.wraps` copied those of
        # the command.
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in parameters} | {"return": int}
        return run

    return decorate


def _fields(kinds: Panels) -> Iterator[tuple[type[Options], str, FieldInfo]]:
    for panel in kinds if isinstance(kinds, tuple) else (kinds,):
        for name, field in panel.model_fields.items():
            yield panel, name, field


def _parameter(
    panel: type[Options], name: str, field: FieldInfo, unset: str | None
) -> inspect.Parameter:
    said = about(field)
    default = (unset or default_text(field)).strip()
    made = typer.Option(
        *flags_of(name, field),
        metavar=metavar_of(field) or None,
        help=f"{said.help}  [default: {default}]" if default else said.help,
        rich_help_panel=panel.panel,
        show_default=False,
    )
    kind: Any = list[str] if said.repeated else kind_of(field)
    # None for all: a value that was not given must be told from one that equals the default, for a
    # file of options may say otherwise.
    return _keyword(name, None, Annotated[kind | None, made])


def _keyword(name: str, default: object, annotation: object) -> inspect.Parameter:
    where = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, where, default=default, annotation=annotation)


def _switch(*flags: str, about: str, **facts: Any) -> Any:
    made = typer.Option(*flags, help=about, rich_help_panel="Output", **facts)
    return Annotated[bool, made]


_COMMON = (
    _keyword("quiet", False, _switch("-q", "--quiet", about="print results and errors only")),
    _keyword("verbose", False, _switch("-v", "--verbose", about="print each step and its time")),
    _keyword(
        "help_all",
        False,
        _switch("--help-all", about="show every option", is_eager=True, callback=show_all),
    ),
)
"""Options of every command."""


def add_command(app: typer.Typer, name: str, function: Command) -> None:
    """Register a command, with the options that every command has."""
    whole = function if hasattr(function, "facts") else takes()(function)
    app.command(name, cls=command_class(whole))(whole)

"""A target as text and JSON, and the reference page of the schema, made from the models."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo
from rich.console import Group
from rich.text import Text

from xbarc.report.escaping import json_text, text_lines
from xbarc.report.rich_tables import rich_table
from xbarc.report.sections import citations, source_rows, source_tables
from xbarc.rows import TableData
from xbarc.target import (
    LAWS,
    TERMS,
    Figure,
    FigureList,
    Geometry,
    Provenance,
    SourceEntry,
    Strict,
    Target,
    describe,
    field_unit,
)


def render_target_text(target: Target) -> Group:
    """Settings, figures and sources of a target."""
    rows = source_rows(target)
    lines = [f"  {name}: {cite}{f', {url}' if url else ''}" for name, cite, url in citations(rows)]
    title = f"{target.name}: {describe(target)} ({target.kind}, {target.node_nm} nm)"
    return Group(
        Text(text_lines([title, ""])),
        rich_table(settings_table(target)),
        *map(rich_table, source_tables(rows)),
        Text(text_lines(["Sources", *lines])),
    )


def render_target_json(target: Target) -> str:
    """The whole target, as its TOML file has it."""
    return json_text(target, exclude_none=True)


def settings_table(target: Target) -> TableData:
    """Every field that is no figure."""
    return TableData("Settings", ("field", "value"), tuple(_settings(target, "")))


def _settings(part: Strict, prefix: str) -> Iterator[tuple[str, str]]:
    for name in type(part).model_fields:
        value = getattr(part, name)
        # Figures and sources have tables of their own.
        if isinstance(value, (Provenance, dict)):
            continue
        if isinstance(value, Strict):
            yield from _settings(value, f"{prefix}{name}.")
        elif isinstance(value, tuple):
            for index, item in enumerate(value):
                if isinstance(item, Strict):
                    yield from _settings(item, f"{prefix}{name}.{index}.")
                else:
                    yield f"{prefix}{name}.{index}", str(item)
        else:
            yield f"{prefix}{name}", "left out" if value is None else str(value)


def target_reference() -> str:
    """The Markdown reference of the target's fields."""
    lines = [
        "# Fields of a target",
        "",
        "A target is a TOML file. This page is made from its models; unknown keys are refused.",
        "A *figure* is a table with `value`, `unit`, `source`, `via`, `confirmed` and `note`.",
    ]
    for title, model in _models():
        lines += ["", f"## {title}", "", (model.__doc__ or "").strip().splitlines()[0], ""]
        lines += ["| field | type | unit | meaning |", "|---|---|---|---|"]
        lines += [_line(name, field) for name, field in model.model_fields.items()]
    return "\n".join([*lines, *_growth()]) + "\n"


def _growth() -> Iterator[str]:
    """The laws of the cost figures, and the terms that they are made of."""
    yield from ("", "## How figures grow", "")
    yield "What a figure is given per, and the law that carries it from the array that it is given"
    yield "for to that of the target: a product of terms. The laws are our model; `grows` of a"
    yield "figure replaces its law. Components for each array grow with `cells`, others do not."
    yield from (
        "",
        "| figure | given per | grows with | remark |",
        "|---|---|---|---|",
    )
    yield from (f"| `{path}` | {law.per} | {law} | {law.why} |" for path, law in LAWS.items())
    yield from ("", "| term | what it is |", "|---|---|")
    yield from (f"| `{name}` | {term.words} |" for name, term in TERMS.items())


def _models() -> Iterator[tuple[str, type[Strict]]]:
    yield "Top level", Target
    yield from _nested_models(Target, "")
    yield "`[sources.ID]`", SourceEntry
    yield "Figures", Figure
    yield "Lists of figures", FigureList
    yield "`given_for` of a figure", Geometry


def _nested_models(model: type[Strict], prefix: str) -> Iterator[tuple[str, type[Strict]]]:
    for name, field in model.model_fields.items():
        several = get_origin(field.annotation) is tuple
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, Strict) and not _is_figure(kind):
                # As TOML writes them: two brackets for a list of tables.
                yield f"`[[{prefix}{name}]]`" if several else f"`[{prefix}{name}]`", kind
                yield from _nested_models(kind, f"{prefix}{name}.")


def _is_figure(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Provenance)


def _line(name: str, field: FieldInfo) -> str:
    # A bare bar would end the cell of a Markdown table.
    text = (field.description or "").replace("|", "\\|")
    kind = _type(field).replace("|", "\\|")
    optional = "" if field.is_required() else " (may be left out)"
    return f"| `{name}` | {kind} | {field_unit(field) or ''} | {text}{optional} |"


def _type(field: FieldInfo) -> str:
    limits = [
        f"{word} {getattr(item, key)}"
        for item in field.metadata
        for key, word in (("ge", "from"), ("le", "to"))
        if getattr(item, key, None) is not None
    ]
    return " ".join([_name(field.annotation), *limits])


def _name(kind: Any) -> str:
    """A type for people."""
    origin, choices = get_origin(kind), get_args(kind)
    if origin is Literal:
        return " or ".join(f"`{choice}`" for choice in choices)
    if origin in (Union, types.UnionType):
        return " or ".join(_name(choice) for choice in choices if choice is not type(None))
    if origin is not None and choices:
        tables = isinstance(choices[0], type) and issubclass(choices[0], Strict)
        known = {tuple: "list of tables" if tables else "list of numbers", dict: "table of tables"}
        return known.get(origin) or _name(choices[0])
    if _is_figure(kind):
        return "list of figures" if kind is FigureList else "figure"
    if isinstance(kind, type) and issubclass(kind, Strict):
        return "table"
    return {int: "integer", float: "number", str: "text", bool: "boolean"}.get(kind, str(kind))

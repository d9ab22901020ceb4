"""Options of `compile` that change other options."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # kept out of `xbarc --help`
    from xbarc.compiler import CompileOptions
    from xbarc.target import Target


def with_copies(options: CompileOptions, duplicate: str, target: Target) -> CompileOptions:
    """Options with a policy for copies, once it has been read."""
    from xbarc.cost import parse_policy

    return replace(options, duplicate=str(parse_policy(duplicate, target)))


def with_levers(options: CompileOptions, law: str, latency: float) -> CompileOptions:
    """Options with what the levers make small, and a limit on the time that `rows` may cost."""
    if options.mapping is None:
        return options
    return replace(options, mapping=replace(options.mapping, lever_law=law, rows_latency=latency))


def with_groups(options: CompileOptions, extra: float, spare: bool, refit: bool) -> CompileOptions:
    """Options with more groups of binary layers, and with or without a fitted classifier."""
    if options.mapping is None:
        return options
    chosen = {"extra_groups": extra, "spare_columns": spare, "refit": refit}
    sense = replace(options.mapping.sense, **chosen)  # type: ignore[arg-type]  # of their types
    return replace(options, mapping=replace(options.mapping, sense=sense))

"""Loading targets: the files of a chain upon each other, overrides, and the checks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from xbarc.errors import TargetError
from xbarc.target.carrying import carry
from xbarc.target.explain import explain, hint
from xbarc.target.files import (
    SHARED_SOURCES,
    TargetName,
    read_chain,
    read_toml,
    target_folder,
    target_names,
)
from xbarc.target.layers import override, stack_files
from xbarc.target.model import Target
from xbarc.target.nodes import at_node

__all__ = ["load_target", "parse_target", "target_folder", "target_names"]


def load_target(name: TargetName | str | Path, overrides: Iterable[str] = ()) -> Target:
    """Read a target by name or by path, then apply `key.path=value` overrides.

    Figures that a `base` or an override left behind are carried to the array that came out.

    Raises:
        TargetError: unknown name, unreadable file, or wrong fields (all of them are named).
    """
    chain = read_chain(name)
    data = override(stack_files(chain), overrides)
    # After all files and settings: a figure of the base is scaled to the node that the last of them
    # states.
    data = at_node(data, data.get("node_nm"), str(name))
    data["sources"] = _sources(data, [layer for _, layer in chain])
    return parse_target(data, where=str(name))


def parse_target(data: Mapping[str, Any], *, where: str) -> Target:
    """Check plain data against the schema, and carry its figures to its array.

    Raises:
        TargetError: every wrong field with its dotted path, what was found and what is expected.
    """
    # Again, for data that came from no file; a figure that was scaled has no `node_nm` left, so
    # nothing is scaled twice.
    here = at_node(data, data.get("node_nm"), where)
    try:
        target = Target.model_validate(here)
    except ValidationError as error:
        raise TargetError(explain(error), where=where, hint=hint(error)) from error
    return carry(target, where)


def _sources(data: Mapping[str, Any], chain: list[dict[str, Any]]) -> Any:
    """All sources of the file itself, and those that figures name of the other tables."""
    own = chain[-1].get("sources", {})
    if not isinstance(own, dict):
        return own
    tables = [read_toml(target_folder() / SHARED_SOURCES), *chain[:-1]]
    known: dict[str, Any] = {}
    for table in tables:
        sources = table.get("sources", {})
        known |= sources if isinstance(sources, dict) else {}
    # The file's own win, and only sources that some figure names join them: a program carries its
    # target, and should not carry a library.
    return {**_used_sources(known, data), **own}


def _used_sources(table: Any, data: Mapping[str, Any]) -> dict[str, Any]:
    """The shared sources that some figure of `data` names."""
    named: set[str] = set()
    todo: list[Any] = [data]
    while todo:
        item = todo.pop()
        if isinstance(item, dict):
            source = item.get("source")
            if isinstance(source, str):
                named.add(source)
            todo.extend(item.values())
        elif isinstance(item, list):
            todo.extend(item)
    # A missing one is left for the schema, which names the figure too.
    return {name: table[name] for name in sorted(named) if name in table}

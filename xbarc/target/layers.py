"""One target upon another: what a file changes of its base, and what `--set` changes of both.

A figure that is changed is its author's: assumed, unless he gives its source. A figure that is left
alone was given for the array below, and keeps that beside it as `given_for`.
"""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from xbarc.errors import TargetError
from xbarc.target.explain import guess, unit_of
from xbarc.target.growth import Geometry, complete_geometry
from xbarc.toml import parse_toml

# What a file says about itself. A target that inherited `kind` would call a variation of a measured
# chip silicon.
_OWN = ("name", "description", "kind", "base", "changed")
_SOURCED = ("source", "via")
_VALUES = ("value", "values")
_LOAD = ("columns_per_weight", "columns_per_conversion")
# Fields that decide how many bitlines a weight takes.
_LOADED = frozenset({"cell.bits", "precision.weight_bits", "precision.encoding"})


def stack_files(chain: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """The data of a chain of files, the root first."""
    (_, root), *rest = chain
    data: dict[str, Any] = copy.deepcopy(dict(root))
    below = chain[0][0]
    for label, own in rest:
        # Before merging: afterwards the array is the new file's, and nothing would tell which one
        # the old figures were given for.
        kept = {key: value for key, value in given_for_array(data).items() if key not in _OWN}
        changed: list[str] = []
        mine = {key: value for key, value in own.items() if key not in ("base", "changed")}
        merged = _merge_values(kept, mine, "", f"in {label}", changed)
        known = [path for path in changed if path.split(".")[0] not in (*_OWN, "sources", "format")]
        # A design that differs from a built one was not built, unless its author says so.
        merged.setdefault("kind", "assumed")
        data = _without_old_load({**merged, "base": below, "changed": sorted(known)}, known)
        below = label
    return data


def override(data: dict[str, Any], texts: Iterable[str]) -> dict[str, Any]:
    """The data with `key.path=value` settings.

    Raises:
        TargetError: a text is no setting, or names no field.
    """
    # Read twice below; the caller may give a generator.
    settings = list(texts)
    if not settings:
        return data
    # All settings after that, so that `--set array.rows=256` carries figures from the array as the
    # file has it.
    found = given_for_array(data)
    for text in settings:
        _override(found, text)
    keys = {text.partition("=")[0].strip() for text in settings}
    found["changed"] = sorted({*data.get("changed", ()), *keys})
    return _without_old_load(found, keys)


def _without_old_load(data: dict[str, Any], changed: Collection[str]) -> dict[str, Any]:
    """Columns of a weight are worked out again where what they follow from was changed."""
    peak = data.get("peak")
    if not isinstance(peak, dict) or not _LOADED.intersection(changed):
        return data
    left = {k: v for k, v in peak.items() if f"peak.{k}" in changed or k not in _LOAD}
    return {**data, "peak": left}


def given_for_array(data: Mapping[str, Any]) -> dict[str, Any]:
    """A copy in which each cost figure says which array it is given for."""
    found: dict[str, Any] = copy.deepcopy(dict(data))
    here = _geometry(found)
    # Without recursion, since data is not validated yet and may be nested to any depth.
    todo: list[Any] = [found.get("costs")]
    while todo:
        item = todo.pop()
        if isinstance(item, list):
            todo.extend(item)
        elif isinstance(item, dict) and "unit" in item:
            item["given_for"] = _read_given(item.get("given_for", {}), here)
        elif isinstance(item, dict):
            todo.extend(item.values())
    return found


def _read_given(stated: Any, here: Mapping[str, float]) -> Any:
    try:
        return complete_geometry(Geometry.model_validate(stated), here)
    except ValidationError:
        return stated  # the schema says what is wrong with it


_FROM = {
    "rows": "array.rows",
    "columns": "array.columns",
    "spare_columns": "array.spare_columns",
    "active_rows": "array.active_rows",
    "dac_bits": "input.dac_bits",
    "adc_bits": "adc.max_bits",
    "read_voltage": "input.read_voltage.value",
    "wordline": "wires.wordline.value",
    "bitline": "wires.bitline.value",
    "driver": "wires.driver.value",
    "sense": "wires.sense.value",
    "capacitance": "wires.capacitance.value",
    "arrays_per_macro": "hierarchy.arrays_per_macro",
    "buffer_kib": "hierarchy.buffer_kib",
}


def _geometry(data: Mapping[str, Any]) -> dict[str, float]:
    """What can be read of the geometry; what is wrong the schema will say."""
    found = {name: _at(data, path) for name, path in _FROM.items()}
    levels = _at(data, "cell.conductance.values")
    if isinstance(levels, list) and levels and all(isinstance(g, (int, float)) for g in levels):
        found["conductance"] = sum(levels) / len(levels)
    entries: dict[str, float] = {}
    for name, value in found.items():
        try:
            # One by one: a wrong field must not take the others with it, for they are still what
            # figures were given for.
            entries |= Geometry.model_validate({name: value}).entries()
        except ValidationError:
            continue
    return entries


def _at(data: Any, path: str) -> Any:
    for key in path.split("."):
        data = data.get(key) if isinstance(data, dict) else None
    return data


def _merge_values(old: Any, new: Any, path: str, where: str, changed: list[str]) -> Any:
    """Tables key by key, figures as `changed_figure` has them; anything else is replaced."""
    # By the schema where the base has none: an optional figure that is stated for the first time
    # may be written as a bare number too.
    if is_figure(old) or unit_of(path):
        changed.append(path)
        return changed_figure(old, new, path, where)
    if not (isinstance(old, dict) and isinstance(new, dict)):
        changed.append(path)
        return new
    prefix = f"{path}." if path else ""
    added = {
        key: _merge_values(old.get(key), value, f"{prefix}{key}", where, changed)
        for key, value in new.items()
    }
    return {**old, **added}


def is_figure(node: Any) -> bool:
    """Whether it is a figure, or a list of them with one source."""
    return isinstance(node, dict) and any(key in node for key in (*_VALUES, "unit"))


def changed_figure(old: Any, new: Any, path: str, where: str) -> Any:
    """A figure that somebody changed: his own, assumed unless he says where it comes from.

    Args:
        old: what it was; anything else where there was none.
        new: a number or numbers, or a table with what changes.
        path: the figure's dotted path.
        where: who changed it, for the note.
    """
    was = old if is_figure(old) else {}
    unit = was.get("unit") or unit_of(path)
    if isinstance(new, (int, float, list)) and not isinstance(new, bool):
        new = {_VALUES[isinstance(new, list)]: new}
    # Text, or a bool: kept as it is for the schema to refuse with its path.
    if not isinstance(new, dict):
        return new
    if not any(key in new for key in (*_VALUES, *_SOURCED)):
        return {**was, **new}  # a note, a band or a law; the number is still its source's
    # With a source of its own nothing of the old figure stays but the unit: its note and its band
    # speak of another text.
    if any(key in new for key in _SOURCED):
        return {**({"unit": unit} if unit else {}), **new}
    kept = {"unit": unit, "grows": was.get("grows")}  # the law is that of the design
    note = new.get("note") or f"set {where}{_instead_of(was)}"
    mine = {"source": "assumed", "via": "assumed", "confirmed": False, "note": note}
    return {**{key: value for key, value in kept.items() if value}, **_as_floats(new), **mine}


def _instead_of(was: Mapping[str, Any]) -> str:
    value, source = was.get("value"), was.get("source")
    if not isinstance(value, (int, float)) or not isinstance(source, str):
        return ""
    return f", instead of {value:g} {was.get('unit', '')} of {source}"


def _as_floats(figure: Mapping[str, Any]) -> dict[str, Any]:
    """TOML's whole numbers as the numbers that the schema asks for."""
    found = dict(figure)
    for key in _VALUES:
        value = found.get(key)
        if isinstance(value, list):
            found[key] = [_as_float(item) for item in value]
        elif value is not None:
            found[key] = _as_float(value)
    return found


def _as_float(value: Any) -> Any:
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _override(data: dict[str, Any], text: str) -> None:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise TargetError(f"'{text}' is not key.path=value", where="--set")
    *parents, last = key.strip().split(".")
    node: Any = data
    above, name = data, ""
    for parent in parents:
        above, name = node, parent
        node = node.get(parent) if isinstance(node, dict) else None
    if not isinstance(node, dict):
        path = key.strip()
        raise TargetError(
            f"'{path}' is not a field of the target", where="--set", hint=guess(path.split("."))
        )
    new = _toml_value(value.strip())
    # `costs.cycle.value=50` means the figure as `costs.cycle=50` does; a bare new value would stand
    # under the old source.
    if last in _VALUES and is_figure(node):
        above[name] = _set_figure(node, new, ".".join(parents), text)
        return
    # By the schema too, since optional figures are absent from most targets.
    unit = unit_of(key.strip())
    old = node.get(last)
    if unit or (is_figure(old) and not isinstance(new, dict)):
        node[last] = _set_figure(old, new, key.strip(), text)
        return
    node[last] = new


def _set_figure(old: Any, new: Any, path: str, text: str) -> Any:
    """A figure set by hand keeps its unit; its source is the command line."""
    several = is_figure(old) and "values" in old
    right = isinstance(new, list) if several else isinstance(new, (int, float))
    if not right or isinstance(new, bool):
        unit = old["unit"] if is_figure(old) and "unit" in old else unit_of(path)
        raise TargetError(f"'{text}': expected a number in {unit}", where="--set")
    return changed_figure(old, new, path, f"by --set {text}")


def _toml_value(text: str) -> Any:
    """As TOML has it, and numbers as Python has them (`.5`); anything else is text."""
    try:
        return parse_toml(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        pass
    try:
        return float(text)
    except ValueError:
        return text

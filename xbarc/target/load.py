"""Finding, reading and overriding targets."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from xbarc.errors import TargetError
from xbarc.target.figures import InUnit, Strict
from xbarc.target.model import Target
from xbarc.target.nodes import at_node

_SHARED_SOURCES = "sources.toml"
_LARGEST_FILE = 1 << 20


def target_folder() -> Path:
    """The folder of shipped targets: inside the wheel, or beside the package in a checkout."""
    package = Path(__file__).resolve().parents[1]
    packaged = package / "targets"
    return packaged if packaged.is_dir() else package.parent / "targets"


def target_names() -> tuple[str, ...]:
    """Names that `--target` takes, sorted."""
    paths = target_folder().glob("*.toml")
    return tuple(sorted(path.stem for path in paths if path.name != _SHARED_SOURCES))


def load_target(name: str | Path, overrides: Iterable[str] = ()) -> Target:
    """Read a target by name or by path, then apply `key.path=value` overrides.

    Raises:
        TargetError: unknown name, unreadable file, or wrong fields (all of them are named).
    """
    path = _find(name)
    data = _read_toml(path)
    shared = _read_toml(target_folder() / _SHARED_SOURCES)
    for override in overrides:
        _override(data, override)
    data = at_node(data, data.get("node_nm"), str(name))
    own = data.get("sources", {})
    if isinstance(own, dict):
        data["sources"] = {**_used_sources(shared.get("sources", {}), data), **own}
    return parse_target(data, where=str(name))


def parse_target(data: Mapping[str, Any], *, where: str) -> Target:
    """Check plain data against the schema.

    Raises:
        TargetError: every wrong field with its dotted path, what was found and what is expected.
    """
    here = at_node(data, data.get("node_nm"), where)
    try:
        return Target.model_validate(here)
    except ValidationError as error:
        raise TargetError(_explain(error), where=where, hint=_hint(error)) from error


def _find(name: str | Path) -> Path:
    text = str(name)
    if text in target_names():
        return target_folder() / f"{text}.toml"
    path = Path(name)
    if path.suffix == ".toml" and path.is_file():
        return path
    if path.suffix == ".toml":
        raise TargetError("no such file", where=text, hint="check the path")
    known = ", ".join(target_names())
    raise TargetError("unknown target", where=text, hint=f"one of {known}, or a path to a .toml")


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise TargetError("file is over 1 MiB, no target is", where=str(path))
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise TargetError(f"cannot be read as TOML: {error}", where=str(path)) from error


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
    return {name: table[name] for name in sorted(named) if name in table}


def _override(data: dict[str, Any], text: str) -> None:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise TargetError(f"'{text}' is not key.path=value", where="--set")
    *parents, last = key.strip().split(".")
    node: Any = data
    for parent in parents:
        node = node.get(parent) if isinstance(node, dict) else None
    if not isinstance(node, dict):
        path = key.strip()
        raise TargetError(
            f"'{path}' is no field of the target", where="--set", hint=_guess(path.split("."))
        )
    new = _toml_value(value.strip())
    unit = unit_of(key.strip())
    old = node.setdefault(last, {"value": 0.0, "unit": unit}) if unit else node.get(last)
    if isinstance(old, dict) and "unit" in old:
        _override_figure(old, new, text)
        return
    node[last] = new


def unit_of(path: str) -> str | None:
    """The unit of the figure at a dotted path, None where the schema has no such figure."""
    model: type[Strict] = Target
    *parents, last = path.split(".")
    for parent in parents:
        field = model.model_fields.get(parent)
        kind = field.annotation if field else None
        if not (isinstance(kind, type) and issubclass(kind, Strict)):
            return None
        model = kind
    return field_unit(model.model_fields[last]) if last in model.model_fields else None


def field_unit(field: FieldInfo) -> str | None:
    """The unit that a field checks for; it hangs at the field or at a part of its type."""
    found = [*field.metadata]
    for choice in get_args(field.annotation):
        found += getattr(choice, "__metadata__", ())
    checks = [getattr(item, "func", None) for item in found]
    return next((check.unit for check in checks if isinstance(check, InUnit)), None)


def _override_figure(figure: dict[str, Any], new: Any, text: str) -> None:
    """A figure set by hand keeps its unit; its source is the command line."""
    key = "values" if isinstance(new, list) else "value"
    if key not in figure or isinstance(new, (str, bool, dict)):
        raise TargetError(f"'{text}': expected a number in {figure['unit']}", where="--set")
    figure[key] = [float(v) for v in new] if isinstance(new, list) else float(new)
    figure.pop("low", None)
    figure.pop("high", None)
    figure.pop("node_nm", None)
    figure.update(source="assumed", via="assumed", confirmed=False, note=f"set by --set {text}")


def _toml_value(text: str) -> Any:
    """As TOML has it, and numbers as Python has them (`.5`); anything else is text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        pass
    try:
        return float(text)
    except ValueError:
        return text


def _explain(error: ValidationError) -> str:
    lines = []
    for item in error.errors(include_url=False):
        path = ".".join(str(part) for part in item["loc"]) or "target"
        lines.append(f"{path}: {_problem(item)}")
    count = len(lines)
    return f"{count} wrong field{'s' if count > 1 else ''}: " + " | ".join(lines)


def _problem(item: Mapping[str, Any]) -> str:
    """What is wrong with a field, in words of ours where pydantic's say too little."""
    if item["type"] == "extra_forbidden":
        guess = _guess([str(part) for part in item["loc"]])
        return f"unknown field{f', {guess}' if guess else ''}"
    return f"{item['msg'].removeprefix('Value error, ')}{_found(item)}"


def _guess(path: list[str]) -> str:
    """The fields that a misspelt one is closest to: its neighbours first, then all others."""
    *parents, last = path
    fields = _field_paths(Target)
    prefix = "".join(f"{parent}." for parent in parents)
    beside = [p.removeprefix(prefix) for p in fields if p.startswith(prefix)]
    near = get_close_matches(last, [name for name in beside if "." not in name])
    near = [f"{prefix}{name}" for name in near] or [p for p in fields if p.endswith(f".{last}")]
    near = near or get_close_matches(".".join(path), fields)
    return f"perhaps {' or '.join(near)}" if near else ""


def _field_paths(model: type[Strict], prefix: str = "") -> list[str]:
    """Dotted paths of all fields below a model, tables and figures too."""
    found = []
    for name, field in model.model_fields.items():
        found.append(f"{prefix}{name}")
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, Strict):
                found += _field_paths(kind, f"{prefix}{name}.")
    return found


def _found(item: Mapping[str, Any]) -> str:
    value = item.get("input")
    if item["type"] == "missing" or isinstance(value, (dict, Target)):
        return ""
    return f" (found {value!r})"


def _hint(error: ValidationError) -> str:
    kinds = {item["type"] for item in error.errors()}
    if "extra_forbidden" in kinds:
        return "remove unknown keys; `xbarc targets show rram128` prints a whole target"
    return "`xbarc targets show rram128` prints a whole target"

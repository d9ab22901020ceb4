"""Methods that others bring: found by name, checked before long work, named with their version.

A method is an object in Python, the name under which an installed package registers it (an entry
point), or `package:Name`. Nothing is imported but what a user named: programs, targets and files of
options never name code. A program keeps the name and the version and runs without the package.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from importlib.metadata import packages_distributions as distributions_by_package

from xbarc.errors import MappingError, visible

_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
_NAME = re.compile(r"[a-z0-9][a-z0-9_.:-]{0,59}", re.ASCII)


@dataclass(frozen=True)
class Door:
    """A kind of method that others can bring.

    Attributes:
        kind: what messages call it.
        option: of the command.
        group: of entry points.
        protocol: its members are what a method must have.
    """

    kind: str
    option: str
    group: str
    protocol: type

    @property
    def base(self) -> str:
        """What a method's class derives from."""
        return f"xbarc.{self.protocol.__name__}"


def is_import_path(text: str) -> bool:
    """Whether a text is `package:Name`."""
    return _PATH.fullmatch(text) is not None


def is_method_name(text: str) -> bool:
    """Whether a method of ours or of other people could be called that."""
    return _NAME.fullmatch(text) is not None


def registered_names(door: Door) -> list[str]:
    """Names that installed packages register; nothing is imported for it."""
    return sorted({point.name for point in entry_points(group=door.group)})


def load_method(door: Door, name: str, ours: Iterable[str]) -> object:
    """A method by the name that a package registers, or by `package:Name`; not yet checked.

    Args:
        door: the kind.
        name: what the user asked for.
        ours: names for the hint, where there is no such method.

    Raises:
        MappingError: there is none, several packages register it, or it cannot be imported.
    """
    points = [point for point in entry_points(group=door.group) if point.name == name]
    values = sorted({point.value for point in points})
    if len(values) > 1:
        raise MappingError(
            f"several packages register '{name}': {', '.join(values)}",
            where=door.option,
            hint=f"name one of them: {door.option} {values[0]}",
        )
    path = values[0] if values else name
    if not is_import_path(path):
        known = ", ".join([*ours, *registered_names(door)])
        raise MappingError(
            f"no {door.kind} '{visible(name)[:60]}'",
            where=door.option,
            hint=f"one of {known}, or package:Name",
        )
    return _make(door, path)


def _make(door: Door, path: str) -> object:
    """What a path names; a class is called without arguments."""
    found = _import(door, path)
    if not isinstance(found, type):
        return found
    try:
        return found()
    except TypeError as error:
        raise MappingError(
            f"cannot be made: {error}",
            where=f"{door.option} {path}",
            hint="a class that needs no arguments, or an object of the module",
        ) from error


def _import(door: Door, path: str) -> object:
    module, _, names = path.partition(":")
    where = f"{door.option} {path}"
    try:
        found: object = import_module(module)
    except ImportError as error:
        raise MappingError(
            f"cannot be imported: {error}",
            where=where,
            hint="install the package, or put its folder on PYTHONPATH",
        ) from error
    for name in names.split("."):
        if not hasattr(found, name):
            raise MappingError(
                f"{module} has no '{names}'", where=where, hint=f"a class with base {door.base}"
            )
        found = getattr(found, name)
    return found


def check_method(door: Door, method: object, taken: Callable[[str], bool]) -> None:
    """Refuse an object that lacks what the protocol asks for.

    Args:
        door: the kind.
        method: the object.
        taken: whether a name is one of ours.

    Raises:
        MappingError: members are missing or take other arguments, or the name is not usable.
    """
    where = f"{door.option} {_path(method)}"
    members = {name: one for name, one in vars(door.protocol).items() if name[0] != "_"}
    missing = [name for name in members if not hasattr(method, name)]
    if missing:
        hint = f"derive the class from {door.base}, which has a body for most of them"
        if isinstance(method, type):
            hint = "give an object, not its class"
        raise MappingError(f"lacks {', '.join(missing)}", where=where, hint=hint)
    wrong = [_wanted(name, one) for name, one in members.items() if not _fits(method, name, one)]
    if wrong:
        raise MappingError(f"expected {'; '.join(wrong)}", where=where, hint=f"as in {door.base}")
    name = getattr(method, "name", None)
    if not isinstance(name, str) or not is_method_name(name):
        text = f"its name is {visible(repr(name))[:60]}, expected small letters, digits, and -_.:"
        raise MappingError(text, where=where, hint="for example my-method")
    if taken(name):
        raise MappingError(f"its name '{name}' is one of ours", where=where, hint="another name")


def _parameters(member: object) -> list[str]:
    """Names of what a method of the protocol takes, without `self`."""
    if not inspect.isfunction(member):
        return []
    return list(inspect.signature(member).parameters)[1:]


def _fits(method: object, name: str, member: object) -> bool:
    if not inspect.isfunction(member):
        return True
    own = getattr(method, name)
    if not callable(own):
        return False
    try:
        inspect.signature(own).bind(*_parameters(member))
    except TypeError:
        return False
    return True


def _wanted(name: str, member: object) -> str:
    return f"{name}({', '.join(_parameters(member))})"


def origin(door: Door, method: object) -> str:
    """Where a method comes from: its class, and its package with its version."""
    return f"{_path(method)}, {_distribution(door, method)}"


def _class(method: object) -> type:
    return method if isinstance(method, type) else type(method)


def _path(method: object) -> str:
    kind = _class(method)
    return f"{kind.__module__}:{kind.__qualname__}"


def _distribution(door: Door, method: object) -> str:
    """Name and version of the installed package that a method's class belongs to."""
    module = _class(method).__module__
    points: Iterable[EntryPoint] = entry_points(group=door.group)
    for point in points:  # a package under development registers names, but lists no files
        if point.dist is not None and point.module == module:
            return f"{point.dist.name} {point.dist.version}"
    for name in sorted(distributions_by_package().get(module.partition(".")[0], [])):
        try:
            return f"{name} {version(name)}"
        except PackageNotFoundError:
            continue
    return "unversioned"

"""Methods that others bring: found by name, checked before long work, named with their version.

A method is an object in Python, the name under which an installed package registers it (an entry
point), or `package:Name`. Nothing is imported but what a user named: programs, targets and files of
options never name code. A program keeps the name and the version and runs without the package.
Each is used through `Guarded`, so that what it raises becomes an error that names it.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, wraps
from importlib import import_module
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from importlib.metadata import packages_distributions as distributions_by_package
from numbers import Integral, Real
from pathlib import Path
from traceback import extract_tb

from xbarc.errors import MappingError, XbarcError, visible

# Code of other people can raise anything, and end Python too: a module that calls sys.exit() must
# not look like a command that is done. What a user or the system stops passes through.
_FAULTS = (Exception, SystemExit)
_OURS = (XbarcError, MemoryError)
_ABSENT = object()
_UNKNOWN = "unversioned"
_MOST_WORDS = 300  # a message of NumPy with an array in it is longer than a screen
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
        check: the function of `xbarc.testing` that finds what is wrong with one.
    """

    kind: str
    option: str
    group: str
    protocol: type
    check: str

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
    return names_in(door.group)


def names_in(group: str) -> list[str]:
    """Names that installed packages register in a group of entry points."""
    return sorted({point.name for point in entry_points(group=group)})


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
            hint=f"one of {known}, or package:Name"
            if known
            else "no package registers one; package:Name names its class",
        )
    return _make(door, path)


def _make(door: Door, path: str) -> object:
    """What a path names; a class is called without arguments."""
    found = _import(door, path)
    if not isinstance(found, type):
        return found
    try:
        return found()
    except _OURS:
        raise
    except _FAULTS as error:
        raise MappingError(
            f"cannot be made: {_told(error)}",
            where=_name_method(door, path),
            hint="a class that needs no arguments, or an object of the module",
        ) from error


def _import(door: Door, path: str) -> object:
    module, _, names = path.partition(":")
    hint = "install the package, or put its folder on PYTHONPATH"
    try:
        found: object = import_module(module)
        for name in names.split("."):
            if not hasattr(found, name):
                text, hint = f"{module} has no '{names}'", f"a class with base {door.base}"
                raise MappingError(text, where=_name_method(door, path), hint=hint)
            found = getattr(found, name)
    except _OURS:
        raise
    except _FAULTS as error:
        if not isinstance(error, ImportError):
            hint = "a fault of the package: import it in Python to see where"
        text = f"cannot be imported: {_told(error)}"
        raise MappingError(text, where=_name_method(door, path), hint=hint) from error
    return found


def _name_method(door: Door, path: str) -> str:
    """The option and what was asked for, with its version where a package is known for it."""
    package = _package(door, path.partition(":")[0])
    return f"{door.option} {path}" + ("" if package == _UNKNOWN else f" ({package})")


def _told(error: BaseException, file: str = "") -> str:
    """What was raised, and the last line of a file that led there; any file where none is given."""
    if isinstance(error, ImportError | SyntaxError):  # these name the place themselves
        return visible(f"{_kind(error)}{error}")[:_MOST_WORDS]
    frames = [frame for frame in extract_tb(error.__traceback__) if file in ("", frame.filename)]
    text = visible(f"{_kind(error)}{error}".removesuffix(": "))[:_MOST_WORDS]
    place = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    return f"{text}{place}"


def _kind(error: BaseException) -> str:
    return "" if isinstance(error, ImportError) else f"{type(error).__name__}: "


class Guarded:
    """A method of other people: has its members, and an error that names it for what they raise.

    Args:
        door: the kind.
        method: the object.
    """

    def __init__(self, door: Door, method: object) -> None:
        self._door, self._method = door, method

    @property
    def name(self) -> object:
        """What programs and reports call it; `isinstance` looks for it without `__getattr__`."""
        return self.__getattr__("name")

    def __getattr__(self, member: str) -> object:
        if member.startswith("_"):
            raise AttributeError(member)
        with blame(self, member):
            found = getattr(self._method, member, _ABSENT)
        if found is _ABSENT:
            raise AttributeError(member)
        return self._watch_call(member, found) if callable(found) else found

    def _watch_call(self, member: str, call: Callable[..., object]) -> Callable[..., object]:
        wanted = _result(vars(self._door.protocol).get(member))
        fits = _RESULTS.get(wanted)

        @wraps(call)
        def call_watched(*given: object, **named: object) -> object:
            with blame(self, f"{member}()"):
                made = call(*given, **named)
                if fits is not None and not fits(made):
                    text = visible(repr(made))[:60]
                    raise self.problem(f"{member}() gives {text}, expected {wanted}")
                return made

        return call_watched

    def problem(self, text: str) -> MappingError:
        """An error that names the method, its package and its version."""
        return MappingError(
            text,
            where=f"{self._door.option} {_path(self)} ({_distribution(self._door, self)})",
            hint=f"a fault of the plug-in, which xbarc.testing.{self._door.check} helps to find",
        )

    def fault(self, what: str, error: BaseException) -> MappingError:
        """What to tell of an error that was raised inside."""
        file = getattr(sys.modules.get(_class(self).__module__), "__file__", None)
        return self.problem(f"{what} failed: {_told(error, file or 'no file')}")


def _result(member: object) -> str:
    """What a method of the protocol says that it returns."""
    return str(inspect.signature(member).return_annotation) if inspect.isfunction(member) else ""


def _is_integer(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


_RESULTS: dict[str, Callable[[object], bool]] = {
    "bool": lambda value: type(value).__name__ in ("bool", "bool_"),
    "float": lambda value: isinstance(value, Real) and not isinstance(value, bool),
    "int": _is_integer,
    "tuple[int, int]": lambda value: (
        isinstance(value, tuple) and len(value) == 2 and all(map(_is_integer, value))
    ),
}
"""Whether a result is of the type that a protocol names; arrays are checked where they are used."""


@contextmanager
def blame(method: object, what: str) -> Iterator[None]:
    """Inside, whatever is raised is told as the fault of a guarded method; of ours nothing is."""
    try:
        yield
    except _OURS:
        raise
    except _FAULTS as error:
        if not isinstance(method, Guarded):
            raise
        raise method.fault(what, error) from error


def guard(door: Door, method: object, taken: Callable[[str], bool]) -> Guarded:
    """A method of other people, checked, so that its faults are told as such.

    Args:
        door: the kind.
        method: the object.
        taken: whether a name is one of ours.

    Raises:
        MappingError: members are missing or take other arguments, or the name is not usable.
    """
    if isinstance(method, Guarded):
        return method
    found = Guarded(door, method)
    _check_method(door, found, taken)
    return found


def is_foreign(method: object) -> bool:
    """Whether a method is not part of this package."""
    return _class(method).__module__.partition(".")[0] != "xbarc"


def _check_method(door: Door, method: Guarded, taken: Callable[[str], bool]) -> None:
    where = f"{door.option} {_path(method)}"
    members = {name: one for name, one in vars(door.protocol).items() if name[0] != "_"}
    missing = [name for name in members if not hasattr(method, name)]
    if missing:
        hint = f"derive the class from {door.base}, which has a body for most of them"
        if isinstance(vars(method)["_method"], type):
            hint = "give an object, not its class"
        raise MappingError(f"lacks {', '.join(missing)}", where=where, hint=hint)
    wrong = [
        _show_signature(name, one) for name, one in members.items() if not _fits(method, name, one)
    ]
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
    except (TypeError, ValueError):  # the latter where Python knows no signature
        return False
    return True


def _show_signature(name: str, member: object) -> str:
    return f"{name}({', '.join(_parameters(member))})"


def origin(door: Door, method: object) -> str:
    """Where a method comes from: its class, and its package with its version."""
    return f"{_path(method)}, {_distribution(door, method)}"


def _class(method: object) -> type:
    own = vars(method)["_method"] if isinstance(method, Guarded) else method
    return own if isinstance(own, type) else type(own)


def _path(method: object) -> str:
    kind = _class(method)
    return f"{kind.__module__}:{kind.__qualname__}"


def _distribution(door: Door, method: object) -> str:
    """Name and version of the installed package that a method's class belongs to."""
    return _package(door, _class(method).__module__)


@cache
def _distributions(_: tuple[str, ...]) -> Mapping[str, list[str]]:
    """Distributions by package, which Python reads from the metadata of everything installed."""
    return distributions_by_package()


def _package(door: Door, module: str) -> str:
    return _find_package(door.group, module, tuple(sys.path))


@cache  # asked for every design of a study, and a question to all that is installed
def _find_package(group: str, module: str, folders: tuple[str, ...]) -> str:
    points: Iterable[EntryPoint] = entry_points(group=group)
    for point in points:  # a package under development registers names, but lists no files
        if point.dist is not None and point.module == module:
            return f"{point.dist.name} {point.dist.version}"
    for name in sorted(_distributions(folders).get(module.partition(".")[0], ())):
        try:
            return f"{name} {version(name)}"
        except PackageNotFoundError:
            continue
    return _UNKNOWN

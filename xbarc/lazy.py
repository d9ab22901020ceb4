"""Modules that load when they are first used, so that a command pays only for what it needs."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from importlib.abc import Loader
from importlib.machinery import ModuleSpec, PathFinder
from threading import RLock
from types import ModuleType
from typing import Any

_STATE = "__lazy__"

# What an import statement reads of a module that it finds in `sys.modules`: no use of it yet.
_KNOWN_BEFORE = {"__spec__", "__name__", "__path__", "__dict__", "__class__"}


class _Unloaded:
    """How a module is loaded, once."""

    def __init__(self, loader: Loader) -> None:
        self.loader = loader
        self.lock = RLock()  # reentrant: a module may ask for its own names while it executes
        self.started = False


class _LazyModule(ModuleType):
    """Executes itself when an attribute is first read; other threads wait until it is whole.

    The standard library's `LazyLoader` lets them see half a module before Python 3.12.
    """

    def __getattribute__(self, name: str) -> Any:
        space = object.__getattribute__(self, "__dict__")
        state = space.get(_STATE)
        if state is not None and name not in _KNOWN_BEFORE:
            with state.lock:
                if not state.started:
                    state.started = True
                    try:
                        _import_parent(self, space["__name__"])
                        state.loader.exec_module(self)
                    except BaseException:
                        state.started = False  # who asks again hears why
                        raise
                    del space[_STATE]
                    self.__class__ = ModuleType  # type: ignore[assignment]  # a plain one from now
        return ModuleType.__getattribute__(self, name)  # not super(): the class may be a plain one


def _import_parent(module: ModuleType, name: str) -> None:
    """What an import statement does besides executing the module."""
    parent, _, own = name.rpartition(".")
    if parent:
        setattr(importlib.import_module(parent), own, module)


def lazy_module(name: str) -> ModuleType:
    """Return a module that is executed when one of its attributes is first read.

    It stands in `sys.modules` at once, so a library that imports it later waits for its first use
    too. For type checkers write the plain import beside it:

        if TYPE_CHECKING:
            from scipy import special
        else:
            special = lazy_module("scipy.special")

    Args:
        name: the module's full name; its parent packages are imported with it, not before.

    Raises:
        ModuleNotFoundError: there is no such module.
    """
    if name in sys.modules:
        return sys.modules[name]
    spec = _find(name)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"No module named '{name}'", name=name)
    module = importlib.util.module_from_spec(spec)
    module.__dict__[_STATE] = _Unloaded(spec.loader)
    module.__class__ = _LazyModule
    sys.modules[name] = module
    return module


def is_loaded(module: ModuleType) -> bool:
    """Whether a module of `lazy_module` was executed, which reading its attributes would do."""
    return _STATE not in object.__getattribute__(module, "__dict__")


def _find(name: str) -> ModuleSpec | None:
    """Where a module lies; `importlib.util.find_spec` would import the packages around it."""
    parent, _, _ = name.rpartition(".")
    if not parent:
        return importlib.util.find_spec(name)
    around = _find(parent) if parent not in sys.modules else sys.modules[parent].__spec__
    places = None if around is None else around.submodule_search_locations
    return None if places is None else PathFinder.find_spec(name, places)

"""Modules that load when they are first used, so that a command pays only for what it needs."""

from __future__ import annotations

import importlib.util
import sys
from importlib.abc import Loader
from threading import RLock
from types import ModuleType
from typing import Any

_STATE = "__lazy__"


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
        if state is not None:
            with state.lock:
                if not state.started:
                    state.started = True
                    try:
                        state.loader.exec_module(self)
                    except BaseException:
                        state.started = False  # who asks again hears why
                        raise
                    del space[_STATE]
                    self.__class__ = ModuleType  # type: ignore[assignment]  # a plain one from now
        return ModuleType.__getattribute__(self, name)  # not super(): the class may be a plain one


def lazy_module(name: str) -> ModuleType:
    """Return a module that is executed when one of its attributes is first read.

    It stands in `sys.modules` at once, so a library that imports it later waits for its first use
    too. For type checkers write the plain import beside it:

        if TYPE_CHECKING:
            from scipy import special
        else:
            special = lazy_module("scipy.special")

    Args:
        name: the module's full name; its parent packages are imported.

    Raises:
        ModuleNotFoundError: there is no such module.
    """
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.find_spec(name)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"No module named '{name}'", name=name)
    module = importlib.util.module_from_spec(spec)
    module.__dict__[_STATE] = _Unloaded(spec.loader)
    module.__class__ = _LazyModule
    sys.modules[name] = module
    return module

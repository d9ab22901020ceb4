"""Modules that load when they are first used, so that a command pays only for what it needs."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType


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
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module

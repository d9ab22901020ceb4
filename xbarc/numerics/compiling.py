# mypy: disable-error-code="no-untyped-call"
"""Compiling hot loops."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows: two processes may compile the same loop
    fcntl = None  # type: ignore[assignment]

from numba import njit, types
from numba.core.caching import FunctionCache

from xbarc.version import VERSION

# What unpickling raises where a class of a signature was renamed, moved or removed since.
_GONE = (AttributeError, ImportError)


# Seconds for which a process waits for the code that another one makes. The longest loop takes 13
# where nothing else runs; whoever was stopped by hand must not stop all others.
_PATIENCE = 60.0
_LOOKS_EVERY = 0.02

WARM_MARK = f"xbarc-{VERSION}.warm"
"""A file in a folder that `xbarc warm` filled."""
# Grows as files of loops are loaded; nothing that is computed depends on it.
_FOLDERS: set[Path] = set()
_PACKAGE = Path(__file__).parents[1]
_IMPORT = re.compile(r"^from xbarc([.\w]*) import (\([^)]*\)|.*)", re.MULTILINE)


def _allow_reading(locator: Any) -> Any:
    """A place of numba's for machine code, taken too where it is warm and cannot be written.

    Numba would look for another place, and compile everything again for each user: an image is
    filled by root and run by others, often on a file system that is read-only.
    """

    class Readable(locator):  # type: ignore[misc]  # numba has no types
        def ensure_cache_path(self) -> None:
            if not Path(self.get_cache_path(), WARM_MARK).is_file():
                super().ensure_cache_path()

    return Readable


_Numbas: Any = FunctionCache._impl_class


class _Places(_Numbas):  # type: ignore[misc]  # numba has no types
    """Where numba keeps machine code."""

    _locator_classes = tuple(map(_allow_reading, _Numbas._locator_classes))


class _KernelCache(FunctionCache):
    """Machine code on disk, made again where numba would take what is out of date.

    Numba asks whether the function's own file changed. What is inlined from other files, constants
    and instructions of LLVM among them, would stay as it was: a digest of these files counts too.

    An index names the types of arguments, named tuples among them by their class, and is read
    before anything is asked: after an upgrade that renamed such a class every call would fail.
    """

    _impl_class = _Places
    _lock: int | None = None

    def __init__(self, function: Any) -> None:
        super().__init__(function)
        _FOLDERS.add(Path(self.cache_path))
        file = self._cache_file
        file._source_stamp = (file._source_stamp, _digest_sources(function.__code__.co_filename))

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """The kept code for a signature, or None, whereupon numba makes it and saves it.

        One process makes the code of a function at a time, and others that start together with it
        wait for what it saves: each of a hundred workers would keep a core busy for minutes.
        A function never calls one that calls it, so that no two wait for each other.
        """
        found = self._load(sig, target_context)
        if found is not None or self._lock is not None:
            return found
        with suppress(OSError):  # as below; or a file system without locks
            self._take_lock()
            found = self._load(sig, target_context)
        if found is not None:
            self._release()
        return found

    def _load(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except _GONE:
            with suppress(OSError):  # a folder that cannot be written: nothing is kept
                self.flush()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep the code for a signature, and nothing of the function's older places."""
        with suppress(*_GONE, OSError):  # as above
            super().save_overload(sig, data)
        self._remove_older()
        self._release()

    @property
    def _lock_file(self) -> Path:
        return Path(self._cache_path, f"{self._cache_file._index_name}.lock")

    def _take_lock(self) -> None:
        """Wait until no other process makes code of this function, or for as long as that takes.

        Raises:
            OSError: there are no locks here.
        """
        if fcntl is None:
            return
        self._lock = os.open(self._lock_file, os.O_CREAT | os.O_RDWR, 0o600)
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(_LOOKS_EVERY)
            else:
                return

    def _release(self) -> None:
        """Let others in. One that waits for a file that is removed finds the code all the same."""
        if self._lock is None:
            return
        with suppress(OSError):
            self._lock_file.unlink()
        os.close(self._lock)
        self._lock = None

    def _remove_older(self) -> None:
        """Remove what was kept when the function stood on another line, before an upgrade perhaps.

        Numba names files by the line, so those would stay for ever, and the folder would grow.
        """
        own = self._cache_file._index_name
        name, _, rest = own.rpartition(".nbi")[0].rpartition("-")
        build = rest.partition(".")[2]  # of Python: other ones keep theirs
        of_function = re.compile(rf"{re.escape(name)}-\d+\.{re.escape(build)}\.")
        with suppress(OSError):
            for path in Path(self._cache_path).iterdir():
                if of_function.match(path.name) and not path.name.startswith(f"{name}-{rest}."):
                    path.unlink(missing_ok=True)


@cache
def _digest_sources(file: str) -> str:
    """Of the files of this package that a file imports, and those import."""
    found: dict[Path, str] = {}
    ahead = [Path(file)]
    while ahead:
        path = ahead.pop()
        if path not in found and path.is_file():
            found[path] = path.read_text(encoding="utf-8")
            ahead.extend(_imported_files(found[path]))
    parts = (found[path] for path in sorted(found) if path != Path(file))
    return sha256("\0".join(parts).encode()).hexdigest()


def _imported_files(text: str) -> Iterator[Path]:
    """Where the modules lie that a file may import from this package."""
    for module, names in _IMPORT.findall(text):
        folder = _PACKAGE.joinpath(*module.split(".")[1:])
        yield folder.with_suffix(".py")
        yield from (folder / f"{name}.py" for name in re.findall(r"\w+", names))


def compiled(**options: Any) -> Callable[[Any], Any]:
    """A decorator that compiles a function, without the interpreter's lock while it runs.

    The machine code is kept between processes where a folder can be written. A function whose name
    begins with an underscore serves other compiled functions alone: from Python it is a TypeError.

    Args:
        options: further ones of `numba.njit`.
    """

    def compile_function(function: Any) -> Any:
        # A way in from Python and one from C take a third of the time of compiling a short
        # function. C never calls any, Python only loops that other rooms know.
        is_helper = function.__name__.startswith("_")
        ways_in = {"no_cpython_wrapper": is_helper, "no_cfunc_wrapper": True}
        loop = njit(nogil=True, **ways_in, **options)(function)
        with suppress(RuntimeError):  # numba found no place for its cache
            loop._cache = _KernelCache(function)
        _forget_literals(loop)
        if is_helper:
            _close_to_python(loop)
        return loop

    return compile_function


def _forget_literals(loop: Any) -> None:
    """Compile calls with constants as calls with variables.

    Numba makes a function anew for each constant integer among its arguments. LLVM inlines what
    profits from a constant anyway, and folds it then.
    """
    resolve = loop.get_call_template

    def resolve_variables(arguments: Any, named: Any) -> Any:
        variables = {name: types.unliteral(kind) for name, kind in named.items()}
        return resolve(tuple(map(types.unliteral, arguments)), variables)

    loop.get_call_template = resolve_variables


def _close_to_python(loop: Any) -> None:
    """Refuse calls from Python, which would jump to an address that does not exist."""

    def refuse(*_arguments: Any, **_named: Any) -> None:
        raise TypeError(f"{loop.__qualname__} can be called by compiled functions alone")

    # What Python calls is what is registered for the types of its arguments, else compiled.
    loop._insert = lambda *_entry: None
    loop._compile_for_args = refuse


def loops_folder() -> Path | None:
    """Where compiled loops are kept between processes; None where no folder can be written."""
    with suppress(RuntimeError):  # numba found no place
        return Path(_KernelCache(loops_folder).cache_path)
    return None


def kept_loops() -> list[Path]:
    """Files of machine code that lie where the loops loaded so far are kept, sorted."""
    return sorted(file for folder in _FOLDERS for file in folder.glob("*.nb[ic]"))

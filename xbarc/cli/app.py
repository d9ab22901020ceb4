"""The typer application, and the one place where errors become messages and exit codes."""

from __future__ import annotations

import contextlib
import errno
import importlib
import logging
import os
import sys
import warnings
from collections.abc import Collection, Iterator, Sequence
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, cast

import typer
import typer.main

from xbarc.cli.help import XbarcGroup, usage_error
from xbarc.cli.interrupts import Interrupts
from xbarc.cli.messages import tell
from xbarc.cli.options import add_command
from xbarc.errors import (
    EXIT_BUG,
    EXIT_DONE,
    EXIT_INTERRUPTED,
    EXIT_TERMINATED,
    EXIT_USER,
    InputError,
    XbarcError,
    visible,
)
from xbarc.options import RenamedWarning, nearest

_CODES = (
    "Exit codes: 0 done; 1 done, and the answer is no; 2 wrong use or bad input; "
    "3 a bug of xbarc; 130 interrupted; 143 terminated."
)

_MEMORY = "XBARC_MEMORY"  # as in `numerics.memory`, which loads numpy

# Where each command stands: its file in this room and what is registered of it, in the order of
# the help. Only the file of the command that is asked for is loaded.
_COMMANDS = {
    "compile": ("compiling", "compile_command"),
    "options": ("compiling", "options_command"),
    "train": ("training", "train_command"),
    "run": ("executing", "run_command"),
    "check": ("executing", "check_command"),
    "compare": ("comparing", "compare_command"),
    "verify": ("executing", "verify_command"),
    "inspect": ("reporting", "inspect_command"),
    "view": ("viewing", "view_command"),
    "report": ("reporting", "report_command"),
    "place": ("placing", "place_command"),
    "print": ("reporting", "print_command"),
    "export": ("splitting", "export_command"),
    "import": ("splitting", "import_command"),
    "passes": ("compiling", "passes_command"),
    "explore": ("exploring", "explore_command"),
    "sweep": ("exploring", "sweep_command"),
    "doctor": ("doctor", "doctor_command"),
    "warm": ("warming", "warm_command"),
    "study": ("studies", "app"),
    "targets": ("targets", "app"),
}
_GROUPS = {
    "study": "Sweep a figure of the target.",
    "targets": "List, show and validate targets.",
}


def command_app(names: Collection[str] = tuple(_COMMANDS)) -> typer.Typer:
    """The application with these commands."""
    app = typer.Typer(
        name="xbarc",
        help="Compile trained ONNX networks onto analog crossbar tiles, and run them bit for bit.",
        epilog=_CODES,
        cls=XbarcGroup,
        context_settings={"help_option_names": ["-h", "--help"]},
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback(invoke_without_command=True)(_root)
    for name in names:
        file, attribute = _COMMANDS[name]
        found = getattr(importlib.import_module(f"xbarc.cli.{file}"), attribute)
        if name in _GROUPS:
            app.add_typer(found, name=name, help=_GROUPS[name])
        else:
            add_command(app, name, found)
    return app


@cache
def _build_command(names: tuple[str, ...]) -> Any:
    """What runs a command line, built once: typer takes longer for it than small commands take."""
    return typer.main.get_command(command_app(names))


def _asked(arguments: Sequence[str]) -> Collection[str]:
    """The command of a command line; all of them where it names none, for the help.

    Raises:
        InputError: there is no such command.
    """
    words = iter(arguments)
    for word in words:
        if word == "--memory":
            next(words, None)
        elif word.endswith("-completion"):
            break
        elif not word.startswith("-"):
            if word not in _COMMANDS:
                hint = nearest(word, _COMMANDS) or "xbarc --help lists the commands"
                raise InputError(f"no command '{word[:40]}'", hint=hint)
            return (word,)
        elif word in ("--help", "-h"):
            break
    return tuple(_COMMANDS)


def _root(
    version: bool = typer.Option(
        False, "--version", help="Print the versions of xbarc and its parts, and exit."
    ),
    memory: str = typer.Option(
        "",
        metavar="SIZE",
        help="largest size of an array, such as 8G  [default: XBARC_MEMORY, else the machine's]",
    ),
) -> None:
    _check_memory(memory)
    if version:
        from xbarc.cli.doctor import versions_text

        print(versions_text())
        raise typer.Exit(EXIT_DONE)


def _check_memory(asked: str) -> None:
    """Take what the user says for this command; a limit that is not a size is refused at once."""
    if asked:
        os.environ[_MEMORY] = asked
    if _MEMORY not in os.environ:
        return
    from xbarc.numerics import memory_limit

    try:
        memory_limit()
    except ValueError as error:
        where = "--memory" if asked else _MEMORY
        raise InputError(str(error), where=where) from error


@contextlib.contextmanager
def _same_environment() -> Iterator[None]:
    """`--memory` holds for one command, also where a Python program runs many."""
    before = os.environ.get(_MEMORY)
    try:
        yield
    finally:
        os.environ.pop(_MEMORY, None)
        if before is not None:
            os.environ[_MEMORY] = before


@contextlib.contextmanager
def _notes_of_renames() -> Iterator[None]:
    """Former names of options are told as a note, without a place in our code."""
    with warnings.catch_warnings():
        shown = warnings.showwarning
        warnings.simplefilter("always", RenamedWarning)

        def show(message: Warning | str, category: type[Warning], *where: Any) -> None:
            if issubclass(category, RenamedWarning):
                tell(f"note: {message}")
            else:
                shown(message, category, *where)

        warnings.showwarning = cast("Any", show)
        yield


class _Teller(logging.Handler):
    """Tells what the package logs to whoever watches the command."""

    def emit(self, record: logging.LogRecord) -> None:
        tell(f"note: {record.getMessage()}")


@contextlib.contextmanager
def _notes_of_long_work() -> Iterator[None]:
    """How long a search will take is told as a note, above the bar that shows it."""
    log, teller = logging.getLogger("xbarc.estimates"), _Teller()
    level = log.level
    log.addHandler(teller)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(teller)
        log.setLevel(level)


# What typer raises for wrong usage: the base of BadParameter that can show itself.
_UsageProblem: type[Exception] = next(
    kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; gives its exit code.

    0: done. 1: done, and the answer is no. 2: wrong use or bad input. 3: a bug of ours.
    130: interrupted. 143: terminated.
    """
    interrupts = Interrupts()
    try:
        return _run(list(sys.argv[1:] if argv is None else argv), interrupts)
    except XbarcError as error:
        return _complain(str(error), error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        what = "terminated" if interrupts.terminated else "interrupted"
        code = EXIT_TERMINATED if interrupts.terminated else EXIT_INTERRUPTED
        return _complain(f"{what}; nothing was left half written", code)
    except MemoryError:
        return _complain(
            "out of memory; hint: fewer samples at a time, or a smaller model", EXIT_USER
        )
    except OSError as error:
        return _os_error(error)
    except SystemExit:  # typer and rich leave this way when the reader of a pipe went away
        _silence_stdout()
        return EXIT_DONE


def _run(arguments: list[str], interrupts: Interrupts) -> int:
    try:
        with interrupts, _same_environment(), _notes_of_renames(), _notes_of_long_work():
            command = _build_command(tuple(_asked(arguments)))
            code = command(args=arguments, prog_name="xbarc", standalone_mode=False)
    except typer.Exit as leave:
        code = leave.exit_code
    except _UsageProblem as problem:
        if type(problem).__name__ == "NoArgsIsHelpError":  # a group alone: its help is the answer
            getattr(problem, "show")()  # noqa: B009  # defined on the base class only
            return EXIT_USER
        raise usage_error(problem) from problem
    if code == EXIT_INTERRUPTED:  # typer turns a KeyboardInterrupt into this code, and is silent
        raise KeyboardInterrupt
    sys.stdout.flush()
    return code if isinstance(code, int) else EXIT_DONE


def entry() -> None:
    """The installed command `xbarc`."""
    _prepare_streams()
    sys.excepthook = _crash
    sys.exit(main())


def _prepare_streams() -> None:
    """A closed stream swallows what it gets; a character it does not know becomes `?`."""
    for name in ("stdin", "stdout", "stderr"):  # in this order: each takes its own file number
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            null = Path(os.devnull).open(mode, encoding="utf-8")  # noqa: SIM115  # as long as we live
            setattr(sys, name, null)
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")


def _crash(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Python would leave with 1, which means `the answer is no`."""
    sys.__excepthook__(kind, error, trace)
    print("xbarc: this is a bug of xbarc; please report it with the lines above", file=sys.stderr)
    sys.stderr.flush()
    os._exit(EXIT_BUG)


def _complain(text: str, code: int) -> int:
    """One line, whatever the names in it hold."""
    print(f"xbarc: {visible(text)}", file=sys.stderr)
    return code


def _os_error(error: OSError) -> int:
    if isinstance(error, BrokenPipeError) or error.errno == errno.EPIPE:
        # The reader went away (`xbarc report x.xbar | head`): be quiet, also while Python exits.
        _silence_stdout()
        return EXIT_DONE
    if not error.filename:
        _silence_stdout()
    place = error.filename or "standard output"
    return _complain(f"{place}: {error.strerror or error}", EXIT_USER)


def _silence_stdout() -> None:
    """What is still in the buffer goes nowhere."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError:
        return  # no real file, as in tests: nothing to silence

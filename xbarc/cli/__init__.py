"""The command line: one function a command, one file per group of commands.

`main(argv)` returns an exit code and never prints a traceback for bad input. Results go to stdout,
everything else to stderr. Heavy imports sit inside the commands, so that `xbarc --help` is quick.
To add a command, write its function in a file of this room and register it in `app.py`.
"""

import sys
from collections.abc import Sequence

from xbarc.errors import EXIT_INTERRUPTED

__all__ = ["entry", "main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; gives its exit code."""
    from xbarc.cli.app import main as run

    return run(argv)


def entry() -> None:
    """The installed command `xbarc`."""
    # Loading takes some tenths of a second, in which whoever mistyped presses Ctrl-C.
    try:
        from xbarc.cli.app import entry as run
    except KeyboardInterrupt:
        print("xbarc: interrupted; nothing was left half written", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)
    run()

"""The command line: one function a command, one file per group of commands.

`main(argv)` returns an exit code and never prints a traceback for bad input. Results go to stdout,
everything else to stderr. Heavy imports sit inside the commands, so that `xbarc --help` is quick.
To add a command, write its function in a file of this room and register it in `app.py`.
"""

from xbarc.cli.app import entry, main

__all__ = ["entry", "main"]

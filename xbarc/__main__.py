"""`python -m xbarc` is the command `xbarc`."""

from xbarc.cli import entry

if __name__ == "__main__":
    entry()

"""The rules of networks and programs: a short function each, which says what is broken and where.

`rules` lists them and runs them; `networks`, `steps`, `senses` and `fragments` hold those of one
kind of thing.
"""

from xbarc.ir.verify.rules import (
    NETWORK_RULES,
    PROGRAM_RULES,
    STEP_RULES,
    broken_rules,
    check_program,
    verify_network,
    verify_program,
)

__all__ = [
    "NETWORK_RULES",
    "PROGRAM_RULES",
    "STEP_RULES",
    "broken_rules",
    "check_program",
    "verify_network",
    "verify_program",
]

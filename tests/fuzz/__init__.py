"""Seeded fuzzing: broken and unusual inputs in, one of four answers out.

    make fuzz                                           a long run of every kind
    python -m tests.fuzz models --count 1000            seeds 0 to 999
    python -m tests.fuzz models --start 1000 --seconds 600      goes on where that ended
    python -m tests.fuzz models --start 123 --count 1   one seed again
    python -m tests.fuzz models --case FILE             a file of a finding, or of your own

A case is fine when xbarc gives the right result, when it refuses with exit code 2, or when the
reference refuses too. Everything else is a finding: an unexpected exception, exit code 3, a wrong
value, a crash, no answer in time. A finding lands in `.fuzz/KIND-SEED/` with its input.

To add a kind, write a module with two functions and name them in `kinds.KINDS`: `build` draws one
case from a seeded generator and writes it into a folder, `judge` tries it and gives a `Verdict`.
`judge` lets unexpected exceptions through; the worker turns them into findings.
"""

"""Fitting a program to its chip at compile time: orders of rows and columns, and corrections.

`sensing` says what matters, `placing` finds orders of rows and columns (`steering` by the executed
network, from `responses`), `correcting` makes up for wires.
"""

"""Fitting a program to its chip at compile time: orders of rows and columns, and corrections.

`sensing` says what matters, `placing` finds orders of rows and columns (`placement_search` by the
executed network, from `responses`), `correcting` compensates for wires.
"""

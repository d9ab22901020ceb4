"""Experiments with programs on chips as they are made: cells that deviate, wires, stuck cells.

`robustness` runs one program on many chips, `programming` adapts a program to cells as they were
written, `study` sweeps the resistance of wires.
"""

"""Programs on chips as they are made: cells that deviate, wires, stuck cells.

`sensing` says what matters, `placing` finds orders of rows and columns (`steering` by the executed
network, from `responses`), `correcting` makes up for wires, `programming` for cells as written;
`robustness` runs one program on many chips, `study` sweeps the wires.
"""

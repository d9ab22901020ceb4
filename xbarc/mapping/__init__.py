"""Mapping: a layer's integer weights onto arrays of non-negative cells.

`map_layer` is a plain function from a `MatrixLayer` and a `Target` to a `CrossbarStep`. The files
here take it there: `job` (what is known before cells are made), `tiling` (cutting), `layer`
(cells), `pack` (physical arrays), `rows` (single rows, written in turn), `kept` (declared
integers).
Everything else has a room:

    fitting             real weights to integers that cells can hold
    encodings           signed weights as cells that are never negative
    forests, chains     columns that outputs share: their levels, their order
    converters          range, step and bits of ADCs
    converter_savings   the same results with narrower converters; recoding: by choice of digits
    sense_amplifiers    binary layers
    place               rows and columns in their array
    whole_chip          all layers at once: phases, full load
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

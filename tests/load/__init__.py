"""Sessions under load, and the same bytes whatever runs beside a compilation.

`variants.py` derives one compilation an option and value from the models of the options, so that a
new option joins by itself; `digests.py` compiles them in a process of its own environment.
"""

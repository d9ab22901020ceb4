"""Rows of a report: every fact with its name, unit, heading, format and meaning, written once.

A class below `Row` is the value that the compiler and the cost model work with, and the row that
reports show: tables (`table`), JSON and its schema (`form`) and the reference page read the facts
off its fields. To add a fact, add a field; to add a row, derive a class where its values come from.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

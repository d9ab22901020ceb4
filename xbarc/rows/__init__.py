"""Rows of a report: every fact with its name, unit, heading, format and meaning, written once.

A class below `Row` is the value that the compiler and the cost model work with, and the row that
reports show: tables (`table`), JSON and its schema (`form`) and the reference page read the facts
off its fields. To add a fact, add a field; to add a row, derive a class where its values come from.
"""

from xbarc.rows.facts import (
    Accuracy,
    Decibel,
    Fact,
    Nanosecond,
    Picojoule,
    Picosecond,
    RoundPicosecond,
    Row,
    Second,
    Share,
    SquareMicrometre,
    Unit,
    fact,
    facts_of,
)
from xbarc.rows.format import accuracy, decibels, histogram, number, operators, percent, seconds
from xbarc.rows.table import TableData, cells, headings, shows, table_of

__all__ = [
    "Accuracy",
    "Decibel",
    "Fact",
    "Nanosecond",
    "Picojoule",
    "Picosecond",
    "RoundPicosecond",
    "Row",
    "Second",
    "Share",
    "SquareMicrometre",
    "TableData",
    "Unit",
    "accuracy",
    "cells",
    "decibels",
    "fact",
    "facts_of",
    "headings",
    "histogram",
    "number",
    "operators",
    "percent",
    "seconds",
    "shows",
    "table_of",
]

from .arrays import ArrayBytes
from .measured import Measured
from .overview import describe_program
from .page import MOST_BYTES, ProgramPage
from .server import page_server

__all__ = [
    "MOST_BYTES",
    "ArrayBytes",
    "Measured",
    "ProgramPage",
    "describe_program",
    "page_server",
]

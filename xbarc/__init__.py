"""xbarc: compile trained ONNX networks onto analog crossbar tiles, and run them bit for bit.

    program = xbarc.compile("model.onnx", target="rram128")
    program.save("model.xbar")
    session = xbarc.InferenceSession("model.xbar")
    session.run(None, {"input": x})

Names load on first use, so that `import xbarc` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from xbarc.version import VERSION

if TYPE_CHECKING:
    from xbarc.api import CompiledProgram, compile, load  # noqa: A004  # the name users expect
    from xbarc.circuit import DeviceModel
    from xbarc.cost import CostLaw
    from xbarc.errors import XbarcError
    from xbarc.mapping import (
        ConverterPolicy,
        ConverterSettings,
        ConverterSums,
        Encoded,
        Encoding,
        Order,
        Pattern,
        Placement,
        Region,
        Sites,
    )
    from xbarc.session import InferenceSession

__version__ = VERSION
__all__ = [
    "CompiledProgram",
    "ConverterPolicy",
    "ConverterSettings",
    "ConverterSums",
    "CostLaw",
    "DeviceModel",
    "Encoded",
    "Encoding",
    "InferenceSession",
    "Order",
    "Pattern",
    "Placement",
    "Region",
    "Sites",
    "XbarcError",
    "compile",
    "load",
]

_HOMES = {
    "CompiledProgram": "xbarc.api",
    "ConverterPolicy": "xbarc.mapping.converters",
    "ConverterSettings": "xbarc.mapping.converters",
    "ConverterSums": "xbarc.mapping.converters",
    "CostLaw": "xbarc.cost",
    "DeviceModel": "xbarc.circuit",
    "Encoded": "xbarc.mapping.encodings",
    "Encoding": "xbarc.mapping.encodings",
    "InferenceSession": "xbarc.session",
    "Order": "xbarc.mapping.place",
    "Pattern": "xbarc.mapping.encodings",
    "Placement": "xbarc.mapping.place",
    "Region": "xbarc.mapping.encodings",
    "Sites": "xbarc.mapping.place",
    "XbarcError": "xbarc.errors",
    "compile": "xbarc.api",
    "load": "xbarc.api",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'xbarc' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])

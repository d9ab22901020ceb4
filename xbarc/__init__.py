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
    from xbarc.api import (
        CompiledLayer,
        CompiledProgram,
        compile,  # noqa: A004  # the name users expect
        load,
    )
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
    from xbarc.report import Drawing, Report, TileMap
    from xbarc.session import InferenceSession
    from xbarc.target import Target, load_target

__version__ = VERSION
__all__ = [
    "CompiledLayer",
    "CompiledProgram",
    "ConverterPolicy",
    "ConverterSettings",
    "ConverterSums",
    "CostLaw",
    "DeviceModel",
    "Drawing",
    "Encoded",
    "Encoding",
    "InferenceSession",
    "Order",
    "Pattern",
    "Placement",
    "Region",
    "Report",
    "Sites",
    "Target",
    "TileMap",
    "XbarcError",
    "compile",
    "load",
    "load_target",
]

_HOMES = {
    "CompiledLayer": "xbarc.api",
    "CompiledProgram": "xbarc.api",
    "ConverterPolicy": "xbarc.mapping.converters",
    "ConverterSettings": "xbarc.mapping.converters",
    "ConverterSums": "xbarc.mapping.converters",
    "CostLaw": "xbarc.cost",
    "DeviceModel": "xbarc.circuit",
    "Drawing": "xbarc.report",
    "Encoded": "xbarc.mapping.encodings",
    "Encoding": "xbarc.mapping.encodings",
    "InferenceSession": "xbarc.session",
    "Order": "xbarc.mapping.place",
    "Pattern": "xbarc.mapping.encodings",
    "Placement": "xbarc.mapping.place",
    "Region": "xbarc.mapping.encodings",
    "Report": "xbarc.report",
    "Sites": "xbarc.mapping.place",
    "Target": "xbarc.target",
    "TileMap": "xbarc.report",
    "XbarcError": "xbarc.errors",
    "compile": "xbarc.api",
    "load": "xbarc.api",
    "load_target": "xbarc.target",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'xbarc' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])

"""Changing a saved program so that every checksum and the seal hold again, as a forger would."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors.numpy import load_file, save_file

from xbarc.ir.files.manifest import UNSEALED, seal_text

Edit = Callable[[dict[str, Any]], object]


def seal(program: Path, edit: Edit = lambda _: None) -> None:
    """Change program.json, then make its checksums and its seal consistent."""
    file = program / "program.json"
    data = json.loads(file.read_text("utf-8"))
    edit(data)
    for name in data.get("files", {}):
        if (program / name).is_file():
            data["files"][name] = hashlib.sha256((program / name).read_bytes()).hexdigest()
    data["seal"] = UNSEALED
    file.write_bytes(seal_text(json.dumps(data).encode()))


def reshape(program: Path, change: Edit) -> None:
    """Change the arrays, then make all checksums consistent."""
    file = program / "cells.safetensors"
    arrays = dict(load_file(file))
    change(arrays)
    file.unlink()
    save_file(arrays, file, metadata={"format": "1"})
    seal(program)

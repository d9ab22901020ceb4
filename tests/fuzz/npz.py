"""Data files from outside: read as numpy reads them, or refused."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import numpy as np

from tests.fuzz.bases import copy_base
from tests.fuzz.kind import Result, Verdict
from tests.fuzz.mutations import NAMES, REALS, WHOLES, flip_bytes
from tests.fuzz.programs import command
from xbarc.numerics.types import AnyArray
from xbarc.session import InferenceSession

_DTYPES = (
    "<f4",
    ">f4",
    "<f8",
    "<i8",
    "|u1",
    "|O",
    "<U3",
    "<U99999999",
    "|V0",
    "<c8",
    "<f2",
    "<M8",
    "zz",
)
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2)


def build(rng: np.random.Generator, folder: Path) -> Path:
    """A program that takes `x` of shape [N, 5], and an archive that is sound or is not."""
    copy_base("records", folder / "p.xbar")
    path = folder / "data.npz"
    method = _METHODS[int(rng.choice(4, p=[0.45, 0.45, 0.05, 0.05]))]
    with zipfile.ZipFile(path, "w", method) as archive:
        for name in _names(rng):
            archive.writestr(zipfile.ZipInfo(name), _member(rng), method)
    if rng.random() < 0.25:
        path.write_bytes(flip_bytes(rng, path.read_bytes()))
    return folder


def _names(rng: np.random.Generator) -> list[str]:
    names = ["x.npy"] if rng.random() < 0.9 else []
    if rng.random() < 0.2:
        names.append(NAMES[int(rng.integers(len(NAMES)))].replace("\0", "") + ".npy")
    if rng.random() < 0.1:
        names.append("labels.npy")
    return names


def _member(rng: np.random.Generator) -> bytes:
    array = _array(rng)
    whole = io.BytesIO()
    np.save(whole, array)
    choice = rng.random()
    if choice < 0.35:
        return whole.getvalue()
    if choice < 0.5:
        return flip_bytes(rng, whole.getvalue())
    extents = tuple(
        int(rng.choice([*WHOLES, 2, 5, 10**23])) for _ in range(int(rng.integers(0, 4)))
    )
    shape = extents if rng.random() < 0.7 else array.shape
    descr = _DTYPES[int(rng.integers(len(_DTYPES)))] if rng.random() < 0.4 else "<f4"
    text = f"{{'descr': {descr!r}, 'fortran_order': {rng.random() < 0.5}, 'shape': {shape}}}\n"
    version = int(rng.choice([1, 1, 2, 3, 9]))
    size = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + size + text.encode() + array.tobytes()


def _array(rng: np.random.Generator) -> AnyArray:
    shape = ((2, 5), (0, 5), (1, 5), (5,), (2, 4), (3, 5, 1))[
        int(rng.choice(6, p=[0.5] + [0.1] * 5))
    ]
    array = rng.normal(size=shape).astype(np.float32)
    if array.size and rng.random() < 0.2:
        array.reshape(-1)[0] = REALS[int(rng.integers(len(REALS)))]
    return array


def judge(path: Path) -> Verdict:
    """What is accepted gives what the same arrays give in Python."""
    data, out = path / "data.npz", path / "out.npz"
    out.unlink(missing_ok=True)
    said = command("run", path / "p.xbar", "--inputs", data, "--outputs", out)
    if said.result is not Result.EQUAL:
        return said
    with np.load(data) as arrays:
        feeds = {name: arrays[name] for name in arrays.files if name != "labels"}
    (wanted,) = InferenceSession(path / "p.xbar", "reference").run(None, feeds)
    with np.load(out) as arrays:
        same = np.array_equal(arrays["y"], wanted, equal_nan=True)
    return Verdict(Result.EQUAL) if same else Verdict(Result.FINDING, "other values than in Python")

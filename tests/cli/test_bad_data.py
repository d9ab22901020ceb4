"""An npz that does not fit, is damaged, or lies."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.cli.conftest import Finished, Run

Array = np.ndarray[Any, np.dtype[np.float32]]


@pytest.fixture
def refusal(xbarc: Run, dense: Path, tmp_path: Path) -> Callable[[Path], Finished]:
    """`run` and `check` on a file; neither leaves anything behind."""

    def both(data: Path) -> Finished:
        before = sorted(item.name for item in tmp_path.iterdir())
        out = tmp_path / "out.npz"
        checked = xbarc("check", dense, "--data", data)
        checked.refused()
        ran = xbarc("run", dense, "--inputs", data, "--outputs", out, "--trace", tmp_path / "t.npz")
        ran.refused()
        assert sorted(item.name for item in tmp_path.iterdir()) == before
        return ran

    return both


def test_wrong_names(
    refusal: Callable[[Path], Finished], npz: Callable[..., Path], samples: Array
) -> None:
    refusal(npz(z=samples)).refused("unknown input 'z'", "input 'x' is missing", "float32[N, 5]")
    refusal(npz(x=samples, z=samples)).refused("unknown input 'z'")
    refusal(npz()).refused("input 'x' is missing")


@pytest.mark.parametrize(
    ("array", "part"),
    [
        (np.zeros((2, 5)), "is float64, expected float32"),
        (np.zeros((2, 5), np.int64), "is int64, expected float32"),
        (np.zeros((2, 6), np.float32), "has shape [2, 6], expected [N, 5]"),
        (np.zeros(5, np.float32), "has shape [5], expected [N, 5]"),
        (np.zeros((), np.float32), "has shape [], expected [N, 5]"),
        (np.zeros((2, 5, 1), np.float32), "has shape [2, 5, 1]"),
        (np.array([["a"] * 5]), "expected float32"),
        (np.zeros((2, 5), [("a", "f4")]), "expected float32"),
        (np.full((2, 5), np.nan, np.float32), "x"),
        (np.full((2, 5), np.inf, np.float32), "x"),
    ],
)
def test_wrong_arrays(
    refusal: Callable[[Path], Finished],
    npz: Callable[..., Path],
    array: np.ndarray[Any, Any],
    part: str,
) -> None:
    refusal(npz(x=array)).refused(part)


def test_pickled_objects_are_never_opened(
    refusal: Callable[[Path], Finished], tmp_path: Path
) -> None:
    marker = tmp_path / "opened"

    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (marker,))

    path = tmp_path / "data.npz"
    np.savez(path, x=np.array([Trap()], dtype=object))
    refusal(path).refused("'x' holds Python objects")
    assert not marker.exists()


def archive(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return path


def header(shape: str, descr: str = "'<f4'", version: int = 1) -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode() + b"\n"
    size = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + size + text


@pytest.mark.parametrize(
    "member",
    [
        b"",
        b"not an array",
        b"\x93NUMPY\x09\x00\x00\x00",
        header("(2, 5)"),
        header("(2, 5)") + bytes(39),
        header("(2, 5)") + bytes(41),
        header("(1000000000000, 5)") + bytes(40),
        header("(-2, -5)") + bytes(40),
        header("(True, 10)") + bytes(40),
        header("(2, False)"),
        header("(0, 99999999999999999999999)"),
        header("(0, 9223372036854775807)"),
        header("(0, 4611686018427387904, 4611686018427387904)"),
        header("(2, 5)", "'<U99999999999'"),
        header("(2, 5") + bytes(40),
        header("(2, 5)", "'|O'") + bytes(40),
        header("(2, 5)", "'<zz'") + bytes(40),
        header("(" * 4000 + ")" * 4000) + bytes(40),
        header("('a', 5)") + bytes(40),
        header("(2, 5)", version=2)[:-5],
    ],
)
def test_lying_members(refusal: Callable[[Path], Finished], tmp_path: Path, member: bytes) -> None:
    refusal(archive(tmp_path / "data.npz", {"x.npy": member})).refused("data.npz")


def test_not_an_archive(refusal: Callable[[Path], Finished], tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    for content in (b"", b"hello", b"PK\x03\x04" + bytes(50)):
        path.write_bytes(content)
        refusal(path).refused("data.npz: cannot be read as npz")
    with path.open("wb") as file:
        np.save(file, np.zeros(3))
    refusal(path).refused("data.npz: cannot be read as npz", "numpy.savez")
    refusal(tmp_path).refused("is a folder")
    refusal(tmp_path / "none.npz").refused("none.npz: no such file")


def test_strange_members(refusal: Callable[[Path], Finished], tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    refusal(archive(path, {"readme.txt": b"x"})).refused("holds 'readme.txt'")
    good = header("(2, 5)") + bytes(40)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("x.npy", good)
        with pytest.warns(UserWarning, match="Duplicate name"):
            file.writestr("x.npy", good)
    refusal(path).refused("holds 'x.npy' 2 times")
    refusal(archive(path, {"x.npy": good}, zipfile.ZIP_LZMA)).refused("data.npz")


def test_a_size_that_deflate_cannot_hide(
    refusal: Callable[[Path], Finished], tmp_path: Path
) -> None:
    """The directory claims terabytes; they must not be allocated."""
    path = archive(tmp_path / "data.npz", {"x.npy": header("(2, 5)") + bytes(40)}, 8)
    data = bytearray(path.read_bytes())
    entry = data.index(b"PK\x01\x02")
    data[entry + 24 : entry + 28] = struct.pack("<I", (1 << 32) - 2)
    path.write_bytes(data)
    refusal(path).refused("'x' claims 4294967294 bytes")


def test_every_damage_has_a_message(
    xbarc: Run, dense: Path, tmp_path: Path, samples: Array
) -> None:
    path, out = tmp_path / "data.npz", tmp_path / "out.npz"
    buffer = io.BytesIO()
    np.savez_compressed(buffer, x=samples)
    whole = buffer.getvalue()
    rng = np.random.default_rng(1)
    for place in rng.choice(len(whole), 60, replace=False):
        broken = bytearray(whole)
        broken[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(broken) if rng.random() < 0.7 else whole[:place])
        done = xbarc("run", dense, "--inputs", path, "--outputs", out)
        assert done.code in (0, 2)
        if done.code:
            done.refused()


@pytest.mark.parametrize(
    "labels",
    [
        np.zeros(6, np.int64),
        np.zeros(8, np.int64),
        np.zeros((7, 3), np.int64),
        np.zeros(7, np.float32),
        np.array(["a"] * 7),
        np.int64(3),
    ],
)
def test_wrong_labels(
    xbarc: Run, dense: Path, npz: Callable[..., Path], samples: Array, labels: object
) -> None:
    done = xbarc("check", dense, "--data", npz(x=samples, labels=labels))
    done.refused("labels are", "expected int64[7]")


def test_calibration_data(
    xbarc: Run, model: Callable[..., Path], npz: Callable[..., Path], samples: Array, tmp_path: Path
) -> None:
    def refusal(data: Path) -> Finished:
        return xbarc("compile", model(), "-o", tmp_path / "o.xbar", "--calibrate", data)

    refusal(npz(y=samples)).refused("data.npz: unknown input 'y'")
    refusal(npz(x=samples.astype(np.float64))).refused("data.npz: input 'x' is float64")
    refusal(npz(x=samples[:, :4])).refused("data.npz: input 'x' has shape [7, 4]")
    assert sorted(item.name for item in tmp_path.iterdir()) == ["data.npz", "model.onnx"]


def test_calibration_data_without_samples(
    xbarc: Run, model: Callable[..., Path], npz: Callable[..., Path], samples: Array, tmp_path: Path
) -> None:
    done = xbarc("compile", model(), "-o", tmp_path / "o.xbar", "--calibrate", npz(x=samples[:0]))
    done.refused("data.npz: input 'x' has no samples")


@pytest.mark.parametrize("command", ["check", "compare"])
def test_nothing_is_measured_on_no_samples(
    xbarc: Run,
    dense: Path,
    model: Callable[..., Path],
    npz: Callable[..., Path],
    samples: Array,
    command: str,
) -> None:
    """Of no samples every output is identical; `run` gives as many outputs as it gets inputs."""
    words = ("check", dense) if command == "check" else ("compare", model())
    done = xbarc(*words, "--data", npz(x=samples[:0]))
    done.refused("data.npz: input 'x' has no samples: shape [0, 5], expected at least one")
    assert not done.out


def test_every_command_names_the_file(
    xbarc: Run,
    dense: Path,
    model: Callable[..., Path],
    npz: Callable[..., Path],
    samples: Array,
    tmp_path: Path,
) -> None:
    """What is wrong, in which file, and what was expected."""
    net, out, labels = model(), tmp_path / "out.npz", np.arange(8) % 3
    wide = np.concatenate([samples, samples[:1]])[:, :4]
    data = npz(x=wide, labels=labels)
    wrong = (str(data), "input 'x' has shape [8, 4]", "expected [N, 5]")
    xbarc("run", dense, "--inputs", data, "--outputs", out).refused(*wrong)
    xbarc("check", dense, "--data", data).refused(*wrong)
    xbarc("report", dense, "--data", data).refused(*wrong)
    xbarc("view", dense, "--data", data, "-o", tmp_path / "v.html").refused(*wrong)
    xbarc("compare", net, "--data", data, "--encodings", "acm").refused(*wrong)
    xbarc("compile", net, "-o", tmp_path / "o.xbar", "--calibrate", data).refused(*wrong)
    assert not out.exists()
    told = xbarc("study", "lines", net, "--data", data, "--quick")
    assert (told.code, told.out) == (2, "")
    assert all(part in told.err for part in (str(data), "input 'x' has shape", "expected [N, 5]"))


def test_labels_are_named_by_their_file(
    xbarc: Run, dense: Path, npz: Callable[..., Path], samples: Array
) -> None:
    data = npz(x=samples, labels=np.arange(3))
    wanted = f"{data}: labels are int64[3], expected int64[7]"
    xbarc("check", dense, "--data", data).refused(wanted)


def test_labels_of_no_class(
    xbarc: Run,
    dense: Path,
    model: Callable[..., Path],
    npz: Callable[..., Path],
    samples: Array,
    tmp_path: Path,
) -> None:
    """Classes numbered from 1 looked like a bad network, and like a budget that all bits meet."""
    data = npz(x=samples, labels=np.arange(7) % 3 + 1)
    wanted = f"{data}: labels reach from 1 to 3, expected 0 to 2"
    xbarc("check", dense, "--data", data).refused(wanted)
    words = ("compile", model(), "-o", tmp_path / "o.xbar", "--adc-budget", "0.5")
    xbarc(*words, "--calibrate", data).refused(wanted)
    short = npz(x=samples, labels=np.arange(3))
    xbarc(*words, "--calibrate", short).refused("labels are int64[3], expected int64[7]")


def test_a_run_on_no_samples_gives_none(
    xbarc: Run, dense: Path, npz: Callable[..., Path], samples: Array, tmp_path: Path
) -> None:
    out = tmp_path / "out.npz"
    assert xbarc("run", dense, "--inputs", npz(x=samples[:0]), "--outputs", out).code == 0
    with np.load(out) as found:
        assert [len(found[name]) for name in found] == [0]


def test_more_than_memory(
    xbarc: Run, dense: Path, tmp_path: Path, npz: Callable[..., Path], monkeypatch: Any
) -> None:
    """The limit is the machine's; the message says how it is changed, and changing it works."""
    data, out = npz(x=np.zeros((400, 5), np.float32)), tmp_path / "out.npz"
    words = ("run", dense, "--inputs", data, "--outputs", out, "--batch", 0)
    xbarc("--memory", "7K", *words).refused(
        "data.npz: holds 7.9 KiB, the limit of --memory (XBARC_MEMORY) is 7.0 KiB",
        "--memory SIZE",
        "XBARC_MEMORY=SIZE",
    )
    xbarc("--memory", "9K", *words).refused(
        "needs an array of 9.4 KiB, the limit of --memory (XBARC_MEMORY) is 9.0 KiB"
    )
    xbarc("--memory", "9X", *words).refused(
        "--memory: '9X' is not a size; expected something like 512M or 8G"
    )
    monkeypatch.setenv("XBARC_MEMORY", "7K")
    xbarc(*words).refused("holds 7.9 KiB")
    assert xbarc("--memory", "1M", *words).code == 0
    xbarc(*words).refused("holds 7.9 KiB")
    monkeypatch.delenv("XBARC_MEMORY")
    assert xbarc(*words).code == 0

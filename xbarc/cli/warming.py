"""`xbarc warm`: compiles every loop before it is needed, for images of containers."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shlex
import sys
import tempfile
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from time import monotonic
from typing import Annotated

import typer

from xbarc.errors import EXIT_DONE, EXIT_NO, InputError, VerifyError

_CACHE = "NUMBA_CACHE_DIR"  # numba's own variable, so that whatever runs later reads it too
_NOISY = "--effects variation,noise,faults,drift,offset"
_SIGNS = "binary.onnx --target bnn128 --sign-of-zero plus"

# Every command line reaches loops that those before it do not, or the same ones with other types of
# arguments, which are compiled for themselves. `test_warming` counts what they leave out.
_WORK = (
    ("lossless programs", "compile plain.onnx -o free.xbar"),
    ("", "check free.xbar --data data.npz"),
    ("", "verify free.xbar"),
    ("converters that saturate", "compile plain.onnx --adc 5 -o narrow.xbar"),
    ("", "compile plain.onnx --encoding offset --adc 6 -o offset.xbar"),
    ("", "compile plain.onnx --encoding differential-analog --adc 5 -o analog.xbar"),
    ("", "compile plain.onnx --calibrate data.npz --adc calibrated -o set.xbar"),
    ("", "compile plain.onnx --calibrate data.npz --adc calibrated:4 -o few.xbar"),
    ("", "compile plain.onnx --set input.dac_bits=2 --adc 6 -o digits.xbar"),
    ("", "compile plain.onnx --activation-bits 12 --adc 6 -o wide.xbar"),
    *(
        ("engines", f"check {name}.xbar --data data.npz")
        for name in ("narrow", "offset", "analog", "set", "few", "digits", "wide")
    ),
    ("", "run narrow.xbar --inputs data.npz --outputs out.npz --trace trace.npz"),
    ("", "run set.xbar --inputs data.npz --outputs out.npz --trace trace.npz"),
    *(
        ("cells that deviate", f"check {name}.xbar --data data.npz {_NOISY}")
        for name in ("free", "narrow", "offset", "analog", "digits")
    ),
    *(
        ("", f"check narrow.xbar --data data.npz --effects {kinds}")
        for kinds in ("variation", "noise", "levels,lines", "variation --ideal-converters")
    ),
    ("", "check set.xbar --data data.npz --effects variation"),
    *(
        ("encodings", f"compile plain.onnx --encoding {name} -o any.xbar")
        for name in ("auto", "auto --weight-slices 2", "acm --weight-bits 4", "segmented:4-analog")
    ),
    ("", "compile plain.onnx --calibrate data.npz --encoding auto --weight-slices 2 -o any.xbar"),
    ("converter savings", "compile plain.onnx --adc-savings all -o any.xbar"),
    ("", "compile plain.onnx --encoding differential-analog --adc-savings all -o any.xbar"),
    ("", "compile plain.onnx --calibrate data.npz --adc-budget 20dB -o any.xbar"),
    *(
        ("placements", f"compile plain.onnx --calibrate data.npz --placement {name} -o any.xbar")
        for name in ("srs", "drs")
    ),
    ("pruning", "compile plain.onnx --prune 0.5:balanced --calibrate data.npz -o any.xbar"),
    ("sense amplifiers", f"compile {_SIGNS} -o signs.xbar"),
    ("", f"compile {_SIGNS} --calibrate signs.npz -o signs.xbar"),
    ("", f"compile {_SIGNS} --spare-columns --sense-bits 2 -o more.xbar"),
    ("", "run signs.xbar --inputs signs.npz --outputs out.npz"),
    ("", "run more.xbar --inputs signs.npz --outputs out.npz"),
    ("", f"run signs.xbar --inputs signs.npz --outputs out.npz {_NOISY}"),
)
_TRAINING = (
    ("training", "train plain.onnx --data data.npz --epochs 1 -o trained.xbar"),
    ("", "train plain.onnx --data data.npz --epochs 1 --adc 5 -o trained.xbar"),
)


def warm_command(
    cache: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help=f"folder for compiled loops; set {_CACHE}=DIR wherever xbarc runs later  "
            f"[default: {_CACHE}, else the package's folders, else the user's cache]",
        ),
    ] = None,
) -> int:
    """Compile all loops now, in an image for instance.

    No later command waits for a compiler then. Run it while the image of a container is built. It
    takes some minutes; a second run finds everything compiled.
    """
    before = os.environ.get(_CACHE)
    if cache is not None:
        os.environ[_CACHE] = str(cache.absolute())
    try:
        return _warm()
    finally:
        os.environ.pop(_CACHE, None)
        if before is not None:
            os.environ[_CACHE] = before


def _warm() -> int:
    from xbarc.numerics import WARM_MARK, kept_loops

    folder = _writable_folder()
    key, start = _state_key(), monotonic()
    files = _warm_files(folder / WARM_MARK, key)
    if files:
        print(f"warm already: {_size_text(files)} in {_place(folder)}")
        return EXIT_DONE
    _run_all()
    files = kept_loops()
    for each in {file.parent for file in files} | {folder}:
        # In every folder: a loop takes a folder that it cannot write only where it is marked.
        text = json.dumps({"key": key, "files": [str(file) for file in files]})
        (each / WARM_MARK).write_text(text, encoding="utf-8")
    print(f"warm after {monotonic() - start:.0f} s: {_size_text(files)} in {_place(folder)}")
    return EXIT_DONE


def _writable_folder() -> Path:
    """Where loops are kept.

    Raises:
        InputError: it cannot be written.
    """
    from xbarc.numerics import loops_folder

    hint = f"--cache DIR, or {_CACHE}=DIR, with a folder that you can write"
    asked = os.environ.get(_CACHE)
    folder = Path(asked) if asked else loops_folder()
    if folder is None:
        raise InputError("no folder for compiled loops can be written", where="warm", hint=hint)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        text = f"compiled loops cannot be written here: {error.strerror}"
        raise InputError(text, where=str(folder), hint=hint) from error
    found = loops_folder() or folder
    if asked and not found.is_relative_to(asked):
        # Numba reads the variable once, when it is loaded.
        raise InputError("this process keeps its loops elsewhere already", where=asked, hint=hint)
    return found


def _state_key() -> str:
    """Of everything that compiled loops depend on."""
    import llvmlite.binding as llvm

    state = sha256()
    for file in sorted(Path(__file__).parents[1].rglob("*.py")):
        state.update(file.read_bytes())
    parts = [sys.version, llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()]
    for name in ("numba", "llvmlite", "numpy", "torch"):
        with contextlib.suppress(PackageNotFoundError):
            parts.append(f"{name} {version(name)}")
    state.update("\n".join(parts).encode())
    return state.hexdigest()


def _warm_files(mark: Path, key: str) -> list[Path]:
    """What an earlier run compiled; empty where that is not all that this state needs."""
    try:
        kept = json.loads(mark.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    if not isinstance(kept, dict) or kept.get("key") != key:
        return []
    files = [Path(str(file)) for file in kept.get("files", ())]
    return files if all(file.is_file() for file in files) else []


def _run_all() -> None:
    """Run small programs through everything that has compiled loops.

    Raises:
        VerifyError: one of them fails.
    """
    from xbarc.cli.progress import progress_bar
    from xbarc.frontend import write_sample_networks

    work = _WORK + (_TRAINING if find_spec("torch") else ())
    with tempfile.TemporaryDirectory() as name, progress_bar("warm") as advance:
        write_sample_networks(Path(name))
        title = ""
        with contextlib.chdir(name):
            for number, (heading, line) in enumerate(work):
                title = heading or title
                advance(title, number, len(work))
                _run_quietly(line)


def _run_quietly(line: str) -> None:
    from xbarc.cli.app import main

    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = main(shlex.split(line))
    if code not in (EXIT_DONE, EXIT_NO):
        raise VerifyError(f"{said.getvalue().strip()[-300:]}", where=f"xbarc {line}")


def _place(folder: Path) -> str:
    return os.environ.get(_CACHE) or str(folder)


def _size_text(files: list[Path]) -> str:
    size = sum(file.stat().st_size for file in files)
    return f"{len(files)} files, {size / 2**20:.1f} MiB"

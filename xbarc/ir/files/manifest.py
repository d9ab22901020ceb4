"""`program.json` as a file: canonical text with a seal, and digests of every other file.

The seal is the SHA-256 of the file's own bytes, its 64 digits read as zeros. As the file lists the
SHA-256 of every other file, the seal is one digest over everything that a program is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from xbarc.errors import ProgramError
from xbarc.ir.files.folder import FILE_NAME, MANIFEST
from xbarc.ir.files.schema import ARRAYS, FORMAT, DigitalRecord, ProgramRecord
from xbarc.numerics import ANOTHER_LIMIT, limit_in_words, memory_limit, show_size

REPORT = "report.json"

UNSEALED = "0" * 64
"""What stands in place of a digest over the file itself while it is computed."""

# Parsed JSON takes several times its text: 256 MiB become a few GiB in memory.
_LARGEST = 1 << 28
_LARGEST_FRAGMENT = (1 << 31) - 1  # no protobuf is larger
_FOLDERS = ("", "digital")
_AGAIN = "compile the model again"


def write_manifest(record: ProgramRecord, folder: Path, counted_by: str = "") -> None:
    """Write `program.json` with its seal; the same record gives the same bytes.

    Args:
        record: the program.
        folder: of the program.
        counted_by: what vouches for its report; empty where nothing does.
    """
    reported = UNSEALED if counted_by else None
    plain = record.model_copy(update={"seal": UNSEALED, "reported": reported})
    # Sorted keys and ASCII: the same program has the same bytes whatever the order of fields.
    text = json.dumps(plain.model_dump(mode="json"), indent=1, sort_keys=True) + "\n"
    data = text.encode("ascii")
    if counted_by:
        voucher = _report_entry(_vouch(data, counted_by))
        data = data.replace(_report_entry(UNSEALED), voucher, 1)
    (folder / MANIFEST).write_bytes(seal_text(data))


def read_kept_report(path: Path, counted_by: str) -> bytes | None:
    """Read `report.json` of a program, where it is what this version of xbarc counts.

    Arrays and fragments are not read: that they are there is checked, not that they are whole.

    Args:
        path: the program.
        counted_by: this version.

    Returns:
        None where another version, another cost law or another program made the report.

    Raises:
        ProgramError: names the file that is missing, too large, not listed or damaged.
    """
    record = read_manifest(path)
    _check_listed(path, record)
    if record.reported is None or REPORT not in record.files:
        return None
    raw = (path / MANIFEST).read_bytes()
    plain = raw.replace(_entry(record.seal), _entry(UNSEALED))
    plain = plain.replace(_report_entry(record.reported), _report_entry(UNSEALED))
    if _vouch(plain, counted_by) != record.reported:
        return None
    _check_digest(path / REPORT, record.files[REPORT])
    return (path / REPORT).read_bytes()


def _vouch(plain: bytes, counted_by: str) -> str:
    """Make what `reported` holds from a manifest without it and without a seal."""
    return hashlib.sha256(counted_by.encode() + b"\n" + plain).hexdigest()


def _report_entry(digest: str) -> bytes:
    return f'"reported": "{digest}"'.encode("ascii")


def seal_text(data: bytes) -> bytes:
    """Replace the `UNSEALED` seal of a manifest by the digest of its bytes."""
    digest = hashlib.sha256(data).hexdigest()
    return data.replace(_entry(UNSEALED), _entry(digest), 1)


def read_manifest(path: Path) -> ProgramRecord:
    """Read the record of a program, and check that every byte is what was written.

    Raises:
        ProgramError: it is missing, damaged or of another format.
    """
    manifest = path / MANIFEST
    where = str(manifest)
    try:
        if not manifest.is_file():
            raise _no_program(path)
        if manifest.stat().st_size > _LARGEST:
            raise ProgramError("is too large to be a program", where=where)
        raw = manifest.read_bytes()
        data = json.loads(raw)
    except (OSError, ValueError, RecursionError) as error:
        raise ProgramError(f"cannot be read: {error}", where=where, hint=_AGAIN) from error
    # Before the seal: another format may be sealed in another way.
    if isinstance(data, dict) and data.get("format") != FORMAT:
        raise ProgramError(
            f"has format {data.get('format')!r}, this xbarc reads {FORMAT}",
            where=where,
            hint=_AGAIN,
        )
    _check_seal(raw, data, where)
    try:
        # JSON and not Python values: strict fields of the target then take what JSON can hold.
        return ProgramRecord.model_validate_json(json.dumps(data))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ProgramError(f"{place}: {first['msg']}", where=where) from error


def file_digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_files(path: Path, record: ProgramRecord) -> None:
    """Check that every file of a program is listed, and that no listed one has changed.

    Sizes are checked before anything is read: a file may claim to be larger than any disk.

    Raises:
        ProgramError: names the file that is missing, too large, not listed or damaged.
    """
    _check_listed(path, record)
    for name, digest in record.files.items():
        _check_digest(path / name, digest)


def _check_listed(path: Path, record: ProgramRecord) -> None:
    """Check that every file of a program is listed and there, and none is too large."""
    needed = [ARRAYS, *(step.file for step in record.steps if isinstance(step, DigitalRecord))]
    for name in (*needed, *_own_files(path)):
        if name not in record.files:
            raise ProgramError(f"gives no checksum of '{name}'", where=str(path / MANIFEST))
    _check_sizes({name: _size(path, name) for name in record.files}, path)


def _own_files(path: Path) -> list[str]:
    """Names in the folder that only a program's files have."""
    places = [path / folder for folder in _FOLDERS if (path / folder).is_dir()]
    found = (p.relative_to(path).as_posix() for place in places for p in place.iterdir())
    return [name for name in sorted(found) if FILE_NAME.fullmatch(name)]


def _entry(digest: str) -> bytes:
    return f'"seal": "{digest}"'.encode("ascii")


def _check_seal(raw: bytes, data: object, where: str) -> None:
    seal = data.get("seal") if isinstance(data, Mapping) else None
    # Twice would leave open which one to read as zeros.
    if not isinstance(seal, str) or not seal.isascii() or raw.count(_entry(seal)) != 1:
        raise ProgramError("carries no seal", where=where, hint=_AGAIN)
    plain = raw.replace(_entry(seal), _entry(UNSEALED))
    if hashlib.sha256(plain).hexdigest() != seal:
        raise ProgramError("is damaged: its seal differs", where=where, hint=_AGAIN)


def _no_program(path: Path) -> ProgramError:
    what = "no such program"
    if path.exists():
        what = f"is not a program: it holds no {MANIFEST}" if path.is_dir() else "is not a folder"
    hint = "xbarc compile MODEL.onnx -o OUT.xbar makes a program"
    return ProgramError(what, where=str(path), hint=hint)


def _size(path: Path, name: str) -> int:
    """Size of a listed file in bytes; refused unless it is a plain file."""
    if not FILE_NAME.fullmatch(name):
        raise ProgramError(f"names a strange file {name!r}", where=str(path / MANIFEST))
    file = path / name
    if not file.is_file():
        what = "is not a plain file" if file.exists() else "is missing"
        raise ProgramError(what, where=str(file), hint=_AGAIN)
    return file.stat().st_size


def _check_sizes(sizes: Mapping[str, int], path: Path) -> None:
    """Refuse files that are larger than their kind, or hold more than there is memory for.

    Reports are no part of what runs: they are hashed, never held.
    """
    for name, size in sizes.items():
        most = _LARGEST_FRAGMENT if name.startswith("digital/") else _LARGEST
        if name != ARRAYS and size > most:
            what = f"is too large: {show_size(size)}, expected at most {show_size(most)}"
            raise ProgramError(what, where=str(path / name), hint=_AGAIN)
    # All of them and not the largest alone: many files below the limit fill memory as well.
    held = {name: size for name, size in sizes.items() if not name.endswith(".json")}
    total = sum(held.values())
    if total > memory_limit():
        name = max(held, key=lambda name: held[name])
        raise ProgramError(
            f"is too large: {show_size(held[name])} of a program of {show_size(total)},"
            f" {limit_in_words()}",
            where=str(path / name),
            hint=ANOTHER_LIMIT,
        )


def _check_digest(file: Path, digest: str) -> None:
    try:
        found = file_digest(file)
    except OSError as error:
        raise ProgramError(f"cannot be read: {error.strerror}", where=str(file)) from error
    if found != digest:
        raise ProgramError("is damaged: its checksum differs", where=str(file), hint=_AGAIN)

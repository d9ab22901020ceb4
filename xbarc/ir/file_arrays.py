"""Arrays of a file of data, which know their file."""

from __future__ import annotations

from collections.abc import Mapping

from xbarc.numerics import AnyArray


class FileArrays(dict[str, AnyArray]):
    """Arrays by name that remember their file, so that messages about them name it.

    Args:
        arrays: as in a dict.
        path: the file.
    """

    def __init__(self, arrays: Mapping[str, AnyArray], path: str) -> None:
        super().__init__(arrays)
        self.path = path

    def __reduce__(self) -> tuple[type[FileArrays], tuple[dict[str, AnyArray], str]]:
        """Workers get them with their path; a dict alone would be made without one."""
        return FileArrays, (dict(self), self.path)


def file_of(data: Mapping[str, AnyArray], otherwise: str) -> str:
    """What messages about data begin with: its file where it came from one."""
    return data.path if isinstance(data, FileArrays) else otherwise

"""The page itself, whole or served."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path

from xbarc.circuit import FaultMap
from xbarc.errors import InputError
from xbarc.ir import Program
from xbarc.pages import WebPage
from xbarc.viewer.arrays import LOSS_UNIT, ArrayBytes
from xbarc.viewer.measured import Measured
from xbarc.viewer.overview import describe_program
from xbarc.viewer.tensors import as_text

_FOLDER = Path(__file__).parent
_SCRIPTS = ("decode.js", "overlays.js", "panzoom.js", "graph.js", "floor.js", "cells.js")
_LAST_SCRIPTS = ("inspector.js", "main.js")  # they use what all others define

MOST_BYTES = 16 << 20
"""Packed cells, and a kilobyte an array, of a page that stands alone. Random cells do not shrink,
so its text is a third longer: 22 MB, which mail still carries and a browser holds at once."""


@dataclass(frozen=True, eq=False)
class ProgramPage:
    """A page that shows a program.

    Attributes:
        program: what is shown.
        place: where it lies, for the commands that the page names.
        faults: stuck cells of its chip; None: not known.
        measured: what layers did on data, by name; None: nothing was run.
        wires: whether a page that stands alone holds the loss along wires; a served one always
            answers for it.
    """

    program: Program
    place: str
    faults: FaultMap | None = None
    measured: Mapping[str, Measured] | None = None
    wires: bool = False

    def render(self, progress: Callable[[int, int], object] | None = None) -> str:
        """A page that stands alone, with every cell.

        Args:
            progress: called with arrays done and arrays in all.

        Raises:
            InputError: it would be too large.
        """
        self._check_size()
        source = self.source()
        layers = range(len(self.program.steps))
        held: dict[str, list[str]] = {"array": []}
        for number in range(self.program.arrays):
            held["array"].append(as_text(source.array(number)))
            if self.wires and source.has_wires:
                held.setdefault("wires", []).append(as_text(source.wires(number)))
            if progress is not None:
                progress(number + 1, self.program.arrays)
        held["layer"] = [as_text(source.layer(index)) for index in layers]
        return self._page({**self._overview(source), "served": False}, held).render()

    def render_served(self, source: ArrayBytes) -> str:
        """A page that asks its server for cells."""
        return self._page({**self._overview(source), "served": True}, {}).render()

    def source(self) -> ArrayBytes:
        """What gives the page its arrays."""
        return ArrayBytes(self.program, self.faults, self.measured)

    def _check_size(self) -> None:
        cells = sum(step.cells.data.nbytes for step in self.program.crossbar_steps)
        size = cells + (self.program.arrays << 10)
        lost = self._bytes_of_losses()
        if size + lost > MOST_BYTES:
            fewer = "without --wires, or " if lost and size <= MOST_BYTES else ""
            raise InputError(
                f"{(size + lost) >> 20} MiB are too many for one page, at most "
                f"{MOST_BYTES >> 20} MiB",
                where=self.place,
                hint=f"{fewer}xbarc view --serve shows programs of any size",
            )

    def _bytes_of_losses(self) -> int:
        """Of what is lost along wires: two bytes a cell of each array."""
        array = self.program.target.array
        asked = self.wires and self.source().has_wires
        return 2 * array.rows * array.columns * self.program.arrays if asked else 0

    def _overview(self, source: ArrayBytes) -> dict[str, object]:
        return {
            **describe_program(self.program, self.place, self.measured),
            "stuck": self.faults is not None,
            "wires": source.has_wires,
            "loss_unit": LOSS_UNIT,
        }

    def _page(self, overview: dict[str, object], held: dict[str, list[str]]) -> WebPage:
        body = (_FOLDER / "body.html").read_text(encoding="utf-8")
        title = f"{self.program.name} on {self.program.target.name}"
        return WebPage(
            title=title,
            body=body.replace("TITLE", escape(title), 1),
            styles=(_FOLDER / "style.css",),
            scripts=tuple(_FOLDER / name for name in (*_SCRIPTS, *_LAST_SCRIPTS)),
            data={"overview": overview, "held": held},
            asks_server=bool(overview["served"]),
        )

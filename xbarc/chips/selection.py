"""Select which of order, compensations and converters are kept, and say so in the settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from xbarc.chips.chip_converters import ConverterSetter
from xbarc.chips.judgement import ASKED, Judge, Judgement
from xbarc.ir import Program

PARTLY = "as asked, some layers left"
COMPENSATIONS_ALONE = "compensation alone"
ORDER_ALONE = "order alone"
AS_MAPPED = "as mapped"
ON_CHIP = "set on the sums of the fitted program"
ON_IDEAL_CELLS = "set on ideal cells"


@dataclass(frozen=True, eq=False)
class Kept:
    """A program that is kept.

    Attributes:
        converters: what those from data are set on; None where none are set.
        judgement: why it is kept; None where nothing was judged.
    """

    program: Program
    converters: str | None = None
    judgement: Judgement | None = None

    def settings(self, asked: Mapping[str, str]) -> dict[str, str]:
        """What settings say of converters, and of parts that were left.

        Args:
            asked: what they say of what was asked for.
        """
        found = {} if self.judgement is None else _describe_omissions(asked, self.judgement)
        if self.converters is None:
            return found
        found["converters"] = self.converters
        if self.judgement is not None and self.converters == ON_IDEAL_CELLS:
            found["converters"] += f" ({ON_CHIP}: {_say_worse(self.judgement)})"
        return found


def keep_best(judge: Judge, ways: Mapping[str, Program], reading: ConverterSetter) -> Kept:
    """The first program, without those parts that held-back samples show to be worse.

    Args:
        judge: knows the held-back samples.
        ways: programs by name, the one as asked first.
        reading: sets converters that wait for it.
    """
    ways = {**ways, **_try_omissions(judge, ways)}
    # Converters first: what is kept must be the best as it will run.
    ready = {name: reading.on_chip(way) for name, way in ways.items()}
    kept, found = judge.choose(ready)
    left = _list_changes(ways[kept], ways[ASKED]) if kept == PARTLY else ()
    if reading.converters is None:
        return Kept(ready[kept], None, Judgement(judge.samples, found, kept, left))
    # The chip's sums are those of one sample of data; on ideal cells ranges are wider, and saturate
    # less on other data.
    trials = {ON_CHIP: ready[kept], ON_IDEAL_CELLS: reading.on_ideal_cells(ways[kept])}
    converters, means = judge.choose(trials)
    found[f"{kept}, converters {ON_IDEAL_CELLS}"] = means[ON_IDEAL_CELLS]
    judgement = Judgement(judge.samples, found, kept, left, converters)
    return Kept(trials[converters], converters, judgement)


def _try_omissions(judge: Judge, ways: Mapping[str, Program]) -> dict[str, Program]:
    """The program with some layers as they were, where that is better."""
    mixed = judge.mix_layers([way for name, way in ways.items() if name != ORDER_ALONE])
    return {PARTLY: mixed} if _list_changes(mixed, ways[ASKED]) else {}


def _list_changes(program: Program, other: Program) -> tuple[str, ...]:
    """Names of crossbar layers that are other steps."""
    pairs = zip(program.crossbar_steps, other.crossbar_steps, strict=True)
    return tuple(a.name for a, b in pairs if a is not b)


def _describe_omissions(asked: Mapping[str, str], judgement: Judgement) -> dict[str, str]:
    """What the settings say of parts that were left."""
    left = {COMPENSATIONS_ALONE: ("placement",), ORDER_ALONE: ("compensate",), AS_MAPPED: asked}
    parts = left.get(judgement.kept, ())
    worse = _say_worse(judgement)
    found = {part: f"none ({asked[part]}: {worse})" for part in parts if asked[part] != "none"}
    if judgement.left:
        layers = f"left at {', '.join(judgement.left[:4])}"
        if len(judgement.left) > 4:
            layers = f"left at {len(judgement.left)} layers"
        found = {part: f"{text} ({layers}: {worse})" for part, text in asked.items()}
        if asked["placement"] == "none":
            del found["placement"]
    return found


def _say_worse(judgement: Judgement) -> str:
    return f"worse on {judgement.samples} held-back samples"

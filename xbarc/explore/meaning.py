"""Whether two programs provably give equal outputs, and why."""

from __future__ import annotations

from dataclasses import dataclass

from xbarc.ir import Program, step_meaning
from xbarc.memo import Memo
from xbarc.numerics import Digest


@dataclass(frozen=True)
class Meaning:
    """What a program computes.

    Attributes:
        digest: equal for programs whose outputs are provably equal.
        lossy: crossbar layers in which a converter may lose something; none: the program is its
            quantised network, exactly.
    """

    digest: str
    lossy: tuple[str, ...]

    @property
    def reason(self) -> str:
        """Why programs of this digest are equal, in a sentence."""
        if not self.lossy:
            return (
                "no converter can lose anything, so every layer is the same integer product as in "
                "all lossless designs of this quantised network"
            )
        names = ", ".join(self.lossy[:3]) + (", ..." if len(self.lossy) > 3 else "")
        return (
            f"the same cells, segments and converter settings in {names}, and the same integer "
            "products in all other layers"
        )


def meaning_of(program: Program, memo: Memo | None = None) -> Meaning:
    """The digest of what an ideal chip computes with a program.

    Args:
        program: what is looked at.
        memo: what layers compute that were met before.
    """
    digest, lossy = Digest(), []
    digest.add([value.name for value in program.outputs])
    for value in program.inputs:
        digest.add([value.name, value.dtype])
    for step in program.steps:
        meaning = step_meaning(step, memo)
        if meaning.lossy:
            lossy.append(step.name)
        digest.add(meaning.digest)
    return Meaning(digest.text(), tuple(lossy))


def same_meaning(one: Program, other: Program) -> bool:
    """Whether two programs provably give equal outputs on every input."""
    return meaning_of(one).digest == meaning_of(other).digest

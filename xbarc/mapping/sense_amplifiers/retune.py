"""Thresholds and votes that somebody else found, put into a program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from xbarc.errors import MappingError
from xbarc.ir import CrossbarStep, Program, SignResult, Step
from xbarc.numerics import AnyArray


def retune_program(program: Program, found: Mapping[str, tuple[AnyArray, AnyArray]]) -> Program:
    """The same program with other thresholds and votes.

    Real numbers are rounded up: a whole sum reaches 2.3 where it reaches 3.

    Args:
        program: what to change.
        found: thresholds (axes: level, group, segment, output, in one line) and votes by layer.

    Raises:
        MappingError: a layer is unknown, or the numbers are not as many as it has.
    """
    known = {step.name for step in program.crossbar_steps if step.sense is not None}
    strange = sorted(set(found) - known)
    if strange:
        raise MappingError(f"no layer '{strange[0]}' that compares", where=program.name)
    steps: list[Step] = [
        _retune_step(step, *found[step.name])
        if isinstance(step, CrossbarStep) and step.name in found
        else step
        for step in program.steps
    ]
    return replace(program, steps=tuple(steps))


def _retune_step(step: CrossbarStep, thresholds: AnyArray, votes: AnyArray) -> CrossbarStep:
    if step.sense is None:
        raise MappingError("the layer compares nothing", where=step.name)
    old = step.sense.thresholds
    if thresholds.size != old.size or not np.isfinite(thresholds).all():
        raise MappingError(
            f"{thresholds.size} thresholds, expected {old.size} finite ones", where=step.name
        )
    levels = old.shape[3]
    whole = np.ceil(np.clip(thresholds, -(2**30), 2**30)).astype(np.int32)
    # The export writes levels first, for one tensor of thresholds per layer; the program has them
    # last.
    shaped = whole.reshape(levels, *old.shape[:3]).transpose(1, 2, 3, 0)
    sense = replace(step.sense, thresholds=np.sort(np.ascontiguousarray(shaped), axis=3))
    result = step.result
    if isinstance(result, SignResult):
        if votes.size != result.threshold.size or not np.isfinite(votes).all():
            raise MappingError(
                f"{votes.size} votes, expected {result.threshold.size} finite ones", where=step.name
            )
        result = replace(result, threshold=np.ceil(votes).astype(np.int64))
    return replace(step, sense=sense, result=result)

"""Between parts of a step and their records in `program.json`; arrays come by name."""

from __future__ import annotations

from collections.abc import Mapping

from xbarc.ir.facts import InputFacts
from xbarc.ir.files.schema import FactsRecord, ResultRecord, SenseRecord, ValueRecord
from xbarc.ir.network import Value
from xbarc.ir.program import CrossbarStep, Sense
from xbarc.ir.quantizers import FloatResult, IntegerResult, RequantizedResult, Result, SignResult
from xbarc.numerics import AnyArray


def value_record(value: Value) -> ValueRecord:
    """Put a border value into a record."""
    shape = None if value.shape is None else list(value.shape)
    return ValueRecord(name=value.name, dtype=value.dtype, shape=shape)


def value_of(record: ValueRecord) -> Value:
    """Build a border value from its record."""
    shape = None if record.shape is None else tuple(record.shape)
    return Value(record.name, record.dtype, shape)


def result_record(result: Result) -> ResultRecord:
    """Put everything about a result but its arrays into a record."""
    # No key where the kind has no such field: the schema's defaults stand in the file.
    own = {
        name: getattr(result, name)
        for name in ("zero_point", "high", "low")
        if hasattr(result, name)
    }
    return ResultRecord.model_validate({"kind": result.kind, "dtype": result.dtype} | own)


def result_of(record: ResultRecord, own: Mapping[str, AnyArray]) -> Result:
    """Build a result from its record and its arrays."""
    match record.kind:
        case "float":
            return FloatResult(own["result.scale"], own["result.bias"], record.dtype)
        case "integer":
            return IntegerResult(record.dtype)
        case "sign":
            arrays = (own["sign.threshold"], own["sign.flip"])
            return SignResult(*arrays, record.high, record.low, record.dtype)
        case "requantized":
            return RequantizedResult(own["result.multiplier"], record.zero_point, record.dtype)


def optional_arrays(step: CrossbarStep) -> dict[str, AnyArray]:
    """Arrays by name that only some layers have: facts and comparisons."""
    arrays: dict[str, AnyArray] = {}
    if step.facts is not None:
        arrays |= {"facts.low": step.facts.low, "facts.high": step.facts.high}
    if step.sense is not None:
        arrays |= {"sense.thresholds": step.sense.thresholds, "sense.drive": step.sense.drive}
    return arrays


def sense_of(record: SenseRecord | None, own: Mapping[str, AnyArray]) -> Sense | None:
    """Build comparisons from their record and their arrays."""
    if record is None:
        return None
    return Sense(own["sense.thresholds"], own["sense.drive"], record.value)


def facts_record(facts: InputFacts) -> FactsRecord:
    """Put everything about input facts but their arrays into a record."""
    return FactsRecord(
        reasons=facts.reasons, plain_bits=facts.plain_bits, plain_levels=facts.plain_levels
    )


def facts_of(record: FactsRecord | None, own: Mapping[str, AnyArray]) -> InputFacts | None:
    """Build input facts from their record and their arrays."""
    if record is None:
        return None
    return InputFacts(
        own["facts.low"],
        own["facts.high"],
        record.reasons,
        record.plain_bits,
        record.plain_levels,
    )

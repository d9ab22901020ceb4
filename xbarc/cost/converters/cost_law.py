"""What a converter costs: the target's figures, or a cost law of other people.

A law is part of no target and of no program. `with_law` gives a target whose converters it prices;
whatever asks for the price of a converter then asks the law, and a program is saved without it.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol, TypeVar, cast

from xbarc.errors import MappingError
from xbarc.ir import Program
from xbarc.options import Method
from xbarc.plugins import Door, Guarded, guard, load_method, origin
from xbarc.target import AdcCosts, Figure, Strict, Target

TARGET = "target"
_Part = TypeVar("_Part", bound=Strict)


class CostLaw(Protocol):
    """Energy, area and time of a converter by its width, in place of the target's figures.

    Each must be a pure function of what it is given. The target says the rest: `target.node_nm`,
    `target.adc.rate.value` in conversions a nanosecond, `target.cell.read_voltage.value`.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """What reports call it."""

    @abstractmethod
    def conversion_energy(self, bits: int, target: Target) -> float:
        """Energy of one full conversion, pJ; one that stops early pays for the bits it decides.

        Args:
            bits: 1 (a sense amplifier) to 48. Beyond `target.adc.max_bits` only for comparison.
            target: with its own figures.
        """

    @abstractmethod
    def converter_area(self, bits: int, target: Target) -> float:
        """Area of one converter, um2; arguments as of `conversion_energy`."""

    def conversion_time(self, bits: int, target: Target) -> float:
        """Time of one conversion, ns; here the target's. Arguments as of `conversion_energy`."""
        step = target.costs.convert_step
        return 1 / target.adc.rate.value if step is None else bits * step.value

    def figure(self, path: str, value: float, target: Target) -> float:
        """The value of another figure of the target's `costs`; here the target's own.

        Args:
            path: such as `costs.driver_energy`; see the reference of targets.
            value: of the target, in the unit of the figure.
            target: with its own figures.
        """
        del path, target
        return value


LAWS = Door("cost law", "--cost-law", "xbarc.costs", CostLaw, "check_cost_law")


@dataclass(frozen=True, eq=False)
class Priced:
    """A cost law, and the target as it is without it."""

    law: CostLaw
    own: Target


class LawCosts(AdcCosts):
    """Converters that a cost law prices; their own figures are not used.

    Attributes:
        by: a `Priced`; pydantic has no schema for a protocol.
    """

    replaced: ClassVar[bool] = True

    by: Any

    @property
    def law(self) -> CostLaw:
        """What is asked."""
        return cast(CostLaw, self.by.law)

    @property
    def own(self) -> Target:
        """The target without it."""
        return cast(Target, self.by.own)

    def energy_pj(self, bits: int) -> float:
        """Of one full conversion; 0 for one of 0 bits, which is not made."""
        return self._ask("conversion_energy", bits) if bits > 0 else 0.0

    def area_um2(self, bits: int) -> float:
        """Of one converter; 0 for one of 0 bits, which always reads the same."""
        return self._ask("converter_area", bits) if bits > 0 else 0.0

    def time_ns(self, bits: int) -> float:
        """Of one conversion."""
        return self._ask("conversion_time", bits) if bits > 0 else 0.0

    def _ask(self, member: str, bits: int) -> float:
        law = self.law
        return check_price(law, f"{member}({bits})", getattr(law, member)(bits, self.own))


def check_price(law: object, what: str, value: float) -> float:
    """A price, which is finite and not below zero.

    Raises:
        MappingError: it is not.
    """
    if math.isfinite(value) and value >= 0:
        return float(value)
    text = f"{what} gives {value:g}, expected a finite number, 0 or more"
    if isinstance(law, Guarded):
        raise law.problem(text)
    raise MappingError(text, where=LAWS.option)


def load_law(given: str | Method) -> CostLaw:
    """A cost law from elsewhere, checked.

    Args:
        given: a name that an installed package registers, `package:Name`, or an object.

    Raises:
        MappingError: there is none, or it lacks something; the message says what.
    """
    method: object = load_method(LAWS, given, ()) if isinstance(given, str) else given
    return cast(CostLaw, guard(LAWS, method, lambda name: name == TARGET))


def law_origin(law: CostLaw) -> str:
    """Name, class, package and version of a cost law."""
    return f"{law.name} ({origin(LAWS, law)})"


def with_law(target: Target, given: str | Method | None) -> Target:
    """A target whose converters, and whatever figures it changes, are priced by a law.

    Args:
        target: as it was loaded.
        given: as `load_law` takes it; None: the target as it is.

    Raises:
        MappingError: there is no such law, or it gives something that is no price.
    """
    # Laws never stack: each is asked about the target as it was loaded.
    own = without_law(target)
    if given is None:
        return own
    law = load_law(given)
    costs = _change_figures(own.costs, "costs.", own, law)
    adc = {name: getattr(own.costs.adc, name) for name in AdcCosts.model_fields}
    # model_construct: pydantic would validate `by`, and has no schema for a protocol
    priced = LawCosts.model_construct(**adc, by=Priced(law, own))
    return own.model_copy(update={"costs": costs.model_copy(update={"adc": priced})})


def price_program(program: Program, given: str | Method | None) -> Program:
    """A program whose target `with_law` gives, to be reported and not to be saved.

    Raises:
        MappingError: as `with_law`.
    """
    return replace(program, target=with_law(program.target, given))


def reported_settings(program: Program) -> dict[str, str]:
    """What the compiler was told, and the cost law that a report of the program counts with."""
    found, law = dict(program.settings), law_of_costs(program.target)
    if law is not None:
        found["cost_law"] = law_origin(law)
    elif "cost_law" in found:
        found["cost_law"] = f"the target's figures; compiled with {found['cost_law']}"
    return found


def without_law(target: Target) -> Target:
    """The target as it was loaded."""
    return target.costs.adc.own if isinstance(target.costs.adc, LawCosts) else target


def law_of_costs(target: Target) -> CostLaw | None:
    """The law that prices a target's converters; None: its own figures."""
    return target.costs.adc.law if isinstance(target.costs.adc, LawCosts) else None


def _change_figures(part: _Part, prefix: str, own: Target, law: CostLaw) -> _Part:
    """The figures below a part as the law has them; those of converters it prices by width."""
    found: dict[str, object] = {}
    for name in type(part).model_fields:
        value: object = getattr(part, name)
        path = f"{prefix}{name}"
        if isinstance(value, AdcCosts):
            continue
        if isinstance(value, Figure):
            found[name] = _figure(value, path, own, law)
        elif isinstance(value, tuple) and value and isinstance(value[0], Strict):
            found[name] = tuple(
                _change_figures(item, f"{path}.{index}.", own, law)
                for index, item in enumerate(value)
            )
    return part.model_copy(update=found)


def _figure(figure: Figure, path: str, own: Target, law: CostLaw) -> Figure:
    value = check_price(law, f"figure('{path}')", law.figure(path, figure.value, own))
    # The same object, with its source: what a law leaves alone is still published.
    if value == figure.value:
        return figure
    return Figure(
        value=value,
        unit=figure.unit,
        source="assumed",
        via="assumed",
        confirmed=False,
        note=f"by the cost law {law_origin(law)}",
    )

"""Whatever code of other people raises, in whatever method of whatever door, is told as theirs."""

from __future__ import annotations

import inspect
import pickle
from typing import Any

import pytest

from xbarc.circuit.devices import DEVICES
from xbarc.cost.converters.cost_law import LAWS
from xbarc.errors import InputError, MappingError
from xbarc.mapping.converters.foreign import CONVERTERS
from xbarc.mapping.encodings import ENCODINGS
from xbarc.mapping.place.foreign import PLACEMENTS
from xbarc.options import Method
from xbarc.plugins import Door, Guarded, guard

DOORS = (ENCODINGS, PLACEMENTS, CONVERTERS, DEVICES, LAWS)


class OwnError(Exception):
    """Of a plug-in, with a message that no screen should get whole."""

    def __str__(self) -> str:
        return "\x1b[2J\n" * 2000


RAISED = (
    *(KeyError("row"), ValueError(), TypeError("no\nnewline"), RecursionError("deep")),
    *(StopIteration(3), AssertionError(), NotImplementedError(), OSError(2, "gone"), OwnError()),
    *(SystemExit(0), ImportError("no module 'x'"), SyntaxError("bad")),
)


def _members(door: Door) -> dict[str, Any]:
    found = vars(door.protocol).items()
    return {name: one for name, one in found if name[0] != "_" and inspect.isfunction(one)}


def _raising(door: Door, error: BaseException) -> Guarded:
    """An object with all methods of a door, each of which raises."""

    def fail(*_: object) -> object:
        raise error

    def method(taken: list[str]) -> Any:
        text = f"lambda self, {', '.join(taken)}: fail()" if taken else "lambda self: fail()"
        return eval(text, {"fail": fail})  # noqa: S307  # names of parameters count

    members = {
        name: method(list(inspect.signature(one).parameters)[1:])
        for name, one in _members(door).items()
    }
    kind = type("Raises", (), {"name": "raises", "__module__": __name__, **members})
    return guard(door, kind(), lambda _: False)


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.option)
@pytest.mark.parametrize("error", RAISED, ids=lambda error: type(error).__name__)
def test_every_method_of_every_door(door: Door, error: BaseException) -> None:
    plugin = _raising(door, error)
    assert isinstance(plugin, Method)
    for name in _members(door):
        with pytest.raises(MappingError) as found:
            getattr(plugin, name)(*inspect.signature(getattr(plugin, name)).parameters)
        text = str(found.value)
        assert text.startswith(f"{door.option} {__name__}:Raises (unversioned): {name}() failed: ")
        assert found.value.hint.endswith(f"xbarc.testing.{door.check} helps to find")
        assert text.isprintable()
        assert len(text) < 600
        assert found.value.__cause__ is error
        assert pickle.loads(pickle.dumps(found.value)).message == found.value.message  # noqa: S301


@pytest.mark.parametrize("error", [KeyboardInterrupt(), MemoryError(), InputError("ours")])
def test_what_is_not_a_fault_passes(error: BaseException) -> None:
    """What a user or the system stops, and errors that are clear already."""
    plugin: Any = _raising(PLACEMENTS, error)
    with pytest.raises(type(error)):
        plugin.order(None)


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.option)
def test_plain_results_have_the_type_that_the_protocol_says(door: Door) -> None:
    """A number that is text would fail far from where it was made."""
    for name, member in _members(door).items():
        wanted = str(inspect.signature(member).return_annotation)
        if wanted not in ("int", "float", "bool", "tuple[int, int]"):
            continue
        taken = list(inspect.signature(member).parameters)[1:]
        plugin: Any = Guarded(door, type("Text", (), {name: lambda *_: "7"})())
        with pytest.raises(MappingError, match=rf"{name}\(\) gives '7', expected"):
            getattr(plugin, name)(*taken)


def test_kits_have_a_check_for_every_door() -> None:
    from xbarc import testing  # noqa: PLC0415  # loads on first use

    assert all(callable(getattr(testing, door.check)) for door in DOORS)
    assert len({(door.option, door.group) for door in DOORS}) == len(DOORS)

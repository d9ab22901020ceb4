"""What pure functions gave before, for whoever compiles one model again and again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

_Value = TypeVar("_Value")

# Bytes that an entry counts as where nobody says more: its key and a few small objects.
_SMALL = 1 << 10


class Memo:
    """Results by all that they were made from, the oldest dropped first once they are too many.

    Whoever keeps one vouches that files named in keys stay as they are while it lives, and that
    nobody writes into results.

    Args:
        most: bytes that are kept; 0 keeps nothing, so that everything is computed.
    """

    def __init__(self, most: int = 0) -> None:
        self._shelf = _Shelf(most)
        self._under: Hashable = ()

    @property
    def keeps(self) -> bool:
        """Whether anything is kept."""
        return self._shelf.most > 0

    def clear(self) -> None:
        """Forget everything."""
        self._shelf.clear()

    def under(self, key: Hashable) -> Memo:
        """The same memo, for results that all depend on this key too."""
        found = Memo.__new__(Memo)
        found._shelf, found._under = self._shelf, (self._under, key)
        return found

    @property
    def root(self) -> Memo:
        """The same memo, for results that depend on nothing but their own key."""
        found = Memo.__new__(Memo)
        found._shelf, found._under = self._shelf, ()
        return found

    def recall(
        self,
        key: Hashable,
        make: Callable[[], _Value],
        size: Callable[[_Value], int] = lambda _: 0,
    ) -> _Value:
        """What is kept under a key; where nothing is, it is made.

        Args:
            key: of everything that `make` reads.
            make: gives the value; what it raises is not kept.
            size: bytes that the value takes.
        """
        if not self.keeps:
            return make()
        whole = (self._under, key)
        if whole not in self._shelf.items:
            value = make()
            self._shelf.put(whole, value, _SMALL + size(value))
            return value
        self._shelf.items.move_to_end(whole)
        kept: _Value = self._shelf.items[whole][1]
        return kept

    def of(self, thing: object, name: str, make: Callable[[], _Value]) -> _Value:
        """What was made of an object that nobody changes, for as long as it lives.

        Args:
            thing: what `make` reads, and all of it.
            name: of the result.
            make: gives the value.
        """
        if not self.keeps:
            return make()
        known = self._shelf.by_object.setdefault(thing, {})
        if name not in known:
            known[name] = make()
        value: _Value = known[name]
        return value


class _Shelf:
    """Values with their bytes, by key."""

    def __init__(self, most: int) -> None:
        self.most, self._bytes = most, 0
        self.items: OrderedDict[Hashable, tuple[int, Any]] = OrderedDict()
        self.by_object: WeakKeyDictionary[object, dict[str, Any]] = WeakKeyDictionary()

    def clear(self) -> None:
        """Drop all values."""
        self._bytes = 0
        self.items.clear()
        self.by_object.clear()

    def put(self, key: Hashable, value: object, size: int) -> None:
        """Keep a value, and drop old ones where there is no more room."""
        self.items[key] = (size, value)
        self._bytes += size
        while self._bytes > self.most and len(self.items) > 1:
            self._bytes -= self.items.popitem(last=False)[1][0]


class Same:
    """An object as part of a key: equal to nothing but itself, and kept alive by the key."""

    __slots__ = ("_thing",)

    def __init__(self, thing: object) -> None:
        self._thing = thing

    def __hash__(self) -> int:
        return id(self._thing)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self._thing is other._thing

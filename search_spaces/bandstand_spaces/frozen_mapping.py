"""A mapping that cannot change, and that therefore can be hashed, compared and pickled.

`types.MappingProxyType` is read-only too, but pickle refuses it, and spaces travel to Ray workers.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


class FrozenMapping(Mapping[K, V]):
    """A read-only mapping whose order is part of its value.

    Two of them are equal only with the same items in the same order: parameters are drawn in the order in which they
    are written, so that another order is another search.
    """

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[K, V] | Iterable[tuple[K, V]] = ()) -> None:
        """Copies `items`, a mapping or (key, value) pairs; what happens to them afterwards changes nothing here."""
        self._items: dict[K, V] = dict(items)

    def __getitem__(self, key: K) -> V:
        return self._items[key]

    def __iter__(self) -> Iterator[K]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mapping):
            return NotImplemented
        return list(self.items()) == list(other.items())

    def __hash__(self) -> int:
        return hash(tuple(self._items.items()))

    def __repr__(self) -> str:
        # As a dict is written, so that the repr of a space can be pasted back as code.
        return repr(self._items)

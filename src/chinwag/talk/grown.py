"""A list that grows by making a new value, in constant time.

Invariants: a ``Grown`` never changes once made. Values made from one another share one backing
list; only the value that ends where the list ends may extend it, every other one copies first.
That is why folding n things costs n and not n squared, and an old value stays what it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Generic, TypeVar, overload

T = TypeVar("T")


class Grown(Sequence[T], Generic[T]):
    """An immutable sequence whose ``plus`` is O(1) amortised along one line of growth."""

    __slots__ = ("_items", "_size")

    def __init__(self, items: Iterable[T] = ()) -> None:
        self._items = list(items)
        self._size = len(self._items)

    def plus(self, item: T) -> Grown[T]:
        items = self._items if len(self._items) == self._size else self._items[: self._size]
        items.append(item)
        new: Grown[T] = Grown.__new__(Grown)
        new._items = items
        new._size = self._size + 1
        return new

    def extended(self, more: list[T]) -> Grown[T]:
        """`plus` for each of ``more``, at once."""
        items = self._items if len(self._items) == self._size else self._items[: self._size]
        items.extend(more)
        new: Grown[T] = Grown.__new__(Grown)
        new._items = items
        new._size = self._size + len(more)
        return new

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> list[T]: ...
    def __getitem__(self, index: int | slice) -> T | list[T]:
        if isinstance(index, slice):
            start, stop, step = index.indices(self._size)
            if step == 1:
                return self._items[start : max(start, stop)]
            return [self._items[at] for at in range(start, stop, step)]
        at = index + self._size if index < 0 else index
        if not 0 <= at < self._size:
            raise IndexError(index)
        return self._items[at]

    def __iter__(self) -> Iterator[T]:
        # By index, not islice: another value may extend the backing list while we walk it.
        items = self._items
        for at in range(self._size):
            yield items[at]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Grown):
            return NotImplemented
        return self._size == other._size and all(a == b for a, b in zip(self, other, strict=True))

    def __hash__(self) -> int:
        return hash(self._size)

    def __repr__(self) -> str:
        return f"Grown({list(self)!r})"

"""What leaves of one kind have in common: how a key is made, and how a record becomes the stored map and comes back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Generic, ParamSpec, Protocol, TypeVar

from gridcore.errors import broken

Value = Mapping[str, Any]
"""The map that a leaf holds: canonical types only (docs/spec/state.md)."""
_TOGETHER: Final = 32
"""At 1.7 MB, as the largest have, less than a state keeps in memory."""
P = ParamSpec("P")
R = TypeVar("R")


class Leaves(Protocol):
    """Where leaves are read."""

    def get(self, key: str) -> Value | None:
        """The map of a leaf, or None. Shared: never change it."""

    def load_together(self, keys: Iterable[str]) -> None:
        """Bring leaves into memory together, for a ``get`` of each to find them there."""


class WritableLeaves(Leaves, Protocol):
    """Where leaves are read and written."""

    def put(self, key: str, value: Value) -> None:
        """Give a leaf a new map."""


def values_of(leaves: Leaves, keys: Iterable[str]) -> Iterator[Value | None]:
    """The map of each of many leaves, or None; a few are read and hashed side by side, which is three times as fast as one by one."""
    left = iter(keys)
    while some := list(islice(left, _TOGETHER)):
        leaves.load_together(some)
        yield from map(leaves.get, some)


def as_map(record: Any) -> Value:
    """The stored map of a named tuple: its fields by name, without those that are None."""
    return {name: item for name, item in record._asdict().items() if item is not None}


@dataclass(frozen=True)
class Family(Generic[P, R]):
    """One kind of leaf.

    name: first part of every key; key: of one leaf, from what names it; decode: the record of a stored map, called with the
    map's items as keyword arguments; encode: the inverse. is_provable: its leaves enter bundles, so that a store keeps what the
    newest blocks replaced of them. is_followed: followers of the ledger are told of its writes. is_prunable: its leaves are named by a slot
    or boundary first, and are read for slots alone that are not final, or lie a bounded time before these: a store may drop the bodies of the others.
    """

    name: str
    key: Callable[P, str]
    decode: Callable[..., R]
    encode: Callable[[R], Value] = as_map
    is_provable: bool = False
    is_followed: bool = False
    is_prunable: bool = False

    @property
    def prefix(self) -> str:
        """How every key of the family begins, where it has more than one leaf."""
        return f"{self.name}/"

    def names(self, key: str) -> list[str]:
        """What names the leaf of ``key``: the parts after the family's name."""
        return key.split("/")[1:]

    def load(self, leaves: Leaves, /, *names: P.args, **named: P.kwargs) -> R | None:
        """The record of a leaf, or None where there is none."""
        value = leaves.get(self.key(*names, **named))
        return None if value is None else self.decode(**value)

    def must(self, leaves: Leaves, /, *names: P.args, **named: P.kwargs) -> R:
        """The record of a leaf that cannot be absent."""
        found = self.load(leaves, *names, **named)
        return found if found is not None else broken(f"leaf {self.key(*names, **named)} exists")

    def must_each(self, leaves: Leaves, names: Iterable[Sequence[Any]]) -> Iterator[R]:
        """``must`` of each of many leaves, a few together. names: what names each, as ``key`` takes it."""
        named: Callable[..., str] = self.key
        for value in values_of(leaves, (named(*one) for one in names)):
            yield self.decode(
                **(value if value is not None else broken(f"every {self.name} leaf that is asked for exists"))
            )

    def save(self, leaves: WritableLeaves, record: R, /, *names: P.args, **named: P.kwargs) -> None:
        """Write a leaf."""
        leaves.put(self.key(*names, **named), self.encode(record))

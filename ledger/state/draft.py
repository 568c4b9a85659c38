"""A block in the making: the state as its transactions see it, the state itself left alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gridcore.errors import broken
from ledger.state.registry import Registry
from ledger.state.state import State, Value


class Draft:
    """Reads through to the state, keeps writes to itself. Values are never changed in place: ``put`` a new one."""

    def __init__(self, state: State, height: int, block_time_s: int) -> None:
        self._state = state
        self._changes: dict[str, Value] = {}
        self._block_time_s = block_time_s
        self.height = height
        self.orders: dict[tuple[str, int], dict[tuple[str, int], bytes]] = {}
        """Index of each book touched in this block: (party, counter) -> transaction id; see ``market``."""
        self.fed: set[tuple[str, int]] = set()
        """(area, boundary) pairs that got an accepted row in this block: waiting runs look at them."""

    def get(self, key: str) -> Value | None:
        """The value of a leaf as of now, or None."""
        value = self._changes.get(key)
        return value if value is not None else self._state.get(key)

    def must(self, key: str) -> Value:
        """The value of a leaf that cannot be absent."""
        value = self.get(key)
        return value if value is not None else broken(f"leaf {key} exists")

    def put(self, key: str, value: Value) -> None:
        """Give a leaf a new value."""
        self._changes[key] = value

    @property
    def changes(self) -> Mapping[str, Value]:
        """What was put so far."""
        return self._changes

    @property
    def chain_id(self) -> str:
        """The chain that transactions must be signed for."""
        return self._state.chain

    @property
    def registry(self) -> Registry:
        """Installations and areas as columns."""
        return self._state.registry

    @property
    def is_simulated(self) -> bool:
        """Whether ledger time moves by clock_advance alone."""
        return self._state.is_simulated

    @property
    def ledger_time_s(self) -> int:
        """The only time that contracts, gates, deadlines and validity see."""
        return int(self.must("time")["ledger_time_s"]) if self.is_simulated else self._block_time_s

    def chain(self) -> Mapping[str, Any]:
        """The chain leaf."""
        return self.must("chain")

    def rules_of(self, area: str) -> Mapping[str, Any]:
        """The rules leaf of an area."""
        return self.must(f"rules/{self.must(f'area/{area}')['rules']}")

    def leaf(self, key: str) -> bytes:
        """Canonical bytes of a leaf that this block has not changed."""
        return self._state.leaf(key)

"""A block in the making: the state as its transactions see it, the state itself left alone."""

from __future__ import annotations

from collections.abc import Mapping

from ledger.leaves.chain import CHAIN
from ledger.leaves.family import Value
from ledger.leaves.ledger_time import TIME
from ledger.state.columns import Batch
from ledger.state.registry import Registry
from ledger.state.state import State


class Draft:
    """Reads through to the state, keeps writes to itself. Values are never changed in place: ``put`` a new one."""

    def __init__(self, state: State, height: int, block_time_s: int) -> None:
        self._state = state
        self._chain = CHAIN.must(state)  # no transaction changes it
        self._changes: dict[str, Value] = {}
        self._block_time_s = block_time_s
        self.height = height
        self.orders: dict[tuple[str, int], dict[tuple[str, int], bytes]] = {}
        """Index of each book touched in this block: (party, counter) -> transaction id; see ``kinds.market_order``."""
        self.batches: list[Batch] = []
        """Accepted reading batches whose rows have not been judged yet, in block order; see ``metering``."""
        self.fed: set[tuple[str, int]] = set()
        """(area, boundary) pairs that got an accepted row in this block: waiting runs look at them."""

    def get(self, key: str) -> Value | None:
        """The value of a leaf as of now, or None."""
        value = self._changes.get(key)
        return value if value is not None else self._state.get(key)

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
        """Whether ledger time moves by clock/advance alone."""
        return self._chain.is_simulated

    @property
    def slot_s(self) -> int:
        """The chain's slot length, seconds."""
        return self._chain.slot_s

    @property
    def ledger_time_s(self) -> int:
        """The only time that contracts, gates, deadlines and validity see."""
        return TIME.must(self).ledger_time_s if self.is_simulated else self._block_time_s

    def leaf(self, key: str) -> bytes:
        """Canonical bytes of a leaf that this block has not changed."""
        return self._state.leaf(key)

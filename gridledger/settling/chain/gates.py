"""Orders that depend on what gates came to: those of a slot are asked for when the gate before it has cleared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gridcore.errors import broken
from gridledger.settling.chain.founding import ZONE_NAME
from gridledger.settling.chain.orders import PlacedOrders, Placing, order_rounds
from gridledger.settling.dataset import ClearedGate, Dataset
from ledger.gates import load_shown_orders
from ledger.leaves.cleared import load_cleared
from ledger.registry.areas import Area
from ledger.store.ledger import Ledger


class GateByGate:
    """Brings a ledger the orders of a dataset that is told gates (``tell_gate``), one slot after the other.

    It begins with the first slot, whatever the ledger has already: then its gates are told again, until the first that is open.
    """

    def __init__(self, placing: Placing) -> None:
        self._placing = placing
        self._ledger, self._dataset = placing.ledger, placing.dataset
        self._tell = placing.dataset.tell_gate or broken("it is asked for datasets that are told gates")
        self._slot = 0

    def rounds(self) -> Iterator[Iterable[PlacedOrders]]:
        """At ledger time, when all that was due is done: as ``order_rounds`` the orders of the slot whose gate closes next."""
        now_s = self._ledger.ledger_time_s
        while (gate_s := self.next_gate_s()) is not None and gate_s <= now_s:
            self._tell(cleared_gate(self._ledger, self._dataset, self._slot))
            self._slot += 1
        if gate_s is not None:
            yield from order_rounds(self._placing, [self._slot], now_s)

    def next_gate_s(self) -> int | None:
        """When the gate of the slot that was ordered last closes, UTC seconds; None when all have."""
        slots = self._dataset.slot_start_s
        if self._slot == len(slots):
            return None
        return int(slots[self._slot]) - self._dataset.rules.gate_before_start_s


def cleared_gate(ledger: Ledger, dataset: Dataset, slot: int) -> ClearedGate:
    """What the gate of a slot has come to; it has closed."""
    slot_start_s, zone = int(dataset.slot_start_s[slot]), ledger.registry.zone(ZONE_NAME)
    cleared = load_cleared(ledger, slot_start_s, ZONE_NAME, len(zone.areas))
    prices = [None] * len(zone.areas) if cleared is None else cleared.trade_prices_micro_per_kwh
    in_force = ledger.zone_at(zone, slot_start_s, ledger.height)
    areas = [Area(name, number, in_force, ledger.registry) for number, name in enumerate(zone.areas)]
    orders = {area.id: load_shown_orders(ledger, area, slot_start_s).each() for area in areas}
    return ClearedGate(slot, dict(zip(zone.areas, prices, strict=True)), orders)

"""market/order: put a party's order into the book of a slot."""

from __future__ import annotations

from typing import Final

from gridcore.codes import Code
from gridcore.envelope import Transaction
from gridcore.errors import broken
from gridcore.registry.party import PARTY
from gridcore.sm3 import sm3
from gridcore.transactions.market_order import MarketOrder
from ledger.leaves.book import SIDES, Order, append_order, load_orders
from ledger.leaves.progress import open_book
from ledger.registry.bodies import in_force
from ledger.registry.zones import Zone
from ledger.state.clear import ORDER_COUNTER_MAX
from ledger.state.contracts import contract_of_slot
from ledger.state.draft import Draft

QUANTITY_WH_MAX: Final = 10**8
LIMIT_MICRO_PER_KWH_MAX: Final = 10**9


def take_order(draft: Draft, transaction: Transaction, content: MarketOrder) -> Code:
    """An order stands once; what stands already is told before what would be wrong with it by now."""
    party = draft.in_force(PARTY, transaction.signer, content.slot_start_s)
    # What this block has recorded before does not count yet, but an order that it would leave behind is not taken.
    recorded = in_force(draft, PARTY, transaction.signer, content.slot_start_s, draft.height)
    if party is None or not party.trades or recorded is None or not recorded.record.trades:
        return Code.DOES_NOT_TRADE
    if not content.area == party.area == recorded.record.area:
        return Code.WRONG_AREA
    zone, area = draft.registry.zone_of_area(party.area) or broken(f"area {party.area} of a party is registered")
    number = draft.registry.party_number[transaction.signer]
    place = (number, content.counter)
    index = _book_index(draft, zone.name, content.slot_start_s)
    if index.get(place) == transaction.id:
        return Code.EXISTS
    if (code := check_order(draft, zone, content)) is not Code.ACCEPTED:
        return code
    if place in index:
        return Code.ORDER_REUSED
    order = Order(
        area=area,
        counter=content.counter,
        party=number,
        price_micro_per_kwh=content.price_micro_per_kwh,
        quantity_wh=content.quantity_wh,
        side=SIDES[content.side],
    )
    if not index:
        open_book(draft, content.slot_start_s, zone.name)
    seed = sm3(transaction.signature)
    append_order(draft, content.slot_start_s, zone.name, len(index), order, transaction.id, seed)
    index[place] = transaction.id
    return Code.ACCEPTED


def check_order(draft: Draft, zone: Zone, content: MarketOrder) -> Code:
    """When a trader's order may stand, and for how much."""
    timeline, slot_start_s = zone.timeline, content.slot_start_s
    if slot_start_s < timeline.first_slot_start_s or slot_start_s % draft.slot_s:
        return Code.NOT_A_SLOT
    if draft.ledger_time_s < slot_start_s - timeline.open_before_start_s:
        return Code.NOT_OPEN_YET
    if draft.ledger_time_s >= slot_start_s - timeline.gate_before_start_s:
        return Code.GATE_CLOSED
    if not contract_of_slot(draft, zone, slot_start_s).contract.takes_orders:
        return Code.NO_ORDERS
    if not 1 <= content.counter <= ORDER_COUNTER_MAX:
        return Code.COUNTER_OUT_OF_RANGE
    if not 1 <= content.quantity_wh <= QUANTITY_WH_MAX:
        return Code.QUANTITY_OUT_OF_RANGE
    return Code.ACCEPTED if abs(content.price_micro_per_kwh) <= LIMIT_MICRO_PER_KWH_MAX else Code.PRICE_OUT_OF_RANGE


def _book_index(draft: Draft, zone: str, slot_start_s: int) -> dict[tuple[int, int], bytes]:
    """(party number, counter) -> transaction id of a slot's orders; built once for each block that adds to the book."""
    index = draft.orders.get((zone, slot_start_s))
    if index is None:
        book = load_orders(draft, slot_start_s, zone)
        places = zip(book.party.tolist(), book.counter.tolist(), strict=True)
        index = dict(zip(places, map(bytes, book.ids), strict=True))
        draft.orders[(zone, slot_start_s)] = index
    return index

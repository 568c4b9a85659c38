"""market/order: a party's order for a slot, which meets its others when the block's orders are judged (``ledger.state.orders``)."""

from __future__ import annotations

from typing import Final

import numpy as np

from gridcore.codes import Code
from gridcore.envelope import Transaction
from gridcore.errors import broken
from gridcore.registry.party import PARTY
from gridcore.sm3 import sm3
from gridcore.transactions.market_order import MarketOrder
from ledger.leaves.book import BOOK, SIDES, BookLeaf
from ledger.leaves.columns import digests, split_row
from ledger.registry.bodies import in_force
from ledger.registry.zones import Zone
from ledger.state.clear import ORDER_COUNTER_MAX
from ledger.state.contracts import contract_of_slot
from ledger.state.draft import Draft
from ledger.state.taken_orders import TakenOrders

QUANTITY_WH_MAX: Final = 10**8
LIMIT_MICRO_PER_KWH_MAX: Final = 10**9


def take_order(draft: Draft, transaction: Transaction, content: MarketOrder) -> Code:
    """An order stands once; what stands already is told before what would be wrong with it by now."""
    # As of the block before, and as of what this block itself has registered: a party that leaves takes its orders with it.
    before = draft.in_force(PARTY, transaction.signer, content.slot_start_s)
    party = in_force(draft, PARTY, transaction.signer, content.slot_start_s, draft.height)
    if before is None or party is None or not (before.trades and party.record.trades):
        return Code.DOES_NOT_TRADE
    if {before.area, party.record.area} != {content.area}:
        return Code.WRONG_AREA
    zone, area = draft.registry.zone_of_area(content.area) or broken(f"area {content.area} of a party is registered")
    number = draft.registry.party_number[transaction.signer]
    if (code := check_order(draft, zone, content)) is not Code.ACCEPTED:
        # The book of a final slot is not read any more: a node may have pruned it.
        is_read = not zone.timeline.is_final(content.slot_start_s + draft.slot_s, draft.ledger_time_s)
        is_there = is_read and _stands(draft, zone, content.slot_start_s, number, transaction.id)
        return Code.EXISTS if is_there else code
    seed = sm3(transaction.signature)
    order = BookLeaf(
        area=np.array([area]),
        counter=np.array([content.counter]),
        held_micro_per_kwh=np.zeros(1, dtype=np.int64),
        party=np.array([number]),
        price_micro_per_kwh=np.array([content.price_micro_per_kwh]),
        quantity_wh=np.array([content.quantity_wh]),
        side=np.array([SIDES[content.side]]),
        ids=digests([transaction.id]),
        seeds=digests([seed]),
    )
    draft.taken.append(TakenOrders(zone, content.slot_start_s, seed, order))
    return Code.ACCEPTED


def check_slot(draft: Draft, zone: Zone, slot_start_s: int) -> Code:
    """Whether orders for a slot are taken now."""
    timeline = zone.timeline
    if slot_start_s < timeline.first_slot_start_s or slot_start_s % draft.slot_s:
        return Code.NOT_A_SLOT
    if draft.ledger_time_s < slot_start_s - timeline.open_before_start_s:
        return Code.NOT_OPEN_YET
    if draft.ledger_time_s >= slot_start_s - timeline.gate_before_start_s:
        return Code.GATE_CLOSED
    if not contract_of_slot(draft, zone, slot_start_s).contract.takes_orders:
        return Code.NO_ORDERS
    return Code.ACCEPTED


def check_order(draft: Draft, zone: Zone, content: MarketOrder) -> Code:
    """When a trader's order may stand, and for how much."""
    if (code := check_slot(draft, zone, content.slot_start_s)) is not Code.ACCEPTED:
        return code
    if not 1 <= content.counter <= ORDER_COUNTER_MAX:
        return Code.COUNTER_OUT_OF_RANGE
    if not 1 <= content.quantity_wh <= QUANTITY_WH_MAX:
        return Code.QUANTITY_OUT_OF_RANGE
    return Code.ACCEPTED if abs(content.price_micro_per_kwh) <= LIMIT_MICRO_PER_KWH_MAX else Code.PRICE_OUT_OF_RANGE


def _stands(draft: Draft, zone: Zone, slot_start_s: int, party: int, transaction_id: bytes) -> bool:
    """Whether this very transaction gave an order of the party that stands in the book."""
    book = BOOK.load(draft, slot_start_s, zone.name, split_row(party)[0])
    return book is not None and transaction_id in map(bytes, book.ids)

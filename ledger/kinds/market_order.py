"""market/order: a party's order for a slot, which meets its others when the block's orders are judged (``ledger.state.orders``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gridcore.codes import Code
from gridcore.envelope import Transaction
from gridcore.errors import broken
from gridcore.registry.party import PARTY
from gridcore.registry.point import kinds_wanted
from gridcore.sm3 import sm3
from gridcore.transactions.market_order import (
    COUNTER_MAX,
    LIMIT_MICRO_PER_KWH_MAX,
    QUANTITY_WH_MAX,
    Condition,
    MarketOrder,
)
from gridcore.transactions.market_profile import ProfileCondition
from ledger.leaves.book import SIDES, BookLeaf, Wants, has_orders_of
from ledger.leaves.columns import digests, split_row
from ledger.registry.bodies import in_force
from ledger.registry.zones import Zone
from ledger.state.contracts import contract_of_slot
from ledger.state.draft import Draft
from ledger.state.order_terms import takes_conditions
from ledger.state.taken_orders import TakenOrders, counter_bits


class Trader(NamedTuple):
    """Who orders: the zone, and the numbers of area (in it) and party (on the chain)."""

    zone: Zone
    area: int
    party: int


def find_trader(draft: Draft, signer: str, area: str, slot_start_s: int) -> Trader | Code:
    """The party that signs, where it trades in the area in a slot; else why not."""
    # As of the block before, and as of what this block itself has registered: a party that leaves takes its orders with it.
    before = draft.in_force(PARTY, signer, slot_start_s)
    party = in_force(draft, PARTY, signer, slot_start_s, draft.height)
    if before is None or party is None or not (before.trades and party.record.trades):
        return Code.DOES_NOT_TRADE
    if {before.area, party.record.area} != {area}:
        return Code.WRONG_AREA
    zone, number = draft.registry.zone_of_area(area) or broken(f"area {area} of a party is registered")
    return Trader(zone, number, draft.registry.party_number[signer])


def take_order(draft: Draft, transaction: Transaction, content: MarketOrder) -> Code:
    """An order stands once; what stands already is told before what would be wrong with it by now."""
    trader = find_trader(draft, transaction.signer, content.area, content.slot_start_s)
    if not isinstance(trader, Trader):
        return trader
    zone = trader.zone
    if (code := check_order(draft, zone, content)) is not Code.ACCEPTED:
        # The book of a final slot is not read any more: a node may have pruned it.
        is_read = not zone.timeline.is_final(content.slot_start_s + draft.slot_s, draft.ledger_time_s)
        chunk, _ = split_row(trader.party)
        is_there = is_read and has_orders_of(draft, content.slot_start_s, zone.name, chunk, transaction.id)
        return Code.EXISTS if is_there else code
    seed, limits = sm3(transaction.signature), content.limit_orders()
    seeds = [seed] if len(limits) == 1 else order_seeds(seed, content.slot_start_s, [limit.counter for limit in limits])
    none = np.zeros(len(limits), dtype=np.int64)
    orders = BookLeaf(
        all_or_none=none + content.all_or_none,
        area=none + trader.area,
        counter=np.array([limit.counter for limit in limits]),
        held_micro_per_kwh=none,
        party=none + trader.party,
        price_micro_per_kwh=np.array([limit.price_micro_per_kwh for limit in limits]),
        quantity_wh=np.array([limit.quantity_wh for limit in limits]),
        side=none + SIDES[content.side],
        recorded_height=none + draft.height,
        withdrawn_height=none,
        ids=digests([transaction.id] * len(limits)),
        seeds=digests(seeds),
        wants=np.array([wants_of(draft, limit.condition, limit.counter - content.counter) for limit in limits]),
    )
    withdraws = np.array([counter_bits(content.replaces)])
    party = np.array([trader.party])
    draft.taken.append(TakenOrders(zone, content.slot_start_s, seed, party, withdraws, orders, offer=none))
    return Code.ACCEPTED


def order_seeds(seed: bytes, slot_start_s: int, counters: Sequence[int]) -> list[bytes]:
    """The secrets of several orders of one transaction with this seed."""
    return [sm3(seed + slot_start_s.to_bytes(8, "little", signed=True) + bytes([counter])) for counter in counters]


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
    if content.all_or_none and contract_of_slot(draft, zone, content.slot_start_s).contract.trades_in_pairs:
        return Code.NO_BLOCKS
    if content.conditions and not takes_conditions(contract_of_slot(draft, zone, content.slot_start_s).contract):
        return Code.NO_CONDITIONS
    if not {wanted.seller for wanted in content.conditions} - {None} <= draft.registry.party_number.keys():
        return Code.NO_SUCH_SELLER
    rows = content.steps + max(len(content.conditions) - 1, 0)
    if not 1 <= content.counter <= COUNTER_MAX + 1 - rows:
        return Code.COUNTER_OUT_OF_RANGE
    least_wh = min([content.quantity_wh, *(wanted.energy_wh for wanted in content.conditions)])
    if least_wh < content.steps or content.quantity_wh > QUANTITY_WH_MAX:
        return Code.QUANTITY_OUT_OF_RANGE
    prices = [content.price_micro_per_kwh, content.last_price_micro_per_kwh or 0]
    prices += [wanted.price_micro_per_kwh for wanted in content.conditions]
    return Code.ACCEPTED if max(map(abs, prices)) <= LIMIT_MICRO_PER_KWH_MAX else Code.PRICE_OUT_OF_RANGE


def wants_of(draft: Draft, condition: Condition | ProfileCondition | None, choice: int) -> int:
    """What an order asks for as the condition at a place of a bid, packed; 0 for an order that is none."""
    if condition is None:
        return 0
    seller = 0 if condition.seller is None else draft.registry.party_number[condition.seller] + 1
    return int(Wants(choice, kinds_wanted(condition.energy_kind), seller).packed)

"""market/profile: a party's standing rule; what it gives in a slot is ordered at that slot's gate (``ledger.state.profiles``)."""

from __future__ import annotations

from typing import Final

import numpy as np

from gridcore.codes import Code
from gridcore.envelope import Transaction
from gridcore.sm3 import sm3
from gridcore.transactions.market_order import COUNTER_MAX, LIMIT_MICRO_PER_KWH_MAX, QUANTITY_WH_MAX
from gridcore.transactions.market_profile import SPAN_S_MAX, MarketProfile, ProfileEnd
from ledger.kinds.market_order import Trader, find_trader, wants_of
from ledger.leaves.book import BUY, SIDES
from ledger.leaves.columns import Int64, digests, join_columns, split_row
from ledger.leaves.profile_span import PROFILE_SPAN, ProfileSpanLeaf
from ledger.leaves.profiles import PROFILES, ProfilesLeaf, join_profiles
from ledger.registry.zones import Zone
from ledger.state.contracts import contract_of_slot
from ledger.state.draft import Draft
from ledger.state.kept_profiles import KeptProfiles, OwnParts
from ledger.state.order_terms import takes_conditions

PARTS_MAX: Final = 32
"""Of one party, until their slots' gates have closed."""
ENTRIES_MAX: Final = 2_048
"""Quantities of these parts together."""


def is_known_profile(draft: Draft, content: MarketProfile) -> bool:
    """Whether a profile is of a form that its zone knows: not with conditions on a chain that was founded before profiles had any."""
    if not content.has_conditions:
        return True
    found = draft.registry.zone_of_area(content.area)
    return found is not None and found[0].timeline.profiles_have_conditions


def take_profile(draft: Draft, transaction: Transaction, content: MarketProfile) -> Code:
    """A profile that stands already is told before what would be wrong with it by now."""
    trader = find_trader(draft, transaction.signer, content.area, content.slot_start_s)
    if not isinstance(trader, Trader):
        return trader
    zone, (chunk, _) = trader.zone, split_row(trader.party)
    kept = _kept(draft, zone, chunk)
    own = kept.own(trader.party)
    if transaction.id in own.ids:
        return Code.EXISTS
    if (code := _check_time(draft, zone, content)) is not Code.ACCEPTED:
        return code
    if (code := _check_orders(draft, content)) is not Code.ACCEPTED:
        return code
    new = _columns(draft, trader, transaction, content)
    if (code := _check_beside(own, new)) is not Code.ACCEPTED:
        return code
    kept.take(trader.party, new)
    _widen(draft, zone, chunk, content)
    return Code.ACCEPTED


def end_profile(draft: Draft, transaction: Transaction, content: ProfileEnd) -> Code:
    """In slots whose gates are open a profile that was ended gives no orders; also by a party that does not trade any more."""
    number = draft.registry.party_number.get(transaction.signer)
    if number is None:
        return Code.DOES_NOT_TRADE
    found = draft.registry.zone_of_area(content.area)
    if found is None:
        return Code.WRONG_AREA
    zone, (chunk, _) = found[0], split_row(number)
    kept = _kept(draft, zone, chunk)
    own = kept.own(number)
    first_open_s = max(_first_open_slot(draft, zone), content.slot_start_s)
    is_named = (own.first_slot_s == content.slot_start_s) & (own.counter == content.counter)
    named = np.flatnonzero(is_named & (own.end_s > first_open_s))
    if not len(named):
        return Code.NO_SUCH_ORDER
    kept.end(number, own.ids[int(named[0])], first_open_s)
    return Code.ACCEPTED


def _first_open_slot(draft: Draft, zone: Zone) -> int:
    """The first slot whose gate has not closed, if there is one by then: UTC seconds."""
    after_s = draft.ledger_time_s + zone.timeline.gate_before_start_s
    return after_s // draft.slot_s * draft.slot_s + draft.slot_s


def _kept(draft: Draft, zone: Zone, chunk: int) -> KeptProfiles:
    """The parts of a chunk, but for those of which no slot, nor the first one, is before its gate: nobody can send these again.

    Those count as before it, too, whose gate this block or a later one has still to look at: they order there.
    """
    if (known := draft.profiles.get((zone.name, chunk))) is not None:
        return known  # a block is refused as many as it has transactions: each costs no more than a look at its party's own
    leaf, span = PROFILES.load(draft, zone.name, chunk) or join_profiles([]), PROFILE_SPAN.load(draft, zone.name)
    first_s = _first_open_slot(draft, zone)
    if span is not None and span.first_slot_s < span.end_s:
        first_s = min(first_s, span.first_slot_s)
    kept = draft.profiles[zone.name, chunk] = KeptProfiles(leaf, first_s, draft.slot_s)
    return kept


def _check_time(draft: Draft, zone: Zone, content: MarketProfile) -> Code:
    first_s, end_s = content.slot_start_s, content.end_s
    if first_s < zone.timeline.first_slot_start_s or first_s % draft.slot_s or end_s % draft.slot_s or end_s <= first_s:
        return Code.NOT_A_SLOT
    if end_s > draft.ledger_time_s + SPAN_S_MAX:
        return Code.PROFILE_TOO_LONG
    if draft.ledger_time_s >= first_s - zone.timeline.gate_before_start_s:
        return Code.GATE_CLOSED
    contract = contract_of_slot(draft, zone, first_s).contract
    if not contract.takes_orders:
        return Code.NO_ORDERS
    takes_form = not content.has_conditions or takes_conditions(contract)
    return Code.ACCEPTED if takes_form else Code.NO_CONDITIONS


def _check_orders(draft: Draft, content: MarketProfile) -> Code:
    orders = content.orders()
    sellers = {order.condition.seller for order in orders if order.condition is not None}
    if not sellers - {None} <= draft.registry.party_number.keys():
        return Code.NO_SUCH_SELLER
    if not 1 <= content.counter <= COUNTER_MAX + 1 - len(orders):
        return Code.COUNTER_OUT_OF_RANGE
    if max(max(order.quantities_wh) for order in orders) > QUANTITY_WH_MAX:
        return Code.QUANTITY_OUT_OF_RANGE
    if max(abs(order.price_micro_per_kwh) for order in orders) > LIMIT_MICRO_PER_KWH_MAX:
        return Code.PRICE_OUT_OF_RANGE
    buys = [order.price_micro_per_kwh for order in orders if SIDES[order.side] == BUY]
    sells = [order.price_micro_per_kwh for order in orders if SIDES[order.side] != BUY]
    return Code.CROSSES_OWN if buys and sells and max(buys) >= min(sells) else Code.ACCEPTED


def _columns(draft: Draft, trader: Trader, transaction: Transaction, content: MarketProfile) -> ProfilesLeaf:
    orders = content.orders()
    none = np.zeros(len(orders), dtype=np.int64)
    return ProfilesLeaf(
        area=none + trader.area,
        counter=content.counter + np.arange(len(orders)),
        end_s=none + content.end_s,
        entries=np.array([len(order.quantities_wh) for order in orders]),
        first_slot_s=none + content.slot_start_s,
        party=none + trader.party,
        price_micro_per_kwh=np.array([order.price_micro_per_kwh for order in orders]),
        side=np.array([SIDES[order.side] for order in orders]),
        wants=np.array([wants_of(draft, order.condition, order.choice) for order in orders]),
        quantities_wh=join_columns(np.array(order.quantities_wh, dtype=np.int64) for order in orders),
        ids=digests([transaction.id] * len(orders)),
        seeds=digests([sm3(transaction.signature)] * len(orders)),
    )


def _check_beside(own: OwnParts, new: ProfilesLeaf) -> Code:
    """Whether a profile fits beside those of its party."""
    first_s, end_s = new.first_slot_s[0], new.end_s[0]
    is_same_key = own.first_slot_s == first_s
    overlaps = (own.first_slot_s < end_s) & (own.end_s > first_s)
    if np.isin(own.counter[is_same_key | overlaps], new.counter).any():
        return Code.ORDER_REUSED
    entries = _entries(own.entries) + _entries(new.entries)
    is_room = len(own.ids) + len(new.party) <= PARTS_MAX and entries <= ENTRIES_MAX
    return Code.ACCEPTED if is_room else Code.TOO_MANY_PROFILES


def _entries(entries: Int64) -> int:
    return int(entries.sum())


def _widen(draft: Draft, zone: Zone, chunk: int, content: MarketProfile) -> None:
    """Have the gates of a profile's slots looked at."""
    before = PROFILE_SPAN.load(draft, zone.name)
    first_s, end_s, chunks = content.slot_start_s, content.end_s, {chunk}
    if before is not None:
        chunks |= {*before.chunks}
        if before.first_slot_s < before.end_s:
            first_s, end_s = min(first_s, before.first_slot_s), max(end_s, before.end_s)
    PROFILE_SPAN.save(draft, ProfileSpanLeaf(sorted(chunks), end_s, first_s), zone.name)

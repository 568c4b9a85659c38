"""market/order: put a party's order into the book of a slot."""

from __future__ import annotations

from typing import Final

from gridcore.codes import Code
from gridcore.envelope import Transaction
from gridcore.sm3 import sm3
from gridcore.transactions.market_order import MarketOrder
from ledger.leaves.area import AREA
from ledger.leaves.book import Order, append_order, load_orders
from ledger.leaves.party import PARTY
from ledger.leaves.rules import RULES
from ledger.state.draft import Draft

ORDER_COUNTER_MAX: Final = 16
QUANTITY_WH_MAX: Final = 10**8
LIMIT_MICRO_PER_KWH_MAX: Final = 10**9


def take_order(draft: Draft, transaction: Transaction, content: MarketOrder) -> Code:
    """An order stands once; what stands already is told before what would be wrong with it by now."""
    if (code := check_trader(draft, transaction.signer, content)) is not Code.ACCEPTED:
        return code
    place = (transaction.signer, content.counter)
    index = _book_index(draft, content.area, content.slot_start_s)
    if index.get(place) == transaction.id:
        return Code.EXISTS
    if (code := check_order(draft, content)) is not Code.ACCEPTED:
        return code
    if place in index:
        return Code.ORDER_REUSED
    order = Order(
        party=transaction.signer,
        counter=content.counter,
        side=content.side,
        quantity_wh=content.quantity_wh,
        price_micro_per_kwh=content.price_micro_per_kwh,
        transaction_id=transaction.id,
        seed=sm3(transaction.signature),
    )
    append_order(draft, content.area, content.slot_start_s, len(index), order)
    index[place] = transaction.id
    return Code.ACCEPTED


def check_trader(draft: Draft, signer: str, content: MarketOrder) -> Code:
    """Who may trade, and where."""
    party = PARTY.load(draft, signer)
    if party is None or not party.trades:
        return Code.DOES_NOT_TRADE
    return Code.ACCEPTED if content.area == party.area else Code.WRONG_AREA


def check_order(draft: Draft, content: MarketOrder) -> Code:
    """When a trader's order may stand, and for how much."""
    area = AREA.must(draft, content.area)
    rules = RULES.must(draft, area.rules)
    if content.slot_start_s < area.first_slot_start_s or content.slot_start_s % draft.slot_s:
        return Code.NOT_A_SLOT
    if draft.ledger_time_s < content.slot_start_s - rules.open_before_start_s:
        return Code.NOT_OPEN_YET
    if draft.ledger_time_s >= content.slot_start_s - rules.gate_before_start_s:
        return Code.GATE_CLOSED
    if not 1 <= content.counter <= ORDER_COUNTER_MAX:
        return Code.COUNTER_OUT_OF_RANGE
    if not 1 <= content.quantity_wh <= QUANTITY_WH_MAX:
        return Code.QUANTITY_OUT_OF_RANGE
    return Code.ACCEPTED if abs(content.price_micro_per_kwh) <= LIMIT_MICRO_PER_KWH_MAX else Code.PRICE_OUT_OF_RANGE


def _book_index(draft: Draft, area: str, slot_start_s: int) -> dict[tuple[str, int], bytes]:
    """(party, counter) -> transaction id of a slot's orders; built once for each block that adds to the book."""
    index = draft.orders.get((area, slot_start_s))
    if index is None:
        orders = load_orders(draft, area, slot_start_s)
        index = {(order.party, order.counter): order.transaction_id for order in orders}
        draft.orders[(area, slot_start_s)] = index
    return index

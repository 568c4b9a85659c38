"""market/cancel: a party's orders of a slot that are withdrawn when the block's orders are judged (``ledger.state.orders``)."""

from __future__ import annotations

import numpy as np

from gridcore.codes import Code
from gridcore.envelope import Transaction
from gridcore.sm3 import sm3
from gridcore.transactions.market_cancel import MarketCancel
from ledger.kinds.market_order import check_slot
from ledger.leaves.book import join_orders
from ledger.state.draft import Draft
from ledger.state.taken_orders import TakenOrders, counter_bits


def take_cancel(draft: Draft, transaction: Transaction, content: MarketCancel) -> Code:
    """Until the gate; also by a party that does not trade any more."""
    number = draft.registry.party_number.get(transaction.signer)
    if number is None:
        return Code.DOES_NOT_TRADE
    found = draft.registry.zone_of_area(content.area)
    if found is None:
        return Code.WRONG_AREA
    if (code := check_slot(draft, found[0], content.slot_start_s)) is not Code.ACCEPTED:
        return code
    seed, withdraws = sm3(transaction.signature), np.array([counter_bits(content.counters)])
    nothing = join_orders([])
    draft.taken.append(
        TakenOrders(found[0], content.slot_start_s, seed, np.array([number]), withdraws, nothing, offer=nothing.counter)
    )
    return Code.ACCEPTED

"""market/order_batch: an aggregator's orders for parties whose registry rows name it.

A batch is refused whole for its slot, zone and bytes alone. A row that is wrong gets a verdict of its own, which stands in the
answer and in no leaf: whoever applies the block again finds it again.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from gridcore.codes import Code
from gridcore.envelope import Transaction
from gridcore.errors import EncodingError
from gridcore.registry.party import Party
from gridcore.transactions.market_order import COUNTER_MAX, LIMIT_MICRO_PER_KWH_MAX, QUANTITY_WH_MAX
from gridcore.transactions.order_batch import OrderBatch
from ledger.kinds.market_order import check_slot
from ledger.leaves.book import BookLeaf
from ledger.leaves.columns import Int64, digests
from ledger.registry.zones import Zone
from ledger.state.client_ids import check_client_id, remember_client_id
from ledger.state.contracts import contract_of_slot
from ledger.state.draft import Draft
from ledger.state.order_columns import OrderColumns, WantedColumns, decode_orders
from ledger.state.order_terms import takes_conditions
from ledger.state.registered_now import parties_registered_now
from ledger.state.taken_orders import BatchRows, TakenOrders

ACCEPTED: Final = 0
NOBODY: Final = -2
"""In place of an aggregator that no party names: -1 stands for a party without one."""
WITHDRAW_WH: Final = 0
"""A row of this quantity withdraws the order of its party and counter."""


def take_order_batch(draft: Draft, transaction: Transaction, content: OrderBatch) -> Code:
    """Take the rows that nothing stands against but, maybe, other orders."""
    if (code := check_client_id(draft, transaction, content)) is not Code.ACCEPTED:
        return code
    if content.zone not in draft.registry.zone_place:
        return Code.WRONG_AREA
    zone = draft.registry.zone(content.zone)
    if (code := check_slot(draft, zone, content.slot_start_s)) is not Code.ACCEPTED:
        return code
    columns = draft.attached(decode_attached_orders, transaction, content)
    if columns is None:
        return Code.ROWS_MISMATCH
    verdicts = _judge_rows(draft, zone, content.slot_start_s, transaction.signer, columns)
    offered = np.flatnonzero(verdicts == ACCEPTED)
    _, first, place = np.unique(columns.offer[offered], return_index=True, return_inverse=True)
    offers = offered[first]  # of a bid the row of its first condition
    withdraws = columns.quantity_wh[offers] == WITHDRAW_WH
    is_order = columns.quantity_wh[offered] != WITHDRAW_WH
    rows, offer = offered[is_order], place.reshape(-1)[is_order]
    area = draft.at(content.slot_start_s).parties.area[columns.party[rows]]
    none = np.zeros_like(rows)
    orders = BookLeaf(
        all_or_none=none,
        area=area - draft.registry.areas_of(zone.place).start,
        counter=columns.counter[rows],
        held_micro_per_kwh=none,
        party=columns.party[rows],
        price_micro_per_kwh=columns.price_micro_per_kwh[rows],
        quantity_wh=columns.quantity_wh[rows],
        side=columns.side[rows],
        recorded_height=np.full_like(rows, draft.height),
        wants=none if columns.wanted is None else columns.wanted.packed[rows],
        withdrawn_height=none,
        ids=np.repeat(digests([transaction.id]), len(rows), axis=0),
        seeds=columns.order_seeds[rows],
    )
    offer_of_row = np.zeros_like(verdicts)
    offer_of_row[offered] = place.reshape(-1)
    batch = BatchRows(columns.party, verdicts, offer_of_row)
    bits = np.where(withdraws, np.left_shift(1, columns.counter[offers]), 0)
    taken = TakenOrders(zone, content.slot_start_s, columns.seed, columns.party[offers], bits, orders, offer, batch)
    draft.taken.append(taken)
    remember_client_id(draft, transaction, content)
    return Code.ACCEPTED


def decode_attached_orders(transaction: Transaction, content: OrderBatch) -> OrderColumns | None:
    """The attachment as columns, or None where it is not what the signed part says."""
    try:
        columns = decode_orders(transaction.attachment, content.rows)
    except EncodingError:
        return None
    return columns if content.rows_root == columns.rows_root else None


def _judge_rows(draft: Draft, zone: Zone, slot_start_s: int, aggregator: str, columns: OrderColumns) -> Int64:
    """int64[n]: 0, or the code of the first check that fails of a row by itself; the conditions of a bid have one verdict, the highest of theirs."""
    party = columns.party
    verdicts = _mandates(draft, zone, slot_start_s, aggregator, party)
    # From the strongest reason to the weakest: the first one that holds stands.
    for wrong, code in (
        ((columns.counter < 1) | (columns.counter > COUNTER_MAX), Code.COUNTER_OUT_OF_RANGE),
        ((columns.quantity_wh < WITHDRAW_WH) | (columns.quantity_wh > QUANTITY_WH_MAX), Code.QUANTITY_OUT_OF_RANGE),
        (_is_beyond(columns.price_micro_per_kwh, LIMIT_MICRO_PER_KWH_MAX), Code.PRICE_OUT_OF_RANGE),
        (_repeated(party, columns.counter), Code.ORDER_REUSED),
        *_wanted_wrongly(draft, zone, slot_start_s, columns.wanted),
    ):
        verdicts[wrong & (verdicts == ACCEPTED)] = int(code)
    of_offer = np.zeros_like(verdicts)
    np.maximum.at(of_offer, columns.offer, verdicts)
    return of_offer[columns.offer]


def _wanted_wrongly(
    draft: Draft, zone: Zone, slot_start_s: int, wanted: WantedColumns | None
) -> list[tuple[NDArray[np.bool_], Code]]:
    """bool[n]: which conditions the slot's contract does not take, and which name a seller who is no party."""
    if wanted is None:
        return []
    takes = takes_conditions(contract_of_slot(draft, zone, slot_start_s).contract)
    return [
        ((wanted.energy_kinds > 0) & (not takes), Code.NO_CONDITIONS),
        (wanted.seller > len(draft.registry.parties), Code.NO_SUCH_SELLER),
    ]


def _mandates(draft: Draft, zone: Zone, slot_start_s: int, aggregator: str, party: Int64) -> Int64:
    """Whether each party trades in the zone and has its orders placed by this aggregator, before and after what this block registers."""
    registry, parties = draft.registry, draft.at(slot_start_s).parties
    place = _place_of(registry.columns.aggregators, aggregator)
    is_known = party < len(registry.parties)
    known = np.where(is_known, party, 0)
    verdicts = np.zeros_like(party)
    if not len(registry.parties):
        return verdicts + int(Code.DOES_NOT_TRADE)
    area = parties.area[known]
    own = registry.areas_of(zone.place)
    verdicts[parties.aggregator[known] != place] = int(Code.NO_MANDATE)
    verdicts[(area < own.start) | (area >= own.stop)] = int(Code.WRONG_AREA)
    verdicts[~is_known | ~parties.trades[known]] = int(Code.DOES_NOT_TRADE)
    registered = parties_registered_now(draft, party, slot_start_s)
    if registered:
        of_each = np.array([int(_mandate(zone, aggregator, record)) for record in registered.values()])
        numbers = np.array(list(registered))
        rows = np.flatnonzero(np.isin(party, numbers) & (verdicts == ACCEPTED))
        verdicts[rows] = of_each[np.searchsorted(numbers, party[rows])]
    return verdicts


def _place_of(names: Sequence[str], name: str) -> int:
    """The place of a name among names that ascend by their bytes; NOBODY for one that is not there."""
    place = bisect_left(names, name.encode(), key=str.encode)
    return place if place < len(names) and names[place] == name else NOBODY


def _mandate(zone: Zone, aggregator: str, party: Party | None) -> Code:
    if party is None or not party.trades:
        return Code.DOES_NOT_TRADE
    if party.area not in zone.areas:
        return Code.WRONG_AREA
    return Code.ACCEPTED if party.aggregator == aggregator else Code.NO_MANDATE


def _is_beyond(column: Int64, most: int) -> NDArray[np.bool_]:
    return (column < -most) | (column > most)


def _repeated(party: Int64, counter: Int64) -> NDArray[np.bool_]:
    """bool[n]: an earlier row is of the same party and counter."""
    order = np.lexsort((np.arange(len(party)), counter, party))
    is_again = (np.diff(party[order]) == 0) & (np.diff(counter[order]) == 0)
    repeated = np.zeros(len(party), dtype=bool)
    repeated[order[1:][is_again]] = True
    return repeated

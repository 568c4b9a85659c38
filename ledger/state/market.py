"""Orders and the gate: a slot's book, and what clearing makes of it (docs/spec/state.md)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np

from gridcore import cbor, merkle
from gridcore.codes import Code
from gridcore.envelope import Transaction
from gridcore.rows import PackedRows
from gridcore.sm3 import sm3
from ledger.contract import BUY, SELL, Contract
from ledger.leaves.area import AREA
from ledger.leaves.book import Order, append_order, load_orders
from ledger.leaves.clearing import CLEARING, ClearingLeaf
from ledger.leaves.columns import Int64
from ledger.leaves.fills import Fill, FillsLeaf, save_fills
from ledger.leaves.party import PARTY
from ledger.leaves.rules import RULES
from ledger.state.columns import encode_rows
from ledger.state.draft import Draft

ORDER_COUNTER_MAX: Final = 16
QUANTITY_WH_MAX: Final = 10**8
LIMIT_MICRO_PER_KWH_MAX: Final = 10**9
SIDES: Final[Mapping[str, int]] = {"buy": BUY, "sell": SELL}
OrderOrFill = TypeVar("OrderOrFill", bound=Order | Fill)


def order_id(party: str, slot_start_s: int, counter: int) -> str:
    """The name of an order; its bytes break ties."""
    return f"{party}/{slot_start_s}/{counter}"


def take_order(draft: Draft, transaction: Transaction) -> tuple[Code, tuple[()]]:
    """market/order: put a party's order into the slot's book."""
    area, slot_start_s = transaction.body["area"], transaction.identity["slot_start_s"]
    if (code := check_trader(draft, transaction)) is not Code.ACCEPTED:
        return code, ()
    place = (transaction.signer, transaction.identity["counter"])
    index = _book_index(draft, area, slot_start_s)
    if index.get(place) == transaction.id:
        return Code.EXISTS, ()
    if (code := check_order(draft, transaction)) is not Code.ACCEPTED:
        return code, ()
    if place in index:
        return Code.ORDER_REUSED, ()
    order = Order(
        *place,
        side=transaction.body["side"],
        quantity_wh=transaction.body["quantity_wh"],
        price_micro_per_kwh=transaction.body["price_micro_per_kwh"],
        transaction_id=transaction.id,
        seed=sm3(transaction.signature),
    )
    append_order(draft, area, slot_start_s, len(index), order)
    index[place] = transaction.id
    return Code.ACCEPTED, ()


def check_trader(draft: Draft, transaction: Transaction) -> Code:
    """Who may trade, and where."""
    party = PARTY.load(draft, transaction.signer)
    if party is None or not party.trades:
        return Code.DOES_NOT_TRADE
    return Code.ACCEPTED if transaction.body["area"] == party.area else Code.WRONG_AREA


def check_order(draft: Draft, transaction: Transaction) -> Code:
    """When a trader's order may stand, and for how much."""
    body, slot_start_s = transaction.body, transaction.identity["slot_start_s"]
    area = AREA.must(draft, body["area"])
    rules = RULES.must(draft, area.rules)
    if slot_start_s < area.first_slot_start_s or slot_start_s % draft.slot_s:
        return Code.NOT_A_SLOT
    if draft.ledger_time_s < slot_start_s - rules.open_before_start_s:
        return Code.NOT_OPEN_YET
    if draft.ledger_time_s >= slot_start_s - rules.gate_before_start_s:
        return Code.GATE_CLOSED
    if not 1 <= transaction.identity["counter"] <= ORDER_COUNTER_MAX:
        return Code.COUNTER_OUT_OF_RANGE
    if not 1 <= body["quantity_wh"] <= QUANTITY_WH_MAX:
        return Code.QUANTITY_OUT_OF_RANGE
    return Code.ACCEPTED if abs(body["price_micro_per_kwh"]) <= LIMIT_MICRO_PER_KWH_MAX else Code.PRICE_OUT_OF_RANGE


def _book_index(draft: Draft, area: str, slot_start_s: int) -> dict[tuple[str, int], bytes]:
    """(party, counter) -> transaction id of a slot's orders; built once for each block that adds to the book."""
    index = draft.orders.get((area, slot_start_s))
    if index is None:
        orders = load_orders(draft, area, slot_start_s)
        index = {(order.party, order.counter): order.transaction_id for order in orders}
        draft.orders[(area, slot_start_s)] = index
    return index


def clear_slot(draft: Draft, contract: Contract, area: str, slot_start_s: int) -> int:
    """Clear one gate and write ``clearing`` and ``fills``; returns the number of orders."""
    orders = by_order_id(load_orders(draft, area, slot_start_s), slot_start_s)
    rules_id = AREA.must(draft, area).rules
    cleared = contract.clear(
        np.array([SIDES[order.side] for order in orders], dtype=np.int8),
        np.array([order.quantity_wh for order in orders], dtype=np.int64),
        np.array([order.price_micro_per_kwh for order in orders], dtype=np.int64),
        terms=RULES.must(draft, rules_id).terms,
    )
    fills = [
        Fill(order.party, order.counter, order.side, order.quantity_wh, order.price_micro_per_kwh, filled_wh)
        for order, filled_wh in zip(orders, cleared.filled_wh.tolist(), strict=True)
    ]
    seed = clearing_seed(area, slot_start_s, [order.seed for order in orders])
    rows = gate_rows([PARTY.must(draft, order.party).meter for order in orders], fills)
    clearing = ClearingLeaf(
        area=area,
        book_root=merkle.salted_root(book_seed(seed), rows.book),
        contract=contract.contract_id,
        fills_root=merkle.salted_root(fills_seed(seed), rows.fills),
        orders=len(orders),
        rules=sm3(draft.leaf(RULES.key(rules_id))),
        slot_start_s=slot_start_s,
        volume_wh=cleared.volume_wh,
        price_micro_per_kwh=cleared.price_micro_per_kwh,
    )
    CLEARING.save(draft, clearing, area, slot_start_s)
    save_fills(draft, area, slot_start_s, FillsLeaf(fills, seed))
    return len(orders)


def by_order_id(orders: Iterable[OrderOrFill], slot_start_s: int) -> list[OrderOrFill]:
    """Orders or fills of a slot as clearing sees them: ascending by the bytes of their ids."""
    return sorted(orders, key=lambda order: order_id(order.party, slot_start_s, order.counter).encode())


@dataclass(frozen=True)
class GateRows:
    """The rows of a cleared gate, by order id: ``fills`` are shown one by one to their parties, ``book`` names nobody."""

    fills: PackedRows
    book: PackedRows


def gate_rows(meters: Sequence[int], fills: Sequence[Fill]) -> GateRows:
    """Row bytes of a gate. meters: of each order's party; fills: by order id."""

    def column(values: Iterable[int]) -> Int64:
        return np.array(list(values), dtype=np.int64)

    terms = [
        ("u1", column(SIDES[fill.side] for fill in fills)),
        ("<i8", column(fill.quantity_wh for fill in fills)),
        ("<i8", column(fill.price_micro_per_kwh for fill in fills)),
        ("<i8", column(fill.filled_wh for fill in fills)),
    ]
    counter, rank = column(fill.counter for fill in fills), np.arange(len(fills), dtype=np.int64)
    return GateRows(
        encode_rows([("<u4", column(meters)), ("<u4", counter), *terms]), encode_rows([("<u4", rank), *terms])
    )


def fills_seed(seed: bytes) -> bytes:
    """Salt seed of the fill rows, from the clearing seed."""
    return sm3(seed + b"fills")


def book_seed(seed: bytes) -> bytes:
    """Salt seed of the book rows, from the clearing seed."""
    return sm3(seed + b"book")


def clearing_seed(area: str, slot_start_s: int, order_seeds: list[bytes]) -> bytes:
    """The secret from which the salts of a slot's book and fills follow; ``order_seeds`` in the order of the order ids.

    An order's seed is the SM3 of its signature: random, bound to the order, and known to members only.
    """
    return sm3(cbor.encode(["clearing-seed/1", area, slot_start_s, order_seeds]))


def salted_root(seed: bytes, fields: list[tuple[str, Int64]]) -> bytes:
    """Root over salted rows packed from columns."""
    return merkle.salted_root(seed, encode_rows(fields))

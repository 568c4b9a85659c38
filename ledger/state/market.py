"""Orders and the gate: a slot's book, and what clearing makes of it (docs/spec/state.md)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from gridcore import cbor, merkle
from gridcore.codes import Code
from gridcore.envelope import Transaction
from gridcore.rows import PackedRows
from gridcore.sm3 import sm3
from ledger.contract import BUY, SELL, Contract
from ledger.state.columns import CHUNK_ROWS, Int64, chunks, encode_rows
from ledger.state.draft import Draft
from ledger.state.rules import terms_of

ORDER_COUNTER_MAX: Final = 16
QUANTITY_WH_MAX: Final = 10**8
LIMIT_MICRO_PER_KWH_MAX: Final = 10**9
SIDES: Final[Mapping[str, int]] = {"buy": BUY, "sell": SELL}


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
    key = f"book/{area}/{slot_start_s}/{len(index) // CHUNK_ROWS}"
    chunk = draft.get(key)
    order = [
        *place,
        transaction.body["side"],
        transaction.body["quantity_wh"],
        transaction.body["price_micro_per_kwh"],
        transaction.id,
        sm3(transaction.signature),
    ]
    draft.put(key, {"orders": [*(chunk["orders"] if chunk else ()), order]})
    index[place] = transaction.id
    return Code.ACCEPTED, ()


def check_trader(draft: Draft, transaction: Transaction) -> Code:
    """Who may trade, and where."""
    party = draft.get(f"party/{transaction.signer}")
    if party is None or not party["trades"]:
        return Code.DOES_NOT_TRADE
    return Code.ACCEPTED if transaction.body["area"] == party["area"] else Code.WRONG_AREA


def check_order(draft: Draft, transaction: Transaction) -> Code:
    """When a trader's order may stand, and for how much."""
    body, slot_start_s = transaction.body, transaction.identity["slot_start_s"]
    rules = draft.rules_of(body["area"])
    first_s = draft.must(f"area/{body['area']}")["first_slot_start_s"]
    if slot_start_s < first_s or slot_start_s % draft.chain()["slot_s"]:
        return Code.NOT_A_SLOT
    if draft.ledger_time_s < slot_start_s - rules["open_before_start_s"]:
        return Code.NOT_OPEN_YET
    if draft.ledger_time_s >= slot_start_s - rules["gate_before_start_s"]:
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
        index = {(order[0], order[1]): order[5] for order in _orders(draft, area, slot_start_s)}
        draft.orders[(area, slot_start_s)] = index
    return index


def _orders(draft: Draft, area: str, slot_start_s: int) -> list[list[Any]]:
    orders: list[list[Any]] = []
    while (chunk := draft.get(f"book/{area}/{slot_start_s}/{len(orders) // CHUNK_ROWS}")) is not None:
        orders += chunk["orders"]
        if len(chunk["orders"]) < CHUNK_ROWS:
            break
    return orders


def clear_slot(draft: Draft, contract: Contract, area: str, slot_start_s: int) -> int:
    """Clear one gate and write ``clearing`` and ``fills``; returns the number of orders."""
    orders = by_order_id(_orders(draft, area, slot_start_s), slot_start_s)
    rules, rules_leaf = draft.rules_of(area), draft.leaf(f"rules/{draft.must(f'area/{area}')['rules']}")
    clearing = contract.clear(
        np.array([SIDES[order[2]] for order in orders], dtype=np.int8),
        np.array([order[3] for order in orders], dtype=np.int64),
        np.array([order[4] for order in orders], dtype=np.int64),
        terms=terms_of(rules),
    )
    filled_wh = clearing.filled_wh.tolist()
    fills = [[*order[:5], filled] for order, filled in zip(orders, filled_wh, strict=True)]
    seed = clearing_seed(area, slot_start_s, [order[6] for order in orders])
    rows = gate_rows([draft.must(f"party/{order[0]}")["meter"] for order in orders], fills)
    value: dict[str, Any] = {
        "area": area,
        "book_root": merkle.salted_root(book_seed(seed), rows.book),
        "contract": contract.contract_id,
        "fills_root": merkle.salted_root(fills_seed(seed), rows.fills),
        "orders": len(orders),
        "rules": sm3(rules_leaf),
        "slot_start_s": slot_start_s,
        "volume_wh": clearing.volume_wh,
    }
    if clearing.price_micro_per_kwh is not None:
        value["price_micro_per_kwh"] = clearing.price_micro_per_kwh
    draft.put(f"clearing/{area}/{slot_start_s}", value)
    for chunk, start, end in chunks(len(fills)):
        draft.put(f"fills/{area}/{slot_start_s}/{chunk}", {"fills": fills[start:end], "seed": seed})
    return len(orders)


def by_order_id(orders: list[list[Any]], slot_start_s: int) -> list[list[Any]]:
    """Orders of a book as clearing sees them: ascending by the bytes of their ids."""
    return sorted(orders, key=lambda order: order_id(order[0], slot_start_s, order[1]).encode())


@dataclass(frozen=True)
class GateRows:
    """The rows of a cleared gate, by order id: ``fills`` are shown one by one to their parties, ``book`` names nobody."""

    fills: PackedRows
    book: PackedRows


def gate_rows(meters: list[int], fills: list[list[Any]]) -> GateRows:
    """Row bytes of a gate. meters: of each order's party; fills: [party, counter, side, quantity, price, filled]."""

    def column(values: Iterable[int]) -> Int64:
        return np.array(list(values), dtype=np.int64)

    terms = [
        ("u1", column(SIDES[fill[2]] for fill in fills)),
        *(("<i8", column(fill[index] for fill in fills)) for index in (3, 4, 5)),
    ]
    counter, rank = column(fill[1] for fill in fills), np.arange(len(fills), dtype=np.int64)
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


def load_fills(draft: Draft, area: str, slot_start_s: int) -> list[list[Any]]:
    """[party, counter, side, quantity, price, filled] of every order of a cleared slot."""
    fills: list[list[Any]] = []
    clearing = draft.must(f"clearing/{area}/{slot_start_s}")
    for chunk, _, _ in chunks(clearing["orders"]):
        fills += draft.must(f"fills/{area}/{slot_start_s}/{chunk}")["fills"]
    return fills

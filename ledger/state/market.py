"""Orders and the gate: a slot's book, and what clearing makes of it (docs/spec/state.md)."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from gridcore import cbor, merkle
from gridcore.codes import Code
from gridcore.envelope import Transaction
from gridcore.sm3 import sm3
from ledger.contract import BUY, SELL, Contract
from ledger.state.columns import CHUNK_ROWS, Int64, chunks, encode_rows
from ledger.state.draft import Draft

ORDER_COUNTER_MAX: Final = 16
QUANTITY_WH_MAX: Final = 10**8
LIMIT_MICRO_PER_KWH_MAX: Final = 10**9


def order_id(party: str, slot_start_s: int, counter: int) -> str:
    """The name of an order; its bytes break ties."""
    return f"{party}/{slot_start_s}/{counter}"


def take_order(draft: Draft, transaction: Transaction) -> tuple[Code, tuple[()]]:
    """market/order: put a party's order into the slot's book."""
    area, slot_start_s = transaction.body["area"], transaction.identity["slot_start_s"]
    if (code := check_order(draft, transaction)) is not Code.ACCEPTED:
        return code, ()
    place = (transaction.signer, transaction.identity["counter"])
    index = _book_index(draft, area, slot_start_s)
    if place in index:
        return (Code.EXISTS if index[place] == transaction.id else Code.ORDER_REUSED), ()
    key = f"book/{area}/{slot_start_s}/{len(index) // CHUNK_ROWS}"
    chunk = draft.get(key)
    order = [
        *place,
        transaction.body["side"],
        transaction.body["quantity_wh"],
        transaction.body["price_micro_per_kwh"],
        transaction.id,
        transaction.attachment,
    ]
    draft.put(key, {"orders": [*(chunk["orders"] if chunk else ()), order]})
    index[place] = transaction.id
    return Code.ACCEPTED, ()


def check_order(draft: Draft, transaction: Transaction) -> Code:
    """Who may trade, where, when and how much."""
    party = draft.get(f"party/{transaction.signer}")
    if party is None or not party["trades"]:
        return Code.DOES_NOT_TRADE
    body, slot_start_s = transaction.body, transaction.identity["slot_start_s"]
    if body["area"] != party["area"]:
        return Code.WRONG_AREA
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
    orders = _orders(draft, area, slot_start_s)
    orders.sort(key=lambda order: order_id(order[0], slot_start_s, order[1]).encode())
    rules, rules_leaf = draft.rules_of(area), draft.leaf(f"rules/{draft.must(f'area/{area}')['rules']}")
    side = np.array([SELL if order[2] == "sell" else BUY for order in orders], dtype=np.int8)
    quantity = np.array([order[3] for order in orders], dtype=np.int64)
    price = np.array([order[4] for order in orders], dtype=np.int64)
    clearing = contract.clear(
        side,
        quantity,
        price,
        reference_price_micro_per_kwh=rules["reference_price_micro_per_kwh"],
        rationing=rules["rationing"],
    )
    seed = sm3(cbor.encode(["clearing-seed/1", area, slot_start_s, [order[6] for order in orders]]))
    rank = np.arange(len(orders), dtype=np.int64)
    meter = np.array([draft.must(f"party/{order[0]}")["meter"] for order in orders], dtype=np.int64)
    counter = np.array([order[1] for order in orders], dtype=np.int64)
    terms = [("u1", side.astype(np.int64)), ("<i8", quantity), ("<i8", price), ("<i8", clearing.filled_wh)]
    value: dict[str, Any] = {
        "area": area,
        "book_root": salted_root(sm3(seed + b"book"), [("<u4", rank), *terms]),
        "contract": contract.contract_id,
        "fills_root": salted_root(sm3(seed + b"fills"), [("<u4", meter), ("<u4", counter), *terms]),
        "orders": len(orders),
        "rules": sm3(rules_leaf),
        "slot_start_s": slot_start_s,
        "volume_wh": clearing.volume_wh,
    }
    if clearing.price_micro_per_kwh is not None:
        value["price_micro_per_kwh"] = clearing.price_micro_per_kwh
    draft.put(f"clearing/{area}/{slot_start_s}", value)
    filled_wh = clearing.filled_wh.tolist()
    fills = [[*order[:5], filled] for order, filled in zip(orders, filled_wh, strict=True)]
    for chunk, start, end in chunks(len(fills)):
        draft.put(f"fills/{area}/{slot_start_s}/{chunk}", {"fills": fills[start:end]})
    return len(orders)


def salted_root(seed: bytes, fields: list[tuple[str, Int64]]) -> bytes:
    """Root over salted rows packed from columns."""
    return merkle.root_of_hashes(merkle.salted_leaf_hashes(seed, encode_rows(fields)))


def load_fills(draft: Draft, area: str, slot_start_s: int) -> list[list[Any]]:
    """[party, counter, side, quantity, price, filled] of every order of a cleared slot."""
    fills: list[list[Any]] = []
    clearing = draft.must(f"clearing/{area}/{slot_start_s}")
    for chunk, _, _ in chunks(clearing["orders"]):
        fills += draft.must(f"fills/{area}/{slot_start_s}/{chunk}")["fills"]
    return fills

"""The gate of a slot: what clearing makes of its book (docs/spec/state.md, "Clear")."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np

from gridcore import cbor, merkle
from gridcore.rows import PackedRows
from gridcore.sm3 import sm3
from ledger.contract import BUY, SELL, Contract
from ledger.leaves.area import AREA
from ledger.leaves.book import Order, load_orders
from ledger.leaves.clearing import CLEARING, ClearingLeaf
from ledger.leaves.columns import Int64
from ledger.leaves.fills import Fill, FillsLeaf, save_fills
from ledger.leaves.party import PARTY
from ledger.leaves.rules import RULES
from ledger.state.columns import encode_rows
from ledger.state.draft import Draft

SIDES: Final[Mapping[str, int]] = {"buy": BUY, "sell": SELL}
OrderOrFill = TypeVar("OrderOrFill", bound=Order | Fill)


def order_id(party: str, slot_start_s: int, counter: int) -> str:
    """The name of an order; its bytes break ties."""
    return f"{party}/{slot_start_s}/{counter}"


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

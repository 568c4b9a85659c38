"""Orders and gates: a slot's book, and what clearing makes of it (docs/spec/state.md)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from gridcore import cbor
from gridcore.sm3 import sm3
from tests.twin.contracts import MARKETS, Order
from tests.twin.forms import Column, Leaf, pack, salted_root

if TYPE_CHECKING:
    from tests.twin.twin import Twin

CHUNK = 1_024
BOOK = ("area", "counter", "held_micro_per_kwh", "party", "price_micro_per_kwh", "quantity_wh", "side")
FILLS = ("area", "counter", "filled_wh", "held_micro_per_kwh", "party", "price_micro_per_kwh", "quantity_wh", "side")


def chunks(twin: Twin, prefix: str) -> Iterable[Leaf]:
    """The leaves ``prefix/0``, ``prefix/1`` ... as far as there are any."""
    number = 0
    while f"{prefix}/{number}" in twin.leaves:
        yield twin.leaves[f"{prefix}/{number}"]
        number += 1


def load_book(twin: Twin, zone: str, slot: int) -> list[Order]:
    """All standing orders of a slot."""
    orders = []
    for number in twin.leaves.get(f"orders/{slot}/{zone}", {"chunks": []})["chunks"]:
        chunk = twin.leaves[f"book/{slot}/{zone}/{number}"]
        for row, (area, counter, held, number, price, quantity, side) in enumerate(
            zip(*(chunk[column] for column in BOOK), strict=True)
        ):
            part = slice(32 * row, 32 * row + 32)
            party = twin.registry.parties[number]
            orders.append(
                Order(
                    area, party, number, counter, side, quantity, price, held, chunk["ids"][part], chunk["seeds"][part]
                )
            )
    return orders


def clear_slot(twin: Twin, zone: str, slot: int) -> int:
    """Close a slot's gate: for each area one price, each order's fill. Returns the number of orders."""
    contract = twin.contract(zone, slot)
    orders = sorted(load_book(twin, zone, slot), key=lambda order: (order.area, order.id(slot)))
    seed = sm3(cbor.encode(["clearing-seed/2", slot, zone, [order.seed for order in orders]]))
    area_rows: list[bytes] = []
    results: list[tuple[int, int, int, int]] = []
    rules_digests, book_roots, fills_roots = b"", b"", b""
    table: list[tuple[int, ...]] = []
    for number, area in enumerate(twin.registry.areas[zone]):
        own = [order for order in orders if order.area == number]
        rules_digest, rules = twin.rules(area, slot)
        price, volume, fills = MARKETS[contract["contract"]].clear(own, rules["terms"])
        fills_root, book_root = row_roots(zone, slot, number, own, fills)
        priced = int(volume > 0)
        terms = pack("IIqBq", number, len(own), volume, priced, price if priced else 0)
        area_rows.append(terms + rules_digest + book_root + fills_root)
        results.append((priced, len(own), price if priced else 0, volume))
        rules_digests, book_roots = rules_digests + rules_digest, book_roots + book_root
        fills_roots += fills_root
        for order, filled in zip(own, fills, strict=True):
            table.append(
                (number, order.counter, filled, order.held, order.number, order.price, order.quantity_wh, order.side)
            )
    twin.leaves[f"clearing/{slot}/{zone}"] = {
        "areas": len(area_rows),
        "areas_root": salted_root(sm3(seed + b"areas"), area_rows),
        "contract": contract["contract"],
        "contract_pin": contract["contract_pin"],
        "slot_start_s": slot,
        "zone": zone,
    }
    for chunk, at in enumerate(range(0, len(results), CHUNK)):
        part, digests = slice(at, at + CHUNK), slice(32 * at, 32 * (at + CHUNK))
        columns = zip(
            ("has_price", "orders", "price_micro_per_kwh", "volume_wh"), zip(*results[part], strict=True), strict=True
        )
        leaf: Leaf = {name: Column(column) for name, column in columns} | {"seed": seed}
        leaf |= {
            "book_roots": book_roots[digests],
            "fills_roots": fills_roots[digests],
            "rules": rules_digests[digests],
        }
        twin.leaves[f"cleared/{slot}/{zone}/{chunk}"] = leaf
    for chunk, at in enumerate(range(0, len(table), CHUNK)):
        rows = zip(*table[at : at + CHUNK], strict=True)
        fills_leaf: Leaf = {name: Column(column) for name, column in zip(FILLS, rows, strict=True)}
        twin.leaves[f"fills/{slot}/{zone}/{chunk}"] = fills_leaf | {"seed": seed}
    return len(orders)


def row_roots(zone: str, slot: int, area: int, orders: list[Order], fills: list[int]) -> tuple[bytes, bytes]:
    """fills_root and book_root of one area."""
    seed = sm3(cbor.encode(["clearing-seed/2", area, slot, zone, [order.seed for order in orders]]))
    fill_rows, book_rows = [], []
    for rank, (order, filled) in enumerate(zip(orders, fills, strict=True)):
        terms = (order.side, order.quantity_wh, order.price, filled)
        fill_rows.append(pack("IIBqqq", order.number, order.counter, *terms))
        book_rows.append(pack("IBqqq", rank, *terms))
    return salted_root(sm3(seed + b"fills"), fill_rows), salted_root(sm3(seed + b"book"), book_rows)

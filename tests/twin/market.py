"""Orders and gates: a slot's book, and what clearing makes of it (docs/spec/state.md)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from gridcore import cbor
from gridcore.sm3 import sm3
from tests.twin.contracts import Gate, Order
from tests.twin.forms import Column, Leaf, pack, salted_root
from tests.twin.markets import MARKETS

if TYPE_CHECKING:
    from tests.twin.twin import Twin

CHUNK = 1_024
BOOK = (
    "area",
    "counter",
    "held_micro_per_kwh",
    "party",
    "price_micro_per_kwh",
    "quantity_wh",
    "recorded_height",
    "side",
    "withdrawn_height",
    "all_or_none",
    "wants",
)
TRADES = ("area", "buy", "energy_wh", "price_micro_per_kwh", "sell")
FILLS = (
    *("area", "counter", "filled_wh", "held_micro_per_kwh", "party", "price_micro_per_kwh", "quantity_wh", "side"),
    "all_or_none",
)
"""Behind them: amount_nano under contracts that trade in pairs, until_rank where orders rank by arrival, what the contract asks of orders."""


def chunks(twin: Twin, prefix: str) -> Iterable[Leaf]:
    """The leaves ``prefix/0``, ``prefix/1`` ... as far as there are any."""
    number = 0
    while f"{prefix}/{number}" in twin.leaves:
        yield twin.leaves[f"{prefix}/{number}"]
        number += 1


def load_book(twin: Twin, zone: str, slot: int) -> list[Order]:
    """All orders of a slot, withdrawn ones among them."""
    orders = []
    for number in twin.leaves.get(f"orders/{slot}/{zone}", {"chunks": []})["chunks"]:
        chunk = twin.leaves[f"book/{slot}/{zone}/{number}"]
        for row, (area, counter, held, number, price, quantity, recorded, side, withdrawn, whole, wants) in enumerate(
            zip(*(chunk[column] for column in BOOK), strict=True)
        ):
            part = slice(32 * row, 32 * row + 32)
            party = twin.registry.parties[number]
            named = (
                area,
                party,
                number,
                counter,
                side,
                quantity,
                price,
                held,
                chunk["ids"][part],
                chunk["seeds"][part],
            )
            orders.append(Order(*named, recorded, withdrawn, whole, wants))
    return orders


def may_have_traded(twin: Twin, zone: str, slot: int) -> list[Order]:
    """The orders that stand, and under a contract that ranks by arrival those that were withdrawn."""
    by_arrival = MARKETS[twin.contract(zone, slot)["contract"]].ranks_by_arrival
    return [order for order in load_book(twin, zone, slot) if by_arrival or not order.withdrawn]


def ranked(orders: list[Order], slot: int, *, by_arrival: bool) -> list[Order]:
    """The orders that a gate sees, by area, then by rank."""
    if by_arrival:
        return sorted(orders, key=lambda o: (o.area, o.recorded, o.transaction_id, o.number, o.counter))
    return sorted((o for o in orders if not o.withdrawn), key=lambda order: (order.area, order.id(slot)))


def until_rank(orders: list[Order], order: Order) -> int:
    """The rank before which an order was withdrawn; the number of orders for one that was not."""
    return sum(not order.withdrawn or other.recorded < order.withdrawn for other in orders)


def clear_slot(twin: Twin, zone: str, slot: int) -> int:
    """Close a slot's gate: for each area one price, each order's fill. Returns the number of orders."""
    contract = twin.contract(zone, slot)
    market: Any = MARKETS[contract["contract"]]
    has_fees = getattr(market, "has_fees", False)
    orders = ranked(load_book(twin, zone, slot), slot, by_arrival=market.ranks_by_arrival)
    seed = sm3(cbor.encode(["clearing-seed/2", slot, zone, [order.seed for order in orders]]))
    area_rows: list[bytes] = []
    results: list[tuple[int, int, int, int]] = []
    rules_digests, book_roots, fills_roots = b"", b"", b""
    table: list[tuple[int, ...]] = []
    trades, trade_counts, trades_roots = list[tuple[int, ...]](), list[int](), b""
    for number, area in enumerate(twin.registry.areas[zone]):
        own = market.ask(twin, zone, slot, [order for order in orders if order.area == number])
        rules_digest, rules = twin.rules(area, slot)
        gate = clear_whole(market, own, rules["terms"])
        until = [until_rank(own, order) for order in own] if market.ranks_by_arrival else None
        roots = row_roots(zone, slot, number, own, gate, until, has_fees=has_fees)
        price = gate.price if gate.has_price else 0
        terms = pack("IIqBq", number, len(own), gate.volume_wh, int(gate.has_price), price)
        area_rows.append(terms + rules_digest + roots.book + roots.fills)
        results.append((int(gate.has_price), len(own), price, gate.volume_wh))
        rules_digests, book_roots = rules_digests + rules_digest, book_roots + roots.book
        fills_roots += roots.fills
        if gate.trades is not None:
            area_rows[-1] += pack("I", len(gate.trades)) + roots.trades
            trade_counts.append(len(gate.trades))
            trades_roots += roots.trades
            first = len(table)
            pairs = [(number, first + t.buy, t.energy_wh, t.price, first + t.sell, t.fee) for t in gate.trades]
            trades += [pair if has_fees else pair[:-1] for pair in pairs]
        table += [fill_row(gate, order, rank, until, has_fees=has_fees) for rank, order in enumerate(own)]
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
        if trade_counts:
            leaf |= {"trades": Column(trade_counts[part]), "trades_roots": trades_roots[digests]}
        twin.leaves[f"cleared/{slot}/{zone}/{chunk}"] = leaf
    write_rows(twin, f"fills/{slot}/{zone}", fill_names(market, is_paired=bool(trade_counts)), table, seed)
    write_rows(twin, f"trades/{slot}/{zone}", (*TRADES, *("fee_micro_per_kwh",) * has_fees), trades, seed)
    return len(orders)


def fill_row(gate: Gate, order: Order, rank: int, until: list[int] | None, *, has_fees: bool) -> tuple[int, ...]:
    """An order of a gate with what it got, in the order of ``fill_names``."""
    row = (order.area, order.counter, gate.filled_wh[rank], order.held, order.number)
    said = (order.price, order.quantity_wh, order.side, order.whole)
    paired = () if gate.trades is None else (amount_of(gate, rank),)
    paid = (fee_of(gate, rank),) if has_fees else ()
    return (*row, *said, *paired, *(() if until is None else (until[rank],)), *paid, *order.asked)


def fill_names(market: Any, *, is_paired: bool) -> tuple[str, ...]:
    """The columns of fills."""
    more = ("amount_nano",) * is_paired + ("until_rank",) * market.ranks_by_arrival
    return (*FILLS, *more, *("fee_nano",) * getattr(market, "has_fees", False), *getattr(market, "order_terms", ()))


def clear_whole(market: Any, orders: Sequence[Order], terms: Leaf) -> Gate:
    """The gate of an area; orders that are all or none and lack energy are left out, half of them a time, and after 32 times all."""
    left = list(range(len(orders)))
    for number in range(1, 34):
        gate: Gate = market.clear([orders[rank] for rank in left], terms)
        got = dict(zip(left, gate.filled_wh, strict=True))
        lacks = {rank: orders[rank].quantity_wh - got[rank] for rank in left if orders[rank].whole}
        out = sorted((rank for rank in lacks if lacks[rank]), key=lambda rank: (-lacks[rank], -rank))
        if not out:
            break
        gone = out[: (len(out) + 1) // 2] if number < 32 else list(lacks)
        left = [rank for rank in left if rank not in gone]
    return gate._replace(filled_wh=[got.get(rank, 0) for rank in range(len(orders))])


def write_rows(twin: Twin, prefix: str, names: Sequence[str], table: Sequence[tuple[int, ...]], seed: bytes) -> None:
    """Rows as columns, chunk by chunk, each beside the seed."""
    for chunk, at in enumerate(range(0, len(table), CHUNK)):
        columns = zip(names, zip(*table[at : at + CHUNK], strict=True), strict=True)
        twin.leaves[f"{prefix}/{chunk}"] = {name: Column(column) for name, column in columns} | {"seed": seed}


class Roots(NamedTuple):
    """Those of one area."""

    fills: bytes
    book: bytes
    trades: bytes


def amount_of(gate: Gate, rank: int) -> int:
    """What the trades of an order come to, nano."""
    return sum(trade.energy_wh * trade.price for trade in gate.trades or () if rank in (trade.buy, trade.sell))


def fee_of(gate: Gate, rank: int) -> int:
    """What a buy pays beyond the prices of its trades, nano."""
    return sum(trade.energy_wh * trade.fee for trade in gate.trades or () if rank == trade.buy)


def row_roots(
    zone: str, slot: int, area: int, orders: list[Order], gate: Gate, until: list[int] | None, *, has_fees: bool
) -> Roots:
    """Over the fills of one area, over its book, and over its trades."""
    seed = sm3(cbor.encode(["clearing-seed/2", area, slot, zone, [order.seed for order in orders]]))
    fill_rows, book_rows, trade_rows = [], [], []
    for rank, (order, filled) in enumerate(zip(orders, gate.filled_wh, strict=True)):
        terms = (order.side + 2 * order.whole, order.quantity_wh, order.price, filled)
        amount = b"" if gate.trades is None else pack("q", amount_of(gate, rank))
        amount += pack("q", fee_of(gate, rank)) if has_fees else b""
        asked = b"".join(pack("I", value) for value in order.asked)
        fill_rows.append(pack("IIBqqq", order.number, order.counter, *terms) + amount + asked)
        book_rows.append(pack("IBqqq", rank, *terms) + (b"" if until is None else pack("I", until[rank])) + asked)
    for trade in gate.trades or ():
        both = (orders[trade.buy], orders[trade.sell])
        names = [number for order in both for number in (order.number, order.counter)]
        fee = pack("q", trade.fee) if has_fees else b""
        trade_rows.append(pack("IIIIqq", *names, trade.energy_wh, trade.price) + fee)
    return Roots(
        fills=salted_root(sm3(seed + b"fills"), fill_rows),
        book=salted_root(sm3(seed + b"book"), book_rows),
        trades=salted_root(sm3(seed + b"trades"), trade_rows),
    )

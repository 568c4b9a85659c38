"""The slow twin of the contract ``p2p_call_auction/1``: how a slot's orders are cleared and how its energy is settled.

Written from the rules for ``call_auction`` (pro rata) and ``slot_settlement`` alone, candidate by candidate and participant by
participant, in whole numbers and fractions. ``tests/twin.py`` says when they are called and what becomes of the results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

# --------------------------------------------------------------------------------------------- the call auction


class Order(NamedTuple):
    """A standing order, as the book holds it."""

    party: str
    counter: int
    side: str
    quantity_wh: int
    price: int
    transaction_id: bytes
    seed: bytes

    def id(self, slot_start_s: int) -> bytes:
        """``<party>/<slot>/<counter>``, whose UTF-8 bytes break ties."""
        return f"{self.party}/{slot_start_s}/{self.counter}".encode()


def split_by_largest_remainder(total: int, weights: Sequence[int]) -> list[int]:
    """``total`` in proportion to ``weights``; odd units to the largest remainders, equal ones in the order given."""
    shares = [Fraction(total * weight, sum(weights)) for weight in weights]
    parts = [int(share) for share in shares]
    order = sorted(range(len(weights)), key=lambda i: (parts[i] - shares[i], i))
    for i in order[: total - sum(parts)]:
        parts[i] += 1
    return parts


def clearing_price(orders: Sequence[Order], reference: int | None) -> tuple[int, int]:
    """(price, volume) of the uniform price that trades most."""
    candidates = []
    for price in sorted({order.price for order in orders}):
        demand = sum(o.quantity_wh for o in orders if o.side == "buy" and o.price >= price)
        supply = sum(o.quantity_wh for o in orders if o.side == "sell" and o.price <= price)
        candidates.append((min(demand, supply), demand - supply, price))
    volume = max((volume for volume, _, _ in candidates), default=0)
    candidates = [c for c in candidates if c[0] == volume]
    least = min((abs(excess) for _, excess, _ in candidates), default=0)
    candidates = [c for c in candidates if abs(c[1]) == least]
    if not candidates:
        return 0, 0
    low, high = candidates[0][2], candidates[-1][2]
    if all(excess > 0 for _, excess, _ in candidates):
        return high, volume
    if all(excess < 0 for _, excess, _ in candidates):
        return low, volume
    return (low + high) // 2 if reference is None else min(max(reference, low), high), volume


def ration(orders: Sequence[Order], volume: int, best_first: Callable[[Order], int]) -> dict[Order, int]:
    """Whole price levels, the best first, while they fit; the one that does not is shared pro rata of what is left."""
    fills: dict[Order, int] = {}
    for level in sorted({best_first(order) for order in orders}):
        members = [order for order in orders if best_first(order) == level]
        quantities = [order.quantity_wh for order in members]
        parts = quantities if sum(quantities) <= volume else split_by_largest_remainder(volume, quantities)
        fills |= dict(zip(members, parts, strict=True))
        volume -= sum(parts)
    return fills


def clear(orders: Sequence[Order], reference: int | None) -> tuple[int, int, list[int]]:
    """``p2p_call_auction/1``: (price, volume, filled Wh of each order). Orders come ascending by order id."""
    price, volume = clearing_price(orders, reference)
    if volume == 0:
        return 0, 0, [0 for _ in orders]
    buys = [order for order in orders if order.side == "buy" and order.price >= price]
    sells = [order for order in orders if order.side == "sell" and order.price <= price]
    fills = ration(buys, volume, lambda order: -order.price) | ration(sells, volume, lambda order: order.price)
    return price, volume, [fills.get(order, 0) for order in orders]


# ------------------------------------------------------------------------------------------------- slot settlement


Line = tuple[int, int, int, int, str]
"""Kind, energy_wh, price, amount_nano, counter-account: a positive amount is owed by the participant to the account."""


def settle_point(
    imported: int, exported: int, bought: int, sold: int, trade_price: int, prices: Mapping[str, int]
) -> tuple[list[Line], int, int]:
    """``slot_settlement/1`` of one participant: (lines in order of kind, pays_nano, supplier_only_nano)."""
    p = {name.removesuffix("_micro_per_kwh"): price for name, price in prices.items()}
    over_import, over_export = imported - bought, exported - sold
    traded = min(imported, bought)
    table = [
        (+1, bought, trade_price, "clearing"),
        (-1, sold, trade_price, "clearing"),
        (+1, max(over_import, 0), p["residual_price"], "supplier"),
        (-1, max(-over_import, 0), p["surplus_price"], "balance"),
        (-1, max(over_export, 0), p["feed_in_price"], "offtaker"),
        (+1, max(-over_export, 0), p["shortfall_price"], "balance"),
        (+1, traded, p["network_traded"], "network"),
        (+1, imported - traded, p["network_residual"], "network"),
        (+1, imported, p["levy"], "levy"),
    ]
    lines = [
        (kind, energy, price, sign * energy * price, account)
        for kind, (sign, energy, price, account) in enumerate(table)
        if energy > 0
    ]
    supplier_only = imported * (p["residual_price"] + p["network_residual"] + p["levy"]) - exported * p["feed_in_price"]
    return lines, sum(line[3] for line in lines), supplier_only

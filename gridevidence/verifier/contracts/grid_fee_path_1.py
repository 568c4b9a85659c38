"""The arithmetic of ``grid_fee_path/1`` and ``/2``: markets one above the other, cleared from the lowest up, with the fees of the places between."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from gridevidence.layout import PLACED_TERMS
from gridevidence.verifier.answers import hold
from gridevidence.verifier.contract import LineKind, Match, PointLine, Settled
from gridevidence.verifier.contracts.traders import METERED_KINDS, PAIRED_KINDS, lines_of_metered, paired_contract

GRID_KINDS: Final = (*PAIRED_KINDS[:2], LineKind("grid_fee", "network", 1, ""), *METERED_KINDS)
PLACE_LEVELS_MAX: Final = 8


class GridPlace(NamedTuple):
    """A place by number: its parent's number, 0 of the first; how deep it lies; its fee per kWh, and as a fraction of the offer."""

    parent: int
    level: int
    fee: int
    fee_ppm: int

    def fee_of(self, limit: int) -> int:
        """What it takes of a kWh that is asked for at a limit."""
        return self.fee + max(limit, 0) * self.fee_ppm // 1_000_000


def grid_places(terms: Mapping[str, Any]) -> dict[int, GridPlace]:
    """The places of an area's grid; halts where they are no tree with every parent before its children."""
    found: dict[int, GridPlace] = {}
    for listed in terms["grid_places"]:
        number, above = listed["place"], GridPlace(0, -1, 0, 0)
        hold(number not in found and ("parent" in listed) == bool(found), "the places of the grid are no tree")
        if "parent" in listed:
            hold(listed["parent"] in found, "a place of the grid stands before its parent")
            above = found[listed["parent"]]
        hold(above.level + 1 < PLACE_LEVELS_MAX, "a place of the grid lies too deep")
        fees = listed["fee_micro_per_kwh"], listed.get("fee_ppm", 0)
        found[number] = GridPlace(listed.get("parent", 0), above.level + 1, *fees)
    return found


def _fees_below(number: int, market: int, limit: int, places: dict[int, GridPlace]) -> int:
    """The fees of a limit from a place to the last below a market."""
    fees = 0
    while number != market:
        fees += places[number].fee_of(limit)
        number = places[number].parent
    return fees


def grid_fee_path(orders: Sequence[tuple[int, ...]], terms: Mapping[str, Any]) -> list[Match]:
    """Trades at what sellers get, each with the fees on its path. orders: side, quantity, limit, number of the place."""
    places, left_wh, trades = grid_places(terms), [order[1] for order in orders], list[Match]()
    stands = {rank: order[3] for rank, order in enumerate(orders) if order[3] in places}
    for level in range(PLACE_LEVELS_MAX - 1, -1, -1):
        markets: dict[int, list[int]] = {}
        for rank, number in stands.items():
            if places[number].level == level:
                markets.setdefault(number, []).append(rank)
        for number in sorted(markets, key=list(places).index):
            trades += _clear_place(number, markets[number], orders, places, left_wh, terms.get("price_rule"))
            stands.update((rank, places[number].parent) for rank in markets[number])
        stands = {rank: number for rank, number in stands.items() if left_wh[rank] and number}
    return trades


def _clear_place(
    number: int,
    ranks: list[int],
    orders: Sequence[tuple[int, ...]],
    places: dict[int, GridPlace],
    left_wh: list[int],
    price_rule: str | None,
) -> list[Match]:
    """The best bid meets the cheapest offer, as they are seen in the place, each with the fees of its own limit, while they cross."""
    below = {rank: _fees_below(orders[rank][3], number, orders[rank][2], places) for rank in ranks}
    bids = sorted((below[rank] - orders[rank][2], rank) for rank in ranks if orders[rank][0] == 0)
    seen = {rank: orders[rank][2] + below[rank] + places[number].fee_of(orders[rank][2]) for rank in ranks}
    offers = sorted((seen[rank], rank) for rank in ranks if orders[rank][0] == 1)
    trades, place = list[Match](), 0
    for negated, buy in bids:
        while left_wh[buy] and place < len(offers) and offers[place][0] <= -negated:
            sell, asked = offers[place][1], orders[offers[place][1]][2]
            energy_wh = min(left_wh[buy], left_wh[sell])
            fee = seen[sell] - asked + _fees_below(orders[buy][3], number, asked, places)
            price = orders[buy][2] - fee if price_rule == "pay_as_bid" else asked
            trades.append(Match(buy, sell, energy_wh, price, fee))
            left_wh[buy] -= energy_wh
            left_wh[sell] -= energy_wh
            place += left_wh[sell] == 0
    return trades


def _lines_of_placed(of: Settled) -> list[PointLine]:
    """A line of each of GRID_KINDS, in their order."""
    kept, (buys, sells, fees) = of.columns, GRID_KINDS[:3]
    return [
        PointLine(buys, kept["bought_wh"], None, kept["bought_nano"]),
        PointLine(sells, kept["sold_wh"], None, -kept["sold_nano"]),
        PointLine(fees, kept["bought_wh"], None, kept["grid_fee_nano"]),
        *lines_of_metered(of),
    ]


GRID_FEE_PATH_1: Final = paired_contract(
    "grid_fee_path/1",
    grid_fee_path,
    ("that the places of the other sides in the grid, and of the party's points that were registered anew behind its orders, are those that were registered",),
)._replace(
    position_columns=(
        "bought_wh", "sold_wh", "bought_nano", "sold_nano", "grid_fee_nano", "pays_nano", "supplier_only_nano",
    ),
    line_kinds=GRID_KINDS,
    lines_of_point=_lines_of_placed,
    terms={
        "grid_places": [
            {"fee_micro_per_kwh": range(10**9 + 1), "parent?": range(1, 65_536), "place": range(1, 65_536)}, 1, 64,
        ],
        "price_rule": re.compile("pay_as_bid|pay_as_offer"),
    },
    check_terms=grid_places,
    order_terms=PLACED_TERMS,
    has_grid_fees=True,
)  # fmt: skip

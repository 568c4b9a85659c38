"""What contracts have in common by which a community shares its energy after the fact, between the grid's two prices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from gridevidence.verifier.answers import hold, same
from gridevidence.verifier.contract import Contract, LineKind, PointLine, Settled, priced_line

RETAIL_PRICE, FEED_IN_PRICE = "residual_price_micro_per_kwh", "feed_in_price_micro_per_kwh"
COMMUNITY_KINDS: Final = (
    LineKind("community_buy", "community", 1, ""),
    LineKind("community_sell", "community", -1, ""),
    LineKind("network_traded", "network", 1, "network_traded_micro_per_kwh"),
    LineKind("network_residual", "network", 1, "network_residual_micro_per_kwh"),
    LineKind("levy", "levy", 1, "levy_micro_per_kwh"),
)
CHARGES: Final = COMMUNITY_KINDS[2:]


class Side(NamedTuple):
    """One side of the community's exchange: what a point adds to it, and what all of it come to."""

    energy_wh: int
    all_wh: int
    all_nano: int
    """What the buyers owe together, or the sellers get."""


class Sums(NamedTuple):
    """One slot of a community, and the prices of the grid, b and s of docs/spec/contracts.md."""

    surplus_wh: int
    deficit_wh: int
    retail: int
    feed_in: int


class Exchange(NamedTuple):
    """What the buyers owe together, and what the sellers get."""

    buyers_nano: int
    sellers_nano: int


def _sides(of: Settled, exchange: Exchange) -> tuple[Side, Side]:
    """Buyers and sellers, with the point's part in each."""
    net_wh = of.import_wh - of.export_wh
    buyers = Side(max(net_wh, 0), of.area["deficit_wh"], exchange.buyers_nano)
    return buyers, Side(max(-net_wh, 0), of.area["surplus_wh"], exchange.sellers_nano)


def lines_of_member(of: Settled) -> list[PointLine]:
    """A line of each of COMMUNITY_KINDS, in their order; the community's amount is the position's own."""
    buys, sells = COMMUNITY_KINDS[:2]
    buys_wh, sells_wh = max(of.import_wh - of.export_wh, 0), max(of.export_wh - of.import_wh, 0)
    community_nano = of.columns["community_nano"]
    return [
        PointLine(buys, buys_wh, None, community_nano if buys_wh else 0),
        PointLine(sells, sells_wh, None, community_nano if sells_wh else 0),
        *(priced_line(kind, energy_wh, of) for kind, energy_wh in zip(CHARGES, charged_wh(of), strict=True)),
    ]


def charged_wh(of: Settled) -> tuple[int, ...]:
    """The energy of each of CHARGES."""
    bought_wh = of.columns["bought_wh"]
    return bought_wh, of.import_wh - bought_wh, of.import_wh


def hold_share(what: str, share: int, total: int, side: Side) -> None:
    """Hold that ``share`` is what largest remainder gives: the floor, or one more where the division leaves a rest."""
    floor, rest = divmod(total * side.energy_wh, side.all_wh) if side.all_wh else (0, 0)
    hold(floor <= share <= floor + (rest > 0), f"{what} is not the share that is due")


def _check_member(of: Settled, rule: Callable[[Sums], Exchange]) -> None:
    prices = of.area_prices
    sums = Sums(of.area["surplus_wh"], of.area["deficit_wh"], prices[RETAIL_PRICE], prices[FEED_IN_PRICE])
    hold(min(of.area.values()) >= 0, "a sum of the area is negative")
    buyers, sellers = _sides(of, rule(sums))
    within = buyers.energy_wh <= buyers.all_wh and sellers.energy_wh <= sellers.all_wh
    hold(within, "the point has more surplus or deficit than its area")
    shared_wh = min(sums.surplus_wh, sums.deficit_wh)
    hold_share("the energy bought", of.columns["bought_wh"], shared_wh, buyers)
    hold_share("the energy sold", of.columns["sold_wh"], shared_wh, sellers)
    community_nano = of.columns["community_nano"]
    if buyers.energy_wh > 0:
        hold_share("what the community gets", community_nano, buyers.all_nano, buyers)
    elif sellers.energy_wh > 0:
        hold_share("what the community pays", -community_nano, sellers.all_nano, sellers)
    else:
        same("what a point without surplus and deficit pays the community", community_nano, 0)


def community_contract(contract_id: str, feed_in_min: int, rule: Callable[[Sums], Exchange]) -> Contract:
    """A contract whose slots are shared by ``rule``; ``feed_in_min``: the lowest feed-in price that has a result."""
    return Contract(
        contract_id=contract_id,
        position_columns=("bought_wh", "sold_wh", "community_nano", "pays_nano", "supplier_only_nano"),
        area_columns=("surplus_wh", "deficit_wh"),
        line_kinds=COMMUNITY_KINDS,
        price_keys=(RETAIL_PRICE, FEED_IN_PRICE, *(charge.price for charge in CHARGES)),
        terms={},
        takes_prices=lambda prices: feed_in_min <= prices[FEED_IN_PRICE] <= prices[RETAIL_PRICE],
        lines_of_point=lines_of_member,
        check_point=lambda of: _check_member(of, rule),
        clear=None,
        not_checked=(
            "that the community's surplus and deficit are the sums of its members' energies, and who got a unit that was left over",
        ),
    )

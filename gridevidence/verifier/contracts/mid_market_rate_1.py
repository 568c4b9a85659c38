"""The arithmetic of ``mid_market_rate/1``: a community shares its energy after the fact, at the mean of two prices."""

from __future__ import annotations

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


def _sides(of: Settled) -> tuple[Side, Side, int]:
    """Buyers, sellers, and the energy that is shared: the smaller of all surpluses and all deficits."""
    surplus_wh, deficit_wh = of.area["surplus_wh"], of.area["deficit_wh"]
    shared_wh, retail, feed_in = min(surplus_wh, deficit_wh), of.prices[RETAIL_PRICE], of.prices[FEED_IN_PRICE]
    transfer_nano = shared_wh * (retail + feed_in) // 2
    net_wh = of.import_wh - of.export_wh
    buyers = Side(max(net_wh, 0), deficit_wh, transfer_nano + (deficit_wh - shared_wh) * retail)
    sellers = Side(max(-net_wh, 0), surplus_wh, transfer_nano + (surplus_wh - shared_wh) * feed_in)
    return buyers, sellers, shared_wh


def lines_of_member(of: Settled) -> list[PointLine]:
    """A line of each of COMMUNITY_KINDS, in their order; the community's amount is the position's own."""
    buys, sells = COMMUNITY_KINDS[:2]
    buyers, sellers, _ = _sides(of)
    community_nano, bought_wh = of.columns["community_nano"], of.columns["bought_wh"]
    energies_wh = (bought_wh, of.import_wh - bought_wh, of.import_wh)
    return [
        PointLine(buys, buyers.energy_wh, None, community_nano if buyers.energy_wh > 0 else 0),
        PointLine(sells, sellers.energy_wh, None, community_nano if sellers.energy_wh > 0 else 0),
        *(priced_line(kind, energy_wh, of) for kind, energy_wh in zip(CHARGES, energies_wh, strict=True)),
    ]


def _hold_share(what: str, share: int, total: int, side: Side) -> None:
    """Hold that ``share`` is what largest remainder gives: the floor, or one more where the division leaves a rest."""
    floor, rest = divmod(total * side.energy_wh, side.all_wh) if side.all_wh else (0, 0)
    hold(floor <= share <= floor + (rest > 0), f"{what} is not the share that is due")


def _check_member(of: Settled) -> None:
    hold(
        0 <= of.prices[FEED_IN_PRICE] <= of.prices[RETAIL_PRICE], "the feed-in price is not from 0 to the retail price"
    )
    buyers, sellers, shared_wh = _sides(of)
    hold(min(of.area.values()) >= 0, "a sum of the area is negative")
    within = buyers.energy_wh <= buyers.all_wh and sellers.energy_wh <= sellers.all_wh
    hold(within, "the point has more surplus or deficit than its area")
    _hold_share("the energy bought", of.columns["bought_wh"], shared_wh, buyers)
    _hold_share("the energy sold", of.columns["sold_wh"], shared_wh, sellers)
    community_nano = of.columns["community_nano"]
    if buyers.energy_wh > 0:
        _hold_share("what the community gets", community_nano, buyers.all_nano, buyers)
    elif sellers.energy_wh > 0:
        _hold_share("what the community pays", -community_nano, sellers.all_nano, sellers)
    else:
        same("what a point without surplus and deficit pays the community", community_nano, 0)


MID_MARKET_RATE_1: Final = Contract(
    contract_id="mid_market_rate/1",
    position_columns=("bought_wh", "sold_wh", "community_nano", "pays_nano", "supplier_only_nano"),
    area_columns=("surplus_wh", "deficit_wh"),
    line_kinds=COMMUNITY_KINDS,
    price_keys=(RETAIL_PRICE, FEED_IN_PRICE, *(charge.price for charge in CHARGES)),
    terms={},
    lines_of_point=lines_of_member,
    check_point=_check_member,
    clear=None,
    not_checked=(
        "that the community's surplus and deficit are the sums of its members' energies, and who got a unit that was left over",
    ),
)

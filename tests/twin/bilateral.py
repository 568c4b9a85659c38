"""Agreements between two points: who answers for them, which hold in a slot, and how ``bilateral_agreements/1`` settles them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from gridcore import cbor
from tests.twin.contracts import (
    COMMON_PRICES,
    CallAuction,
    Line,
    Member,
    MidMarketRate,
    Settled,
    are_prices,
    auction_lines,
    charges,
    named,
    received_by,
    supplier_only,
)
from tests.twin.forms import Leaf
from tests.twin.registry_forms import AGREED

if TYPE_CHECKING:
    from tests.twin.registry import Registry
    from tests.twin.twin import Twin

OF_POINT_MAX, EVER_OF_POINT_MAX, DIFFERENCE_NANO_MAX, SCHEDULE_WH_MAX = 8, 256, 5 * 10**17, 125_000_000


# ---------------------------------------------------------------------------------------------------- registration


def answering(registry: Registry, rows: Sequence[bytes]) -> set[str]:
    """The organisations without whose word rows do not stand: those of the parties of agreements."""
    agreed = [value for key, _, value in map(cbor.decode, rows) if key.startswith("agreement/")]
    return {organisation for value in agreed for organisation in organisations_of(registry, value)}


def organisations_of(registry: Registry, agreement: Leaf) -> set[str]:
    """Those of its parties that are there."""
    parties = [registry.history("party/" + agreement[side]) for side in ("seller", "buyer")]
    return {rows[0][1]["organisation"] for rows in parties if rows}


def agreement_conflicts(registry: Registry, rows: Sequence[tuple[int, Leaf]]) -> bool:
    """Its sides never change, both points are of one area, and none of them has more than 8 agreements at a time, or 256 ever."""
    sides = [{side: value[side] for side in AGREED} for _, value in rows]
    points = [sides[0]["seller_point"], sides[0]["buyer_point"]]
    if any(side != sides[0] for side in sides) or len({registry.first("point/" + p)["area"] for p in points}) > 1:
        return True
    for point in points:
        both = ("seller_point", "buyer_point")
        own = [key for key in registry.keys("agreement") if point in [registry.first(key)[side] for side in both]]
        if len(own) > EVER_OF_POINT_MAX:
            return True
        for time_s in {from_s for key in own for from_s, _ in registry.history(key)}:
            at = [registry.at(key, time_s) for key in own]
            if sum(value is not None and "ended" not in value for value in at) > OF_POINT_MAX:
                return True
    return False


# ------------------------------------------------------------------------------------------------------- in a slot


class Deal(NamedTuple):
    """An agreement in a slot: rows of the zone, what was agreed, and the prices; reference None where no difference is meant."""

    seller: int
    buyer: int
    quantity_wh: int | None
    share_ppm: int | None
    price: int
    reference: int | None


def deals_in(twin: Twin, zone: str, slot: int, settling: Sequence[int]) -> Iterator[Deal]:
    """Those whose points are billed to their parties, in the order of their names."""
    registry, height = twin.registry, twin.height - 1
    for key in sorted(registry.keys("agreement"), key=str.encode):
        value = registry.value(key, slot, height)
        if value is None or "ended" in value:
            continue
        rows = []
        for side in ("seller", "buyer"):
            place, row = twin.place(value[f"{side}_point"])
            shown = registry.value("point/" + value[f"{side}_point"], slot, height) or {}
            rows += [row] if place == zone and row in settling and shown.get("party") == value[side] else []
        said = registry.series_price(value["series"], slot, height) if "series" in value else None
        if len(rows) < 2 or (value["basis"] == "difference" and said is None):
            continue
        strike, reference = value["price_micro_per_kwh"], said if value["basis"] == "difference" else None
        price = strike if said is None or reference is not None else said
        yield Deal(rows[0], rows[1], value.get("quantity_wh"), value.get("share_ppm"), price, reference)


class BilateralAgreements:
    """``bilateral_agreements/1``: what was agreed first, the rest with supplier and offtaker."""

    takes_orders = False
    ranks_by_arrival = False
    takes_agreements = True
    accounts: tuple[str, ...] = ("clearing", "levy", "network", "offtaker", "supplier")
    position_columns = (
        "bought_wh", "sold_wh", "bought_nano", "sold_nano", "difference_wh", "difference_nano", "pays_nano",
        "supplier_only_nano",
    )  # fmt: skip
    area_columns: tuple[str, ...] = ()
    summed = MidMarketRate.summed
    exposure = MidMarketRate.exposure
    clear = MidMarketRate.clear

    @classmethod
    def takes(cls, rules: Mapping[str, Any]) -> bool:
        """Whether rules have its five prices and no terms."""
        return set(named(rules["prices"])) == COMMON_PRICES and are_prices(rules["prices"]) and not rules["terms"]

    @classmethod
    def settle_deals(cls, members: Sequence[Member], prices: Mapping[str, int], deals: Sequence[Deal]) -> Settled:
        """The whole area at once, deal by deal."""
        place = {member.row: at for at, member in enumerate(members)}
        kept = [[0] * 6 for _ in members]
        for deal in deals:
            if deal.seller not in place:
                continue
            at, to = place[deal.seller], place[deal.buyer]
            exported, imported = members[at].export_wh, members[to].import_wh
            wh = exported * (deal.share_ppm or 0) // 10**6 if deal.quantity_wh is None else deal.quantity_wh
            if deal.reference is not None:
                nano = wh * (deal.price - deal.reference)
                for own, owed in ((kept[at], -nano), (kept[to], nano)) if abs(nano) <= DIFFERENCE_NANO_MAX else ():
                    own[4], own[5] = own[4] + wh, own[5] + owed
                continue
            wh = min(wh, exported - kept[at][1], imported - kept[to][0])
            for own, side in ((kept[to], 0), (kept[at], 1)):
                own[side], own[side + 2] = own[side] + wh, own[side + 2] + wh * deal.price
        positions, lines = [], []
        for member, own in zip(members, kept, strict=True):
            p = named(member.prices or prices)
            bill = [
                Line(own[2] - own[3] + own[5], "clearing"),
                Line((member.import_wh - own[0]) * p["residual_price"], "supplier"),
                Line(-(member.export_wh - own[1]) * p["feed_in_price"], "offtaker"),
                *charges(member, own[0], p),
            ]
            positions.append((*own, sum(line.amount_nano for line in bill), supplier_only(member, p)))
            lines += bill
        return Settled(positions, (), received_by(cls.accounts, lines))


class SchedulesAndDeviations(BilateralAgreements):
    """``schedules_and_deviations/1``: what was agreed in full, and what was metered otherwise as under the auction."""

    accounts = CallAuction.accounts

    @classmethod
    def takes(cls, rules: Mapping[str, Any]) -> bool:
        """The prices of the auction, and no terms."""
        auction = {"reference_price_micro_per_kwh": 0, "rationing": "pro_rata"}
        return rules["terms"] == {} and CallAuction.takes({**rules, "terms": auction})

    @classmethod
    def settle_deals(cls, members: Sequence[Member], prices: Mapping[str, int], deals: Sequence[Deal]) -> Settled:
        """Each member with the deals that it is party to."""
        exported = {member.row: member.export_wh for member in members}
        positions, lines = [], []
        for member in members:
            sold = bought = sold_nano = bought_nano = differed = difference = 0
            for deal in deals:
                if member.row not in (deal.seller, deal.buyer) or deal.seller not in exported:
                    continue
                is_seller = member.row == deal.seller
                share_wh = exported[deal.seller] * (deal.share_ppm or 0) // 10**6
                wh = share_wh if deal.quantity_wh is None else deal.quantity_wh
                if deal.reference is not None:
                    nano = wh * (deal.price - deal.reference)
                    if abs(nano) <= DIFFERENCE_NANO_MAX:
                        differed, difference = differed + wh, difference + (-nano if is_seller else nano)
                elif wh > SCHEDULE_WH_MAX:
                    continue
                elif is_seller:
                    sold, sold_nano = sold + wh, sold_nano + wh * deal.price
                else:
                    bought, bought_nano = bought + wh, bought_nano + wh * deal.price
            p = named(member.prices or prices)
            bill = [Line(bought_nano - sold_nano + difference, "clearing")]
            bill += auction_lines(member._replace(bought_wh=bought, sold_wh=sold), 0, p)[2:]
            kept = (bought, sold, bought_nano, sold_nano, differed, difference)
            positions.append((*kept, sum(line.amount_nano for line in bill), supplier_only(member, p)))
            lines += bill
        return Settled(positions, (), received_by(cls.accounts, lines))

"""The arithmetic of ``bill_sharing/1``: a community's import of a month is paid by deficits, its export earned by surpluses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gridevidence.verifier.answers import hold, same
from gridevidence.verifier.contract import Contract, PointLine, Settled, priced_line
from gridevidence.verifier.contracts.community import (
    CHARGES,
    COMMUNITY_KINDS,
    FEED_IN_PRICE,
    RETAIL_PRICE,
    Side,
    charged_wh,
    hold_share,
)

MONEY: Final = ("cost", "income")
NANO: Final = 10**9  # of a unit of the currency


def lines_of_bill(of: Settled) -> list[PointLine]:
    """A line of each of COMMUNITY_KINDS, in their order; those of the month stand in its last slot alone."""
    buys, sells = COMMUNITY_KINDS[:2]
    own = of.columns
    return [
        PointLine(buys, own["period_deficit_wh"], None, own["paid_nano"]),
        PointLine(sells, own["period_surplus_wh"], None, -own["earned_nano"]),
        *(priced_line(kind, wh, of) for kind, wh in zip(CHARGES, charged_wh(of), strict=True)),
    ]


def _takes_grid_prices(prices: Mapping[str, int]) -> bool:
    return 0 <= prices[FEED_IN_PRICE] <= prices[RETAIL_PRICE]


def _nano(of: Settled, name: str) -> int:
    """An amount of the area, which stands in whole units and nano."""
    return of.area[f"{name}_units"] * NANO + of.area[f"{name}_nano"]


def _check_bill(of: Settled) -> None:
    retail, feed_in, area, own = of.area_prices[RETAIL_PRICE], of.area_prices[FEED_IN_PRICE], of.area, of.columns
    hold(min(area.values()) >= 0, "a sum of the area is negative")
    imported_wh = max(area["deficit_wh"] - area["surplus_wh"], 0)
    exported_wh = max(area["surplus_wh"] - area["deficit_wh"], 0)
    costs, earns = divmod(imported_wh * retail, NANO), divmod(exported_wh * feed_in, NANO)
    same("what the area's import costs", (area["cost_units"], area["cost_nano"]), costs)
    same("what the area's export earns", (area["income_units"], area["income_nano"]), earns)
    shared_wh = min(area["surplus_wh"], area["deficit_wh"])
    for energy_wh, column, traded in (
        (max(of.import_wh - of.export_wh, 0), "deficit_wh", "bought_wh"),
        (max(of.export_wh - of.import_wh, 0), "surplus_wh", "sold_wh"),
    ):
        same(f"the point's {column}", own[column], energy_wh)
        hold(energy_wh <= area[column], "the point has more surplus or deficit than its area")
        hold_share(f"the energy {traded}", own[traded], shared_wh, Side(energy_wh, area[column], 0))
    for column, amount, money in (
        ("period_deficit_wh", "paid_nano", "cost"),
        ("period_surplus_wh", "earned_nano", "income"),
    ):
        side = Side(own[column], area[column], _nano(of, f"period_{money}"))
        hold(0 <= side.energy_wh <= side.all_wh, "the point has more surplus or deficit in the month than its area")
        hold_share(f"the point's {amount}", own[amount], side.all_nano, side)


_ENERGIES: Final = ("deficit_wh", "surplus_wh")
_AMOUNTS: Final = tuple(f"{money}_{limb}" for money in MONEY for limb in ("units", "nano"))

BILL_SHARING_1: Final = Contract(
    contract_id="bill_sharing/1",
    position_columns=(
        "bought_wh",
        "sold_wh",
        *_ENERGIES,
        *(f"period_{name}" for name in _ENERGIES),
        "paid_nano",
        "earned_nano",
        "pays_nano",
        "supplier_only_nano",
    ),
    area_columns=(
        "period_start_s",
        *_ENERGIES,
        *_AMOUNTS,
        *(f"period_{name}" for name in (*_ENERGIES, *_AMOUNTS)),
    ),
    line_kinds=COMMUNITY_KINDS,
    price_keys=(RETAIL_PRICE, FEED_IN_PRICE, *(charge.price for charge in CHARGES)),
    terms={},
    takes_prices=_takes_grid_prices,
    lines_of_point=lines_of_bill,
    check_point=_check_bill,
    clear=None,
    not_checked=(
        "that the sums of area and month are those of all members and slots, and who got a unit that was left over",
    ),
)

"""The arithmetic of ``schedules_and_deviations/1``: schedules between two points in full, and what was metered otherwise at its own prices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from gridevidence.verifier.answers import hold
from gridevidence.verifier.contract import Agreed, Contract, LineKind, PointLine, Settled
from gridevidence.verifier.contracts.bilateral_agreements_1 import Within, agreed_wh, differences, hold_within
from gridevidence.verifier.contracts.traders import METERED_KINDS, lines_of_metered, takes_trader_prices

SCHEDULED_KINDS: Final = (
    LineKind("schedule_buy", "clearing", 1, ""),
    LineKind("schedule_sell", "clearing", 1, ""),
    LineKind("schedule_difference", "clearing", 1, ""),
)
SCHEDULE_WH_MAX: Final = 125_000_000  # one above it comes to nothing


def _lines_of_scheduled(of: Settled) -> list[PointLine]:
    """A line of each kind, in their order."""
    kept, (buys, sells, differs) = of.columns, SCHEDULED_KINDS
    return [
        PointLine(buys, kept["bought_wh"], None, kept["bought_nano"]),
        PointLine(sells, kept["sold_wh"], None, -kept["sold_nano"]),
        PointLine(differs, kept["difference_wh"], None, kept["difference_nano"]),
        *lines_of_metered(of),
    ]


def _scheduled(of: Settled, agreements: Sequence[Agreed]) -> list[Within]:
    """The schedules of one side: what was agreed, exactly, unless it is a share of what the other side exports."""
    parts = []
    for agreed in agreements:
        most_wh = agreed_wh(agreed, of)
        if agreed.quantity_wh is None and not agreed.is_seller:
            parts.append(Within(0, SCHEDULE_WH_MAX, agreed.price))
        elif most_wh <= SCHEDULE_WH_MAX:
            parts.append(Within(most_wh, most_wh, agreed.price))
    return parts


def _check_scheduled(of: Settled) -> None:
    """What the point bought, sold and owes of differences follows from its agreements."""
    kept = of.columns
    hold(kept["bought_wh"] >= 0 <= kept["sold_wh"], "an energy bought or sold is negative")
    for is_seller, side in ((False, "bought"), (True, "sold")):
        own = [agreed for agreed in of.agreements if agreed.is_seller == is_seller and not agreed.is_difference]
        hold_within(side, _scheduled(of, own), kept[f"{side}_wh"], kept[f"{side}_nano"])
    hold_within("of differences", list(differences(of)), kept["difference_wh"], kept["difference_nano"])


SCHEDULES_AND_DEVIATIONS_1: Final = Contract(
    contract_id="schedules_and_deviations/1",
    position_columns=(
        "bought_wh", "sold_wh", "bought_nano", "sold_nano", "difference_wh", "difference_nano", "pays_nano",
        "supplier_only_nano",
    ),
    area_columns=(),
    line_kinds=(*SCHEDULED_KINDS, *METERED_KINDS),
    price_keys=tuple(beside_schedule.price for beside_schedule in METERED_KINDS),
    terms={},
    takes_prices=takes_trader_prices,
    lines_of_point=_lines_of_scheduled,
    check_point=_check_scheduled,
    clear=None,
    not_checked=(
        "what the other sides of the point's agreements export, where a share of it was bought, and that no other agreement of the point holds",
    ),
    takes_agreements=True,
)  # fmt: skip

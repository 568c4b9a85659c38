"""What schedules and deviations come to in one slot, point by point in fractions (``schedules_and_deviations/1``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import floor

from tests.slow.bilateral_agreements import DIFFERENCE_NANO_MAX, Deal

SCHEDULE_WH_MAX = 125_000_000


def settle_schedules(
    imports: Sequence[int], exports: Sequence[int], deals: Sequence[Deal], prices: Mapping[str, int]
) -> list[dict[str, tuple[Fraction, Fraction]]]:
    """Of each point energy (Wh) and amount (nano, positive: it pays) of each kind of line.

    Step by step as a clerk does: first every schedule at its price, then what each metered otherwise at the price of that side, then the
    charges of the grid.
    """
    per_wh = {name: Fraction(price) for name, price in prices.items()}
    found = []
    for place, (taken, fed) in enumerate(zip(imports, exports, strict=True)):
        lines: dict[str, tuple[Fraction, Fraction]] = {}

        def add(
            kind: str, wh: Fraction | int, nano: Fraction | int, lines: dict[str, tuple[Fraction, Fraction]] = lines
        ) -> None:
            before = lines.get(kind, (Fraction(0), Fraction(0)))
            lines[kind] = before[0] + wh, before[1] + nano

        for deal in deals:
            if place not in (deal.seller, deal.buyer):
                continue
            agreed = deal.quantity_wh if deal.share is None else floor(deal.share * exports[deal.seller])
            sign = -1 if place == deal.seller else 1
            if deal.is_difference:
                owed = agreed * (deal.price - deal.reference)
                if abs(owed) <= DIFFERENCE_NANO_MAX:
                    add("schedule_difference", agreed, sign * owed)
            elif agreed <= SCHEDULE_WH_MAX:
                add("schedule_sell" if sign < 0 else "schedule_buy", agreed, sign * agreed * deal.price)
        bought, sold = (lines.get(kind, (Fraction(0),))[0] for kind in ("schedule_buy", "schedule_sell"))
        if taken > bought:
            add("residual_import", taken - bought, (taken - bought) * per_wh["residual_price_micro_per_kwh"])
        else:
            add("surplus", bought - taken, -(bought - taken) * per_wh["surplus_price_micro_per_kwh"])
        if fed > sold:
            add("residual_export", fed - sold, -(fed - sold) * per_wh["feed_in_price_micro_per_kwh"])
        else:
            add("shortfall", sold - fed, (sold - fed) * per_wh["shortfall_price_micro_per_kwh"])
        within = min(bought, Fraction(taken))
        add("network_traded", within, within * per_wh["network_traded_micro_per_kwh"])
        add("network_residual", taken - within, (taken - within) * per_wh["network_residual_micro_per_kwh"])
        add("levy", taken, taken * per_wh["levy_micro_per_kwh"])
        found.append(lines)
    return found

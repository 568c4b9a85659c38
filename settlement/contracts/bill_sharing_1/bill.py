"""Bill sharing: what a community imports in a month is paid by its members' deficits, what it exports is earned by their surpluses.

In each slot the community is metered as a whole: the grid brings what its deficits exceed its surpluses by, or takes the opposite. Cost and
income of the month are split once, by largest remainder, by what each member lacked and had over in all of its slots.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from settlement.contract_kit_1 import ContractError, Groups, Int64Column, Nets

SHARE_NANO_MAX = 4 * 10**18
"""Of a bill, what one member may have to pay or earn: with the charges of a slot it stays within int64."""


class Exchange(NamedTuple):
    """What each group takes from and gives to the grid in one slot, one value a group, and what that costs and brings in nano."""

    import_wh: Sequence[int]
    export_wh: Sequence[int]
    cost_nano: Sequence[int]
    income_nano: Sequence[int]


class Bill(NamedTuple):
    """int64[n]: what each member pays for the community's import, and what it earns of its export."""

    paid_nano: Int64Column
    earned_nano: Int64Column


def exchange(nets: Nets, retail_micro_per_kwh: Sequence[int], feed_in_micro_per_kwh: Sequence[int]) -> Exchange:
    """One slot of each group at the grid's prices, one a group; ContractError unless retail >= feed-in >= 0."""
    for retail, feed_in in set(zip(retail_micro_per_kwh, feed_in_micro_per_kwh, strict=True)):
        if not retail >= feed_in >= 0:
            raise ContractError(f"retail {retail} >= feed-in {feed_in} >= 0 does not hold")
    sums = list(zip(nets.surplus_sums_wh, nets.deficit_sums_wh, strict=True))
    import_wh = [max(deficit - surplus, 0) for surplus, deficit in sums]
    export_wh = [max(surplus - deficit, 0) for surplus, deficit in sums]
    return Exchange(
        import_wh,
        export_wh,
        [energy_wh * price for energy_wh, price in zip(import_wh, retail_micro_per_kwh, strict=True)],
        [energy_wh * price for energy_wh, price in zip(export_wh, feed_in_micro_per_kwh, strict=True)],
    )


def are_payable(groups: Groups, totals_nano: Sequence[int], weights_wh: Int64Column) -> list[bool]:
    """Whether each group's total can be shared by its rows' weights: nobody's share is above SHARE_NANO_MAX.

    Limits of meters and prices allow months that no column can hold: such a bill is nothing, and stops nobody.
    """
    highest_wh = np.zeros(groups.count, dtype=np.int64)
    np.maximum.at(highest_wh, groups.of_row, weights_wh)
    sums_wh = groups.sums(weights_wh)
    return [
        total * highest <= SHARE_NANO_MAX * weight
        for total, highest, weight in zip(totals_nano, highest_wh.tolist(), sums_wh, strict=True)
    ]


def share_bill(
    groups: Groups,
    deficit_wh: Int64Column,
    surplus_wh: Int64Column,
    cost_nano: Sequence[int],
    income_nano: Sequence[int],
) -> Bill:
    """The bill of a period: each group's cost by its rows' deficits, its income by their surpluses; ties to the lower row.

    Where nobody in a group is left to share it (all who lacked energy have gone), a sum is shared by nobody. ContractError for a share
    outside int64.
    """
    return Bill(*(_split(groups, *side) for side in ((cost_nano, deficit_wh), (income_nano, surplus_wh))))


def _split(groups: Groups, totals_nano: Sequence[int], weights_wh: Int64Column) -> Int64Column:
    weighed = zip(totals_nano, groups.sums(weights_wh), strict=True)
    return groups.split([total if weight else 0 for total, weight in weighed], weights_wh)

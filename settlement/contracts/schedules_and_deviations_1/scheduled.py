"""What schedules come to in a slot: every agreement for energy in full, whatever was metered; a difference takes no energy."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from settlement.contract_kit_1 import AgreementsLike, ContractError, Int64Column, check_column, narrow

PPM = 1_000_000
SCHEDULE_WH_MAX = 125_000_000
"""Of one schedule in one slot: one above it, which no connection carries, comes to nothing. Eight of them are at most what a point may meter."""
DIFFERENCE_NANO_MAX = 5 * 10**17
"""Of one difference in one slot, either way: one beyond it, which nobody could owe, comes to nothing. Eight of them leave room in int64 for the rest."""


class Scheduled(NamedTuple):
    """int64[n] of each row: energy bought and sold by schedules and its price, and the differences it is party to.

    bought_nano: what is paid for bought_wh; sold_nano: what is received for sold_wh; difference_wh: energy to which differences apply, on
    either side; difference_nano: what is paid for them (negative: received).
    """

    bought_wh: Int64Column
    bought_nano: Int64Column
    sold_wh: Int64Column
    sold_nano: Int64Column
    difference_wh: Int64Column
    difference_nano: Int64Column


def schedule(group: Int64Column, export_wh: Int64Column, agreements: AgreementsLike) -> Scheduled:
    """What each row comes to. ``group``, ``export_wh``: int64[n].

    ContractError for an agreement of one row with itself or between groups, for one that has not exactly one of quantity and share, and for a
    result outside int64.
    """
    _check(group, agreements)
    sums = [[0] * group.size for _ in Scheduled._fields]
    bought_wh, bought_nano, sold_wh, sold_nano, difference_wh, difference_nano = sums
    columns = (
        agreements.seller,
        agreements.buyer,
        agreements.is_difference,
        agreements.quantity_wh,
        agreements.share_ppm,
        agreements.price_micro_per_kwh,
        agreements.reference_micro_per_kwh,
    )
    for seller, buyer, is_difference, quantity_wh, share_ppm, price, reference in zip(
        *(column.tolist() for column in columns), strict=True
    ):
        wh = quantity_wh if quantity_wh >= 0 else int(export_wh[seller]) * share_ppm // PPM
        if is_difference:
            nano = wh * (price - reference)
            if abs(nano) > DIFFERENCE_NANO_MAX:
                wh = nano = 0
            for row, owed in ((buyer, nano), (seller, -nano)):
                difference_wh[row] += wh
                difference_nano[row] += owed
        elif wh <= SCHEDULE_WH_MAX:
            sold_wh[seller] += wh
            sold_nano[seller] += wh * price
            bought_wh[buyer] += wh
            bought_nano[buyer] += wh * price
    return Scheduled(*(narrow(values, name) for values, name in zip(sums, Scheduled._fields, strict=True)))


def _check(group: Int64Column, agreements: AgreementsLike) -> None:
    """ContractError unless the columns of agreements fit together and the rows."""
    seller, buyer, count = agreements.seller, agreements.buyer, agreements.seller.size
    for column, name in ((seller, "seller"), (buyer, "buyer")):
        check_column(column, name, length=count, minimum=0)
        if count and int(column.max()) >= group.size:
            raise ContractError(f"the {name} of an agreement is row {int(column.max())}, there are {group.size}")
    shares, quantities = agreements.share_ppm, agreements.quantity_wh
    prices = agreements.price_micro_per_kwh, agreements.reference_micro_per_kwh
    for column in (agreements.is_difference, quantities, shares, *prices):
        check_column(column, "a column of agreements", length=count)
    if bool((seller == buyer).any()) or bool((group[seller] != group[buyer]).any()):
        raise ContractError("an agreement is between two rows of one group")
    if bool(((shares >= 0) == (quantities >= 0)).any()) or int(np.max(shares, initial=0)) > PPM:
        raise ContractError(f"an agreement has either a quantity in Wh or a share of at most {PPM} ppm")

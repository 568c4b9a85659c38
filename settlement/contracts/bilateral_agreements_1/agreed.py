"""What agreements come to in a slot: ``bilateral_agreements/1`` of the conformance vectors.

Energy goes to agreements in their order, to each at most what both points have left of what was metered: an agreement never makes anybody owe
energy. What is over or short of it is settled as if there were none. A difference takes no energy.
"""

from __future__ import annotations

from typing import NamedTuple

from settlement.contract_kit_1 import (
    AgreementsLike,
    ContractError,
    Int64Column,
    check_column,
    narrow,
)

PPM = 1_000_000
DIFFERENCE_NANO_MAX = 5 * 10**17
"""Of one difference in one slot, either way: one beyond it, which nobody could owe, comes to nothing. Eight of them leave room in int64 for the rest."""


class Agreed(NamedTuple):
    """int64[n] of each row: energy bought and sold under agreements and its price, and the differences it is party to.

    bought_nano: what is paid for bought_wh; sold_nano: what is received for sold_wh; difference_wh: energy to which differences apply, on
    either side; difference_nano: what is paid for them (negative: received).
    """

    bought_wh: Int64Column
    bought_nano: Int64Column
    sold_wh: Int64Column
    sold_nano: Int64Column
    difference_wh: Int64Column
    difference_nano: Int64Column


def agree(
    group: Int64Column, import_wh: Int64Column, export_wh: Int64Column, agreements: AgreementsLike
) -> tuple[Agreed, Int64Column]:
    """What each row comes to, and int64[m] the energy of each agreement.

    ``group``, ``import_wh``, ``export_wh``: int64[n], energies >= 0. ContractError for an agreement of one row with itself or between groups, for one
    that has not exactly one of quantity and share, and for a result outside int64.
    """
    rows = _checked(group, agreements)
    left_import, left_export = import_wh.tolist(), export_wh.tolist()
    sums = [[0] * group.size for _ in Agreed._fields]
    bought_wh, bought_nano, sold_wh, sold_nano, difference_wh, difference_nano = sums
    energies = []
    for seller, buyer, is_difference, quantity_wh, share_ppm, price, reference in rows:
        wh = quantity_wh if quantity_wh >= 0 else int(export_wh[seller]) * share_ppm // PPM
        if is_difference:
            nano = wh * (price - reference)
            if abs(nano) > DIFFERENCE_NANO_MAX:
                wh = nano = 0
            for row, owed in ((buyer, nano), (seller, -nano)):
                difference_wh[row] += wh
                difference_nano[row] += owed
        else:
            wh = min(wh, left_export[seller], left_import[buyer])
            left_export[seller] -= wh
            left_import[buyer] -= wh
            sold_wh[seller] += wh
            sold_nano[seller] += wh * price
            bought_wh[buyer] += wh
            bought_nano[buyer] += wh * price
        energies.append(wh)
    columns = (narrow(values, name) for values, name in zip(sums, Agreed._fields, strict=True))
    return Agreed(*columns), narrow(energies, "the energy of an agreement")


def _checked(group: Int64Column, agreements: AgreementsLike) -> list[tuple[int, ...]]:
    """The agreements as rows of whole numbers, whose columns fit together."""
    columns = (
        agreements.seller,
        agreements.buyer,
        agreements.is_difference,
        agreements.quantity_wh,
        agreements.share_ppm,
        agreements.price_micro_per_kwh,
        agreements.reference_micro_per_kwh,
    )
    seller, buyer, count = agreements.seller, agreements.buyer, agreements.seller.size
    for column, name in ((seller, "seller"), (buyer, "buyer")):
        check_column(column, name, length=count, minimum=0)
        if count and int(column.max()) >= group.size:
            raise ContractError(f"the {name} of an agreement is row {int(column.max())}, there are {group.size}")
    for column in columns[2:]:
        check_column(column, "a column of agreements", length=count)
    if bool((seller == buyer).any()) or bool((group[seller] != group[buyer]).any()):
        raise ContractError("an agreement is between two rows of one group")
    shares, quantities = agreements.share_ppm, agreements.quantity_wh
    if bool(((shares >= 0) == (quantities >= 0)).any()) or (count and int(shares.max()) > PPM):
        raise ContractError(f"an agreement has either a quantity in Wh or a share of at most {PPM} ppm")
    return list(zip(*(column.tolist() for column in columns), strict=True))

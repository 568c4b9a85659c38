"""Agreements between meters' points from a seed, mostly in good form and between those whom the points bill."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from gridcore.master_data import MeteredPoint, Named
from gridcore.registry.agreement import (
    AGREEMENT,
    DIFFERENCE,
    FIXED_QUANTITY,
    PAY_AS_PRODUCED,
    Agreement,
    EndedAgreement,
)
from gridcore.registry.price_series import PRICE_SERIES, PriceSeries

REFERENCE = "reference"
"""A price series that agreements name."""


def draw_agreement(
    rng: random.Random, name: str, meters: Sequence[MeteredPoint], from_s: int
) -> Named[Agreement | EndedAgreement]:
    """One of every basis, or the end of one."""
    seller, buyer = (rng.choice(meters) for _ in range(2))
    if rng.random() < 0.8:
        buyer = rng.choice([other for other in meters if other.area == seller.area])
    sides = (buyer.party or "nobody", buyer.point, seller.party or "nobody", seller.point)
    if rng.random() < 0.1:
        return Named(AGREEMENT, name, EndedAgreement(*sides), from_s)
    basis = rng.choice([FIXED_QUANTITY, PAY_AS_PRODUCED, DIFFERENCE])
    is_share = basis == PAY_AS_PRODUCED or (basis == DIFFERENCE and rng.random() < 0.5)
    agreement = Agreement(
        *sides[:2],
        basis,
        rng.choice([-1, 0, 1]) * rng.choice([7, 1_000_000, 10**9]),
        *sides[2:],
        quantity_wh=None if is_share else rng.choice([1, 100, 5_000, 10**9]),
        series=REFERENCE if basis == DIFFERENCE or rng.random() < 0.3 else None,
        share_ppm=rng.choice([1, 333_333, 1_000_000]) if is_share else None,
    )
    return Named(AGREEMENT, name, agreement, from_s)


def draw_reference(rng: random.Random, from_s: int, slot_s: int) -> Named[PriceSeries]:
    """Some slots of the series that agreements name."""
    prices = [rng.choice([0, 5, 1_000_000, -(10**9)]) for _ in range(rng.choice([1, 5, 20]))]
    return Named(PRICE_SERIES, REFERENCE, PriceSeries.of(slot_s, prices), from_s)


def draw_agreements(
    rng: random.Random, meters: Sequence[MeteredPoint], first_s: int, slot_s: int
) -> Iterator[Named[PriceSeries] | Named[Agreement | EndedAgreement]]:
    """What genesis has of them: between two different points of one area that bill somebody, or nothing where there are none."""
    yield draw_reference(rng, 0, slot_s)
    yield draw_reference(rng, first_s, slot_s)
    billed = [meter for meter in meters if meter.party]
    for number in range(rng.choice([0, 1, 2, 5]) if billed else 0):
        drawn = draw_agreement(rng, f"agreed-{number}", billed, first_s + rng.randrange(-1, 8) * slot_s)
        points = {meter.point: meter.area for meter in billed}
        both = (drawn.record.seller_point, drawn.record.buyer_point)
        if both[0] != both[1] and points[both[0]] == points[both[1]]:
            yield drawn

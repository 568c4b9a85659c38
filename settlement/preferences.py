"""A bid that says what it would take, at what limit, in the order of its liking: conditions joined by OR.

``conditional_bid/1`` of the conformance vectors (docs/spec/mechanisms.md). Energies in Wh, limits in micro-currency per kWh.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from settlement.errors import SettlementError


class Offer(NamedTuple):
    """Energy of one seller and of one kind, at least at its limit."""

    energy_wh: int
    limit: int
    seller: str
    energy_kind: str


class Condition(NamedTuple):
    """So much energy at most at this limit; seller, energy_kind: "" where any will do."""

    energy_wh: int
    limit: int
    seller: str = ""
    energy_kind: str = ""


class Match(NamedTuple):
    """condition: place in the bid, from 1; the energy, and between which prices both agree. condition 0: there is no match."""

    condition: int
    energy_wh: int
    price_low: int
    price_high: int


def match_conditions(conditions: Sequence[Condition], offer: Offer) -> Match:
    """The first condition that an offer meets. SettlementError for an energy of 0 or less."""
    if min(offer.energy_wh, *(condition.energy_wh for condition in conditions), 1) < 1:
        raise SettlementError("an energy must be at least 1 Wh")
    for place, condition in enumerate(conditions, 1):
        is_wanted = condition.seller in ("", offer.seller) and condition.energy_kind in ("", offer.energy_kind)
        if is_wanted and condition.limit >= offer.limit:
            return Match(place, min(condition.energy_wh, offer.energy_wh), offer.limit, condition.limit)
    return Match(0, 0, 0, 0)

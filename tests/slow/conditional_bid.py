"""Bids with conditions, one trade after the other, each looked for among all: the reference of ``conditional_bid/1``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Offer(NamedTuple):
    """Energy of one seller and of one kind, at least at its limit."""

    name: str
    energy_wh: int
    limit: int
    seller: str
    kind: str


class Condition(NamedTuple):
    """So much energy at most at this limit; seller "", kinds empty: any will do."""

    energy_wh: int
    limit: int
    seller: str = ""
    kinds: frozenset[str] = frozenset()

    def accepts(self, offer: Offer) -> bool:
        """Whether it may trade with an offer."""
        is_wanted = self.seller in ("", offer.seller) and (not self.kinds or offer.kind in self.kinds)
        return is_wanted and offer.limit <= self.limit


class Met(NamedTuple):
    """A trade: the bid, which of its conditions, the offer, energy and price."""

    bid: str
    choice: int
    offer: str
    energy_wh: int
    price: int


def meet(bids: Sequence[tuple[str, Sequence[Condition]]], offers: Sequence[Offer], price_rule: str) -> list[Met]:
    """All first choices before all second ones; of one choice the highest limit, then the name, each with the cheapest offer, then by name."""
    left = {offer.name: offer.energy_wh for offer in offers}
    room = {name: max(condition.energy_wh for condition in conditions) for name, conditions in bids}
    asked = [
        (choice, -condition.limit, f"{name}/{choice}", name, condition)
        for name, conditions in bids
        for choice, condition in enumerate(conditions)
    ]
    trades = []
    for choice, _, _, bid, condition in sorted(asked, key=lambda one: one[:3]):
        wanted = condition.energy_wh
        while wanted and room[bid]:
            accepted = [(offer.limit, offer.name) for offer in offers if left[offer.name] and condition.accepts(offer)]
            if not accepted:
                break
            limit, name = min(accepted)
            energy = min(wanted, room[bid], left[name])
            trades.append(Met(bid, choice, name, energy, condition.limit if price_rule == "pay_as_bid" else limit))
            wanted, room[bid], left[name] = wanted - energy, room[bid] - energy, left[name] - energy
    return trades

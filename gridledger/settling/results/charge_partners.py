"""Whom the charges of a tariff go to: to whomever the points name that a party is charged for, each its part of the month."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gridledger.settling.partners import PARTNER_ACCOUNTS, Partners
from settlement.tariffs.charges import Charge, Usage, energy_of
from settlement.tariffs.components import ENERGY_BASES, Component


class OfMonth(NamedTuple):
    """What of charges stands under one name. month: the place of a local month; account: one of ``PARTNER_ACCOUNTS``."""

    month: int
    account: str
    partner: str


class ChargedRows(NamedTuple):
    """The points of a party after a run, [slots, points]. usage: of each; is_billed: whether it is; partners: places in ``named``."""

    usage: Usage
    is_billed: NDArray[np.bool_]
    partners: NDArray[np.int32]
    named: Sequence[Partners]


def partners_of_charge(
    charge: Charge, component: Component, counts: NDArray[np.bool_], rows: ChargedRows
) -> Iterator[tuple[OfMonth, int]]:
    """What of a charge each partner gets, nano; all of them together get the charge. counts: bool[slots], of the month those in which the entry holds.

    Where points of the month name several, a charge for energy goes by the energy that it counts of each one's points, others by the slots in
    which points name each: a supplier that sold for ten days of thirty gets a third of a month's subscription.
    """
    at = np.flatnonzero(counts)
    where = rows.is_billed[at]
    names = [partners.on(charge.account) for partners in rows.named]
    weights = _weights(rows.partners[at][where], np.ones(int(where.sum()), dtype=np.int64), names)
    if component.base in ENERGY_BASES and len(weights) > 1:
        of_energy = _weights(rows.partners[at][where], energy_of(component.base, rows.usage)[at][where], names)
        weights = of_energy if sum(of_energy.values()) else weights
    total, so_far, given = sum(weights.values()), 0, 0
    for name in sorted(weights, key=str.encode):
        so_far += weights[name]
        part_nano = charge.amount_nano * so_far // total - given
        given += part_nano
        yield OfMonth(charge.month, charge.account, name), part_nano


def is_of_partner(charge: Charge) -> bool:
    """Whether a charge goes to an account behind which partners stand."""
    return charge.account in PARTNER_ACCOUNTS


def _weights(places: NDArray[np.int32], amounts: NDArray[np.int64], names: Sequence[str]) -> Mapping[str, int]:
    """The sums of amounts by whom their rows name."""
    found: dict[str, int] = defaultdict(int)
    for place in np.unique(places).tolist():
        found[names[place]] += int(amounts[places == place].sum())
    return found

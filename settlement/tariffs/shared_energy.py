"""What a state pays for energy that a community shares, and what transmission losses make of energy at its boundary.

``shared_energy_incentive/1`` and ``transmission_loss_multipliers/1`` (docs/spec/mechanisms.md). Energy in Wh, prices in micro-currency per kWh, amounts in
nano-currency; exact at any size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from settlement.contract_kit_1 import largest_remainder
from settlement.errors import SettlementError

_PPM = 1_000_000


class IncentiveTerms(NamedTuple):
    """Of a plant's size and zone, micro per kWh: base + what the market's price lacks to the reference, at most cap; the zone's addition on top."""

    base: int
    cap: int
    reference_price: int
    zone_addition: int


@dataclass(frozen=True, slots=True)
class Incentive:
    """shared_wh: what the community injected and withdrew in the same hour; amount_nano: what it receives for it."""

    shared_wh: int
    incentive_micro_per_kwh: int
    amount_nano: int


def shared_energy_incentive(injected_wh: int, withdrawn_wh: int, market_price: int, terms: IncentiveTerms) -> Incentive:
    """The incentive of one hour. SettlementError for a negative energy, base, cap or addition, and a cap below the base."""
    if min(injected_wh, withdrawn_wh, terms.base, terms.zone_addition) < 0:
        raise SettlementError("neither an energy nor the base nor the zone's addition may be negative")
    if terms.cap < terms.base:
        raise SettlementError(f"the cap {terms.cap} is below the base {terms.base}")
    shared_wh = min(injected_wh, withdrawn_wh)
    price = min(terms.cap, terms.base + max(0, terms.reference_price - market_price)) + terms.zone_addition
    return Incentive(shared_wh, price, shared_wh * price)


@dataclass(frozen=True, slots=True)
class LossMultipliers:
    """delivering, offtaking: by what metered energy of either side is multiplied, None where it has none; settled_wh: what comes of it, by name.

    Both sides come to the same energy, to the Wh.
    """

    delivering: Fraction | None
    offtaking: Fraction | None
    delivered_wh: Mapping[str, int]
    offtaken_wh: Mapping[str, int]


def transmission_loss_multipliers(
    delivering_wh: Mapping[str, int], offtaking_wh: Mapping[str, int], delivering_share_ppm: int
) -> LossMultipliers:
    """What is lost between both sides, shared between them, the delivering side's part rounded down to a Wh, and within each by energy.

    By name, ascending: ties of the split. delivering_share_ppm: the part of the loss that the delivering side bears. SettlementError for a negative
    energy, a share outside 0 to 10^6, more that is taken than delivered, and a part of the loss for a side without energy.
    """
    sides = delivering_wh, offtaking_wh
    if min((wh for side in sides for wh in side.values()), default=0) < 0:
        raise SettlementError("an energy must not be negative")
    if not 0 <= delivering_share_ppm <= _PPM:
        raise SettlementError(f"the delivering side bears 0 to {_PPM} ppm, not {delivering_share_ppm}")
    delivered_wh, offtaken_wh = (sum(side.values()) for side in sides)
    loss_wh = delivered_wh - offtaken_wh
    if loss_wh < 0:
        raise SettlementError(f"{offtaken_wh} Wh are taken and {delivered_wh} Wh delivered: there is no loss")
    settled_wh = delivered_wh - loss_wh * delivering_share_ppm // _PPM
    if settled_wh and not offtaken_wh:
        raise SettlementError("nobody takes energy who could bear the rest of the loss")
    return LossMultipliers(
        Fraction(settled_wh, delivered_wh) if delivered_wh else None,
        Fraction(settled_wh, offtaken_wh) if offtaken_wh else None,
        _shares(settled_wh, delivering_wh),
        _shares(settled_wh, offtaking_wh),
    )


def _shares(total_wh: int, energies_wh: Mapping[str, int]) -> dict[str, int]:
    names = sorted(energies_wh, key=str.encode)
    shares = largest_remainder(total_wh, np.array([energies_wh[name] for name in names], dtype=np.int64))
    return dict(zip(names, shares.tolist(), strict=True))

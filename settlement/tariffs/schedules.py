"""Payments for a schedule and for leaving it, certificates of what was generated, and what a load may claim of it.

``two_settlement/1``, ``deviation/1``, ``deviation_penalty/1``, ``green_certificates/1`` (绿证) and ``green_claim/1`` of the conformance vectors. Energy in Wh, prices
in micro-currency per kWh, amounts in nano-currency; exact at any size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from gridcore.registry.balance_terms import BOTH, SHORT_ONLY, SIDES
from settlement.errors import SettlementError

_PPM: Final = 1_000_000
CERTIFICATE_WH: Final = 1_000_000


class PricedEnergy(NamedTuple):
    """An energy (Wh, at least 0) and its price (micro-currency per kWh, of any sign)."""

    energy_wh: int
    price: int


class Tolerance(NamedTuple):
    """How far a schedule may be left, and what the rest costs as a share of the price, both in ppm; on which sides."""

    tolerance_ppm: int
    penalty_ppm: int
    sides: str


class Penalty(NamedTuple):
    """The deviation that is charged, and the charge."""

    charged_wh: int
    amount_nano: int


@dataclass(frozen=True, slots=True)
class Certificates:
    """Per entry the certificates (1 MWh each) issued and cancelled, and the energy carried on after it."""

    issued: tuple[int, ...]
    cancelled: tuple[int, ...]
    carry_wh: tuple[int, ...]


def two_settlement(day_ahead: PricedEnergy, actual: PricedEnergy, contract: PricedEnergy | None = None) -> int:
    """What a participant receives: the day-ahead schedule at its price, the deviation at the real-time price.

    ``actual``: the metered energy and the real-time price; ``contract``: a contract for difference against the day-ahead
    price. Nano-currency, negative where the participant pays. SettlementError for a negative energy.
    """
    contract_wh, contract_price = contract or PricedEnergy(0, 0)
    _check_energies(day_ahead.energy_wh, actual.energy_wh, contract_wh)
    return (
        contract_wh * (contract_price - day_ahead.price)
        + day_ahead.energy_wh * day_ahead.price
        + (actual.energy_wh - day_ahead.energy_wh) * actual.price
    )


def deviation_penalty(contract: PricedEnergy, actual_wh: int, tolerance: Tolerance) -> Penalty:
    """What leaving a contract beyond its tolerance costs, floored; with SHORT_ONLY only less than the contract is charged.

    SettlementError for a negative energy, price or share, and unknown sides.
    """
    _check_energies(contract.energy_wh, actual_wh)
    return penalty_beyond(contract, actual_wh - contract.energy_wh, tolerance)


def penalty_beyond(schedule: PricedEnergy, deviation_wh: int, tolerance: Tolerance) -> Penalty:
    """The same for a deviation of any sign and size: above 0 where more was given, or less taken, than the schedule says.

    SettlementError for a negative schedule, price or share, and unknown sides.
    """
    _check_energies(schedule.energy_wh)
    if min(schedule.price, tolerance.tolerance_ppm, tolerance.penalty_ppm) < 0:
        raise SettlementError("neither price nor tolerance nor penalty may be negative")
    if tolerance.sides not in SIDES:
        raise SettlementError(f"unknown sides {tolerance.sides!r}: {BOTH} or {SHORT_ONLY}")
    if tolerance.sides == SHORT_ONLY and deviation_wh >= 0:
        return Penalty(0, 0)
    free_wh = schedule.energy_wh * tolerance.tolerance_ppm // _PPM
    charged_wh = max(0, abs(deviation_wh) - free_wh)
    return Penalty(charged_wh, charged_wh * schedule.price * tolerance.penalty_ppm // _PPM)


class Deviation(NamedTuple):
    """How far a participant left its trades: positive, more was given or less taken; and what it receives for it."""

    deviation_wh: int
    amount_nano: int


def deviation(metered_wh: int, sold_wh: int, bought_wh: int, long_price: int, short_price: int) -> Deviation:
    """Metered (positive: given) less sold plus bought; a surplus is paid at one price, a lack charged at the other.

    SettlementError for a negative trade.
    """
    _check_energies(sold_wh, bought_wh)
    deviation_wh = metered_wh - sold_wh + bought_wh
    return Deviation(deviation_wh, deviation_wh * (long_price if deviation_wh > 0 else short_price))


def green_certificates(entries_wh: Sequence[int]) -> Certificates:
    """Certificates of months' on-grid energy: a whole MWh issues one, a correction (negative) that exceeds the carry cancels.

    SettlementError where more would be cancelled than is outstanding.
    """
    outstanding = carry_wh = 0
    changes: list[int] = []
    carries_wh: list[int] = []
    for month, entry_wh in enumerate(entries_wh):
        # floor: a positive carry issues its whole MWh, a negative one cancels as many as bring it back to 0 or above
        change, carry_wh = divmod(carry_wh + entry_wh, CERTIFICATE_WH)
        outstanding += change
        if outstanding < 0:
            raise SettlementError(f"entry {month} cancels {-outstanding} certificates more than are outstanding")
        changes.append(change)
        carries_wh.append(carry_wh)
    issued, cancelled = (tuple(max(0, sign * change) for change in changes) for sign in (1, -1))
    return Certificates(issued, cancelled, tuple(carries_wh))


class GreenClaim(NamedTuple):
    """The load that generation covers, over all slots together and slot by slot, and both as shares of the load, floored to a millionth."""

    matched_by_sum_wh: int
    matched_by_slot_wh: int
    by_sum_ppm: int
    by_slot_ppm: int


def green_claim(generation_wh: Sequence[int], load_wh: Sequence[int]) -> GreenClaim:
    """What a load may claim of generation (Wh by slot, of the same slots): what exceeds a slot's load covers no other slot by slot, and does by the sum.

    SettlementError for lists of different lengths, a negative energy, and no load.
    """
    if len(generation_wh) != len(load_wh):
        raise SettlementError(
            f"{len(generation_wh)} slots of generation, {len(load_wh)} of load: they are the same slots"
        )
    _check_energies(0, *generation_wh, *load_wh)
    all_wh = sum(load_wh)
    if not all_wh:
        raise SettlementError("without load there is nothing to claim for")
    by_sum_wh = min(sum(generation_wh), all_wh)
    by_slot_wh = sum(map(min, generation_wh, load_wh))
    # floor: the whole is claimed only where all of the load is covered
    return GreenClaim(by_sum_wh, by_slot_wh, by_sum_wh * _PPM // all_wh, by_slot_wh * _PPM // all_wh)


def _check_energies(*energies_wh: int) -> None:
    if min(energies_wh) < 0:
        raise SettlementError("an energy must not be negative")

"""Charges and losses of the grid: by voltage level, by capacity, as shares of an offer, and what a grid loses.

``network_charge_by_voltage/1`` (过网费), ``network_charge_capacity/1`` (就近消纳, docs/spec/mechanisms.md), the shares of ``grid_fee_path/1`` (its path is the contract's) and ``grid_loss/1`` of the conformance vectors. Energy in Wh, prices
in micro-currency per kWh, amounts in nano-currency; exact at any size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from settlement.errors import SettlementError

_PPM = 1_000_000
_HOURS_OF_MONTH = 730


class VoltageLevel(NamedTuple):
    """One voltage level of a tariff and its price, micro-currency per kWh."""

    name: str
    price: int


@dataclass(frozen=True, slots=True)
class GridLoss:
    """The loss metering point's consumption, or its production where more came out than went in; and its share, ppm."""

    loss_consumption_wh: int
    loss_production_wh: int
    loss_ppm: int


def network_charge_by_voltage(levels: Sequence[VoltageLevel], user_level: str, highest_level: str) -> int:
    """The charge per kWh of a trade that covers the grid from the user's level up to the highest: the two prices' difference.

    ``levels``: from the lowest voltage to the highest. The charge has any sign, in micro-currency per kWh. SettlementError
    for a level that is named twice or not at all, and for a highest level below the user's, whatever the prices.
    """
    places = {level.name: place for place, level in enumerate(levels)}
    if len(places) != len(levels):
        raise SettlementError("a voltage level is named twice")
    for name in (user_level, highest_level):
        if name not in places:
            raise SettlementError(f"{name!r} is none of the voltage levels {', '.join(places)}")
    if places[highest_level] < places[user_level]:
        raise SettlementError(f"{highest_level} lies below the user's level {user_level}")
    return levels[places[user_level]].price - levels[places[highest_level]].price


def price_at_level(levels: Sequence[VoltageLevel], user_level: str, highest_level: str) -> int:
    """The price per kWh of a user's level, or the charge up to the highest that is covered where one is named. Errors as of ``network_charge_by_voltage``."""
    if highest_level:
        return network_charge_by_voltage(levels, user_level, highest_level)
    prices = dict(levels)
    if user_level not in prices:
        raise SettlementError(f"{user_level!r} is none of the voltage levels {', '.join(prices)}")
    return prices[user_level]


def network_charge_capacity(capacity_charge_nano: int, capacity_w: int, energy_price: int, load_factor_ppm: int) -> int:
    """A month's charge of a project that consumes nearby: nothing by the energy it takes, all by what it is connected with.

    The capacity or demand charge as it is, and the price per kWh of the voltage level x mean load factor x 730 hours x connected
    capacity; nano-currency, floored. SettlementError for a negative charge, capacity or price, and a load factor above 1.
    """
    if min(capacity_charge_nano, capacity_w, energy_price) < 0:
        raise SettlementError("neither a capacity nor its charge nor a price may be negative")
    if not 0 <= load_factor_ppm <= _PPM:
        raise SettlementError(f"a load factor is from 0 to {_PPM} ppm, not {load_factor_ppm}")
    return capacity_charge_nano + energy_price * load_factor_ppm * _HOURS_OF_MONTH * capacity_w // _PPM


def fees_of_offer(offer_price: int, shares_ppm: Sequence[int]) -> list[int]:
    """Fees that are shares of the original offer. SettlementError for a negative share, and a fee that is no whole micro."""
    if min(shares_ppm, default=0) < 0:
        raise SettlementError("a share must not be negative")
    products = [offer_price * share for share in shares_ppm]
    if any(product % _PPM for product in products):
        raise SettlementError(f"a fee of the offer {offer_price} is no whole micro-currency")
    return [product // _PPM for product in products]


def grid_loss(exchange_in_wh: int, exchange_out_wh: int, production_wh: int, consumption_wh: int) -> GridLoss:
    """What went into a grid and did not come out; the share is floored, of all that went in, 0 where nothing did.

    SettlementError for a negative energy.
    """
    if min(exchange_in_wh, exchange_out_wh, production_wh, consumption_wh) < 0:
        raise SettlementError("neither an exchange nor production nor consumption may be negative")
    in_wh = exchange_in_wh + production_wh
    loss_wh = in_wh - exchange_out_wh - consumption_wh
    return GridLoss(max(0, loss_wh), max(0, -loss_wh), _PPM * abs(loss_wh) // in_wh if in_wh else 0)

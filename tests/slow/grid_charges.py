"""Charges of the grid for one user and one contract, in fractions and plain loops (tests/vectors/FORMAT.md, docs/spec/mechanisms.md)."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import floor
from typing import NamedTuple

MILLIONTH = Fraction(1, 1_000_000)


class Left(NamedTuple):
    """How much of a deviation is charged, and what it costs."""

    charged_wh: int
    amount_nano: int


def deviation_penalty(
    contract_wh: int, actual_wh: int, price: int, tolerance_ppm: int, penalty_ppm: int, sides: str
) -> Left:
    """What is missing, or too much, beyond the tolerance: a share of the price for each Wh; ``short_only`` forgives what is too much."""
    off_wh = contract_wh - actual_wh if actual_wh < contract_wh else actual_wh - contract_wh
    is_forgiven = sides == "short_only" and actual_wh > contract_wh
    charged_wh = 0 if is_forgiven else max(0, off_wh - floor(contract_wh * tolerance_ppm * MILLIONTH))
    return Left(charged_wh, floor(charged_wh * (price * penalty_ppm * MILLIONTH)))


def charge_by_voltage(levels: Sequence[tuple[str, int]], user_level: str, highest_level: str) -> int | None:
    """Step by step up from the user's level: each step takes off by how much the next level's price is lower. None: there is no such way up."""
    charge, before = 0, list[int]()
    for name, price in levels:
        if name == user_level:
            before = [price]
        if before:
            charge += before[-1] - price
            before.append(price)
            if name == highest_level:
                return charge
    return None


def charge_by_capacity(capacity_charge_nano: int, capacity_w: int, energy_price: int, load_factor_ppm: int) -> int:
    """A month has 730 hours; in each the connected capacity takes energy at the mean load factor, which costs the level's price."""
    energy_wh = Fraction(0)
    for _ in range(730):
        energy_wh += capacity_w * load_factor_ppm * MILLIONTH
    return capacity_charge_nano + floor(energy_wh * energy_price)

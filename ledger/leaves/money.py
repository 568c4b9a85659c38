"""Amounts of accounts that collect without bound, stored as two limbs: whole units, and nano from 0 to 999,999,999."""

from __future__ import annotations

from typing import Final

NANO: Final = 10**9
"""Nano in one unit of the currency."""


def split_amount(amount_nano: int) -> tuple[int, int]:
    """(units, nano) of an amount of either sign; 0 <= nano < NANO."""
    return divmod(amount_nano, NANO)


def join_amount(units: int, nano: int) -> int:
    """The amount in nano."""
    return units * NANO + nano

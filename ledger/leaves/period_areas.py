"""``period_areas/<start_s>/<zone>/<chunk>``: what the slots of a period have come to, of each area."""

from __future__ import annotations

from typing import Final

from ledger.leaves.family import Family
from ledger.leaves.period import decode_period, encode_period


def _key(start_s: int, zone: str, chunk: int) -> str:
    return f"period_areas/{start_s}/{zone}/{chunk}"


PERIOD_AREAS: Final = Family("period_areas", _key, decode_period, encode_period)

"""``period/<start_s>/<zone>/<chunk>``: what the slots of a period have come to, of each point."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from ledger.leaves.columns import Int64, pack_each, unpack_each
from ledger.leaves.family import Family, Value


class PeriodLeaf(NamedTuple):
    """Sums of the last runs of all slots of a period so far. columns: int64[n] by name; seed: 32 bytes, replaced by each run."""

    columns: Mapping[str, Int64]
    seed: bytes


def _key(start_s: int, zone: str, chunk: int) -> str:
    return f"period/{start_s}/{zone}/{chunk}"


def decode_period(columns: Mapping[str, bytes], seed: bytes) -> PeriodLeaf:
    """The record of a stored map."""
    return PeriodLeaf(unpack_each(columns), seed)


def encode_period(record: PeriodLeaf) -> Value:
    """The inverse."""
    return {"columns": pack_each(record.columns), "seed": record.seed}


PERIOD: Final = Family("period", _key, decode_period, encode_period)

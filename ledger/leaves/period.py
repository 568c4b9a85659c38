"""``period/<start_s>/<zone>/<chunk>`` and ``period_areas/…``: what the slots of a period have come to, of each point and of each area."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from ledger.leaves.columns import Int64, pack_each, unpack_each
from ledger.leaves.family import Family, Value


class PeriodLeaf(NamedTuple):
    """Sums of the last runs of all slots of a period so far. columns: int64[n] by name; seed: 32 bytes, replaced by each run."""

    columns: Mapping[str, Int64]
    seed: bytes


def _key_of_points(start_s: int, zone: str, chunk: int) -> str:
    return f"period/{start_s}/{zone}/{chunk}"


def _key_of_areas(start_s: int, zone: str, chunk: int) -> str:
    return f"period_areas/{start_s}/{zone}/{chunk}"


def _decode(columns: Mapping[str, bytes], seed: bytes) -> PeriodLeaf:
    return PeriodLeaf(unpack_each(columns), seed)


def _encode(record: PeriodLeaf) -> Value:
    return {"columns": pack_each(record.columns), "seed": record.seed}


PERIOD: Final = Family("period", _key_of_points, _decode, _encode)
PERIOD_AREAS: Final = Family("period_areas", _key_of_areas, _decode, _encode)

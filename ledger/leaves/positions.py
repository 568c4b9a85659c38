"""``positions/<slot_start_s>/<zone>/<run>/<chunk>``: what a run says of each point, in chunks of the zone's rows; written once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from ledger.leaves.columns import Int64, UInt8, pack_each, unpack_each, unpack_quality
from ledger.leaves.family import Family, Value

REGISTERS: Final = ("start_import", "end_import", "start_export", "end_export")
ENERGIES: Final = ("import_wh", "export_wh")
HEAD: Final = (*REGISTERS, *ENERGIES)
"""The columns of every position, in the order of its row; those that the contract declares come behind them."""


class PositionsLeaf(NamedTuple):
    """Points of a zone. columns: int64[n] by name: ``HEAD``, then the contract's; quality: uint8[n], bytes of the values at the slot's end.

    start_..., end_...: registers as the meter shows them, -1 where absent; import_wh, export_wh: primary energy; root: of the chunk's
    salted rows; seed: 32 bytes, from which the salts of the whole run follow.
    """

    columns: Mapping[str, Int64]
    quality: UInt8
    root: bytes
    seed: bytes


def _key(slot_start_s: int, zone: str, run: str, chunk: int) -> str:
    return f"positions/{slot_start_s}/{zone}/{run}/{chunk}"


def _decode(columns: Mapping[str, bytes], quality: bytes, root: bytes, seed: bytes) -> PositionsLeaf:
    return PositionsLeaf(unpack_each(columns), unpack_quality(quality), root, seed)


def _encode(record: PositionsLeaf) -> Value:
    return {
        "columns": pack_each(record.columns),
        "quality": record.quality.tobytes(),
        "root": record.root,
        "seed": record.seed,
    }


POSITIONS: Final = Family("positions", _key, _decode, _encode, is_prunable=True)

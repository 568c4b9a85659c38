"""``held/<chunk>``: what parties may come to owe by orders that stand and fills that are not settled yet, by party number."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from ledger.leaves import columns
from ledger.leaves.columns import NO_SEED, Int64, pack, unpack
from ledger.leaves.family import Family, Value


class HeldLeaf(NamedTuple):
    """nano: int64[parties of a whole chunk] >= 0; seed: 32 bytes, replaced whenever one of them changes."""

    nano: Int64
    seed: bytes


def _key(chunk: int) -> str:
    return f"held/{chunk}"


def _decode(nano: bytes, seed: bytes) -> HeldLeaf:
    return HeldLeaf(unpack(nano), seed)


def _encode(record: HeldLeaf) -> Value:
    return {"nano": pack(record.nano), "seed": record.seed}


HELD: Final = Family("held", _key, _decode, _encode)


def no_held() -> HeldLeaf:
    """What is held of a chunk of parties that never had an order."""
    return HeldLeaf(np.zeros(columns.CHUNK_ROWS, dtype=np.int64), NO_SEED)

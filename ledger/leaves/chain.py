"""``chain``: what holds for the whole chain, as genesis says it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from gridcore.genesis import Thresholds
from ledger.leaves.family import Family, Value, as_map


class ChainLeaf(NamedTuple):
    """clock: what moves ledger time, "block", "simulated" or "imported"; currency: ISO 4217; name: begins the chain id;
    slot_s: length of a slot, seconds; thresholds: how many organisations approve a change.
    """

    clock: str
    currency: str
    name: str
    slot_s: int
    thresholds: Thresholds


def _key() -> str:
    return "chain"


def _decode(*, thresholds: Mapping[str, int], **rest: Any) -> ChainLeaf:
    return ChainLeaf(thresholds=Thresholds(**thresholds), **rest)


def _encode(record: ChainLeaf) -> Value:
    return {**as_map(record), "thresholds": record.thresholds._asdict()}


CHAIN: Final = Family("chain", _key, _decode, _encode, is_provable=True)

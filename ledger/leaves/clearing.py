"""``clearing/<slot_start_s>/<zone>``: what one gate came to, area by area under one root."""

from __future__ import annotations

from typing import Final, NamedTuple

from ledger.leaves.family import Family


class ClearingLeaf(NamedTuple):
    """A cleared gate. areas: how many; areas_root: over the salted rows of the areas; contract, contract_pin: of what cleared it."""

    areas: int
    areas_root: bytes
    contract: str
    contract_pin: bytes
    slot_start_s: int
    zone: str


def _key(slot_start_s: int, zone: str) -> str:
    return f"clearing/{slot_start_s}/{zone}"


CLEARING: Final = Family("clearing", _key, ClearingLeaf, is_provable=True, is_followed=True)

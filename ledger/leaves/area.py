"""``area/<id>``: a grid area with its calendar, rules and contract."""

from __future__ import annotations

from typing import Final, NamedTuple

from gridcore.forms import DIGEST, INSTANT, NAME, text
from ledger.leaves.family import Family


class AreaLeaf(NamedTuple):
    """calendar, rules: ids of their leaves; contract: its id; contract_pin: 32 bytes; first_slot_start_s: UTC seconds."""

    calendar: str
    contract: str
    contract_pin: bytes
    first_slot_start_s: int
    rules: str


def _key(area: str) -> str:
    return f"area/{area}"


AREA: Final = Family(
    "area",
    _key,
    AreaLeaf,
    forms={
        "calendar": NAME,
        "contract": text(1, 64),
        "contract_pin": DIGEST,
        "first_slot_start_s": INSTANT,
        "rules": NAME,
    },
)

"""``delivery/<gateway>``: how far a gateway's batches have come."""

from __future__ import annotations

from typing import Final, NamedTuple

from gridcore.transactions.reading_batch import FIRST_PREVIOUS
from ledger.leaves.family import Family


class DeliveryLeaf(NamedTuple):
    """counter: of the last batch in ``epoch``, 0 before the first; last: id of that batch, else ``FIRST_PREVIOUS``;
    last_boundary_s: newest boundary of any batch, -1 before the first.
    """

    counter: int = 0
    epoch: int = 1
    last: bytes = FIRST_PREVIOUS
    last_boundary_s: int = -1


def _key(gateway: str) -> str:
    return f"delivery/{gateway}"


DELIVERY: Final = Family("delivery", _key, DeliveryLeaf)

"""``gateway/<id>``: how far a gateway's batches have come, who answers for it, how its key is kept."""

from __future__ import annotations

from typing import Final, NamedTuple

from gridcore.forms import NAME, exactly, integer, text
from gridcore.transactions.reading_batch import FIRST_PREVIOUS
from ledger.leaves.family import Family


class GatewayLeaf(NamedTuple):
    """A gateway.

    counter: of the last batch in ``epoch``, 0 before the first; last: id of that batch, ``FIRST_PREVIOUS`` before the first;
    last_boundary_s: newest boundary of any batch, -1 before the first; organisation: a signer of role utility;
    protection: what enrolment verified of the key ("software", "tpm2", ...).
    """

    counter: int
    epoch: int
    last: bytes
    last_boundary_s: int
    organisation: str
    protection: str


def _key(gateway: str) -> str:
    return f"gateway/{gateway}"


GATEWAY: Final = Family(
    "gateway",
    _key,
    GatewayLeaf,
    forms={
        "counter": exactly(0, "0 at genesis"),
        "epoch": integer(1, 2**32 - 1),
        "last": exactly(FIRST_PREVIOUS, "32 zero bytes at genesis"),
        "last_boundary_s": exactly(-1, "-1 at genesis"),
        "organisation": text(1, 200),
        "protection": NAME,
    },
    is_provable=True,
)

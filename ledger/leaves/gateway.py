"""``gateway/<id>``: how far a gateway's batches have come, who answers for it, how its key is kept."""

from __future__ import annotations

from typing import Final, NamedTuple

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
    is_provable=True,
)

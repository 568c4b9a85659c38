"""The agreements of a slot: which hold, and what they say of it (docs/spec/registry.md, "Agreements")."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from gridcore.registry.agreement import AGREEMENT, DIFFERENCE, Agreement
from gridcore.registry.price_series import PRICE_SERIES
from ledger.contract import Agreements
from ledger.registry.bodies import Registered, in_force
from ledger.registry.zones import ZoneInForce
from ledger.state.draft import Draft

NOT_SAID: Final = -1
"""In place of a quantity or a share."""


class Terms(NamedTuple):
    """What an agreement says of one slot, in Wh, ppm and micro per kWh; NOT_SAID for the one of quantity and share that it has not.

    reference: of a difference, 0 for all others.
    """

    is_difference: int
    quantity_wh: int
    share_ppm: int
    price_micro_per_kwh: int
    reference_micro_per_kwh: int


class Holding(NamedTuple):
    """An agreement that holds in a slot. seller, buyer: rows of the zone."""

    name: str
    seller: int
    buyer: int
    agreement: Agreement
    terms: Terms


def holding(
    registered: Registered, parties: Sequence[str], zone: ZoneInForce, slot_start_s: int, height: int
) -> Iterator[Holding]:
    """Those of a zone, ascending by name, whose points are billed to their parties in the slot, by what was recorded up to ``height``.

    parties: the chain's names by number. A difference holds where its series says a reference price.
    """
    for name, seller, buyer, digest in zone.agreements:
        agreement = registered.opened.record(registered, AGREEMENT, digest)
        if not isinstance(agreement, Agreement):
            continue
        billed = [parties[number] if number >= 0 else None for number in zone.party[[seller, buyer]].tolist()]
        terms = _terms_of_slot(registered, agreement, slot_start_s, height)
        if billed == [agreement.seller, agreement.buyer] and terms is not None:
            yield Holding(name, seller, buyer, agreement, terms)


def agreements_of_slot(draft: Draft, zone: ZoneInForce, slot_start_s: int) -> Agreements:
    """What contracts see of them: rows are places among the settling ones."""
    rows = [
        (*np.searchsorted(zone.settling, [held.seller, held.buyer]).tolist(), *held.terms)
        for held in holding(draft, draft.registry.parties, zone, slot_start_s, draft.height - 1)
    ]
    table = np.array(rows, dtype=np.int64).reshape(len(rows), len(Agreements._fields))
    return Agreements(*(np.ascontiguousarray(column) for column in table.T))


def _terms_of_slot(registered: Registered, agreement: Agreement, slot_start_s: int, height: int) -> Terms | None:
    """What an agreement says of a slot; None for a difference without a reference price then."""
    price, reference, said = agreement.price_micro_per_kwh, 0, None
    if agreement.series is not None:
        found = in_force(registered, PRICE_SERIES, agreement.series, slot_start_s, height)
        said = None if found is None else found.record.price_at(found.entry.from_s, slot_start_s)
    if agreement.basis == DIFFERENCE:
        if said is None:
            return None
        reference = said
    elif said is not None:
        price = said
    quantity, share = (NOT_SAID if told is None else told for told in (agreement.quantity_wh, agreement.share_ppm))
    return Terms(int(agreement.basis == DIFFERENCE), quantity, share, price, reference)

"""What of an organisation waits for others: how much of it may wait, and how it ends where nobody decides."""

from __future__ import annotations

from typing import Final

from ledger.leaves.pending import PENDING
from ledger.leaves.proposal import EXPIRED, PROPOSAL
from ledger.leaves.undecided import UNDECIDED, UndecidedLeaf
from ledger.state.draft import Draft

PROPOSALS_MAX: Final = 8
"""Open ones of one organisation."""
REGISTRATIONS_MAX: Final = 1_024
"""Waiting ones of one organisation."""


def take_off(draft: Draft, organisation: str, transaction: bytes) -> None:
    """What was decided waits no more."""
    listed = UNDECIDED.must(draft, organisation)
    proposals = [other for other in listed.proposals if other != transaction]
    registrations = [other for other in listed.registrations if other != transaction]
    UNDECIDED.save(draft, UndecidedLeaf(proposals, registrations), organisation)


def undecided_of(draft: Draft, organisation: str) -> UndecidedLeaf:
    """What of an organisation still waits for others at ledger time, of what it has listed."""
    listed = UNDECIDED.load(draft, organisation) or UndecidedLeaf()
    return UndecidedLeaf(
        [found for found in listed.proposals if not is_over(draft, PROPOSAL.must(draft, found.hex()).open_until_s)],
        [found for found in listed.registrations if not is_over(draft, PENDING.must(draft, found.hex()).valid_until_s)],
    )


def is_over(draft: Draft, until_s: int) -> bool:
    """Whether what waits until then waits no more."""
    return until_s < draft.ledger_time_s


def end_expired(draft: Draft, organisation: str) -> None:
    """Mark as expired what an organisation has listed and nobody can decide any more, and drop what it held."""
    listed, left = UNDECIDED.load(draft, organisation) or UndecidedLeaf(), undecided_of(draft, organisation)
    for transaction in sorted({*listed.proposals} - {*left.proposals}):
        expired = PROPOSAL.must(draft, transaction.hex())._replace(status=EXPIRED, action=b"")
        PROPOSAL.save(draft, expired, transaction.hex())
    for transaction in sorted({*listed.registrations} - {*left.registrations}):
        PENDING.save(draft, PENDING.must(draft, transaction.hex())._replace(rows=()), transaction.hex())
    UNDECIDED.save(draft, left, organisation)

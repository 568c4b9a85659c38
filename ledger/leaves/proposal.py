"""``proposal/<transaction id>``: what an organisation has proposed, who is in favour and against, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from ledger.leaves.family import Family

OPEN: Final = "open"
PASSED: Final = "passed"
FAILED: Final = "failed"
EXPIRED: Final = "expired"


class ProposalLeaf(NamedTuple):
    """action: canonical bytes, empty once it has failed or expired (its transaction has them); against, in_favour: organisations,
    ascending; open_until_s: ledger time, UTC seconds, up to when votes count; organisation: whose administrator proposed;
    proposed_height, decided_height: of the blocks, None while nothing is decided; status: OPEN, PASSED, FAILED or EXPIRED.
    """

    action: bytes
    against: Sequence[str]
    in_favour: Sequence[str]
    open_until_s: int
    organisation: str
    proposed_height: int
    status: str = OPEN
    decided_height: int | None = None

    def voted(self, organisation: str, *, in_favour: bool) -> ProposalLeaf:
        """The leaf with one more vote."""
        if in_favour:
            return self._replace(in_favour=sorted([*self.in_favour, organisation], key=str.encode))
        return self._replace(against=sorted([*self.against, organisation], key=str.encode))


def _key(transaction: str) -> str:
    return f"proposal/{transaction}"


PROPOSAL: Final = Family("proposal", _key, ProposalLeaf, is_provable=True)

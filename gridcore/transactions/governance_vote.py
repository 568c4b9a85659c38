"""governance/vote: an organisation says yes or no to a proposal (docs/spec/governance.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self

from gridcore.envelope import Transaction
from gridcore.forms import BOOL, DIGEST, Form
from gridcore.transactions.content import CLIENT_NAMED, ClientNamed, check_fields, check_no_attachment

_BODY: Final[Mapping[str, Form]] = {"in_favour": BOOL, "proposal": DIGEST}


@dataclass(frozen=True, kw_only=True)
class GovernanceVote(ClientNamed):
    """Signed by an administrator. proposal: id of the governance/propose, 32 bytes; in_favour: yes or no."""

    kind: ClassVar[str] = "governance/vote"

    in_favour: bool
    proposal: bytes

    def body(self) -> Mapping[str, Any]:
        """See Content."""
        return {"in_favour": self.in_favour, "proposal": self.proposal}

    @classmethod
    def decode(cls, transaction: Transaction) -> Self:
        """See Content."""
        check_no_attachment(transaction)
        identity = check_fields(cls.kind, transaction.identity, CLIENT_NAMED)
        return cls(**identity, **check_fields(cls.kind, transaction.body, _BODY))

"""settlement/dispute_answer, _decision, _withdrawal: what becomes of a dispute, and who says so (docs/spec/envelope.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self

from gridcore.envelope import Transaction
from gridcore.forms import DIGEST, Form, choice
from gridcore.transactions.content import CLIENT_NAMED, ClientNamed, check_fields, check_no_attachment

AGREED: Final = "agreed"
REJECTED: Final = "rejected"
UPHELD: Final = "upheld"
DISMISSED: Final = "dismissed"
WITHDRAWN: Final = "withdrawn"


@dataclass(frozen=True, kw_only=True)
class DisputeStep(ClientNamed):
    """dispute: id of the ``settlement/dispute``; outcome: one of ``outcomes``; statement: SM3 of the reasons, which stay off the ledger."""

    kind: ClassVar[str]
    outcomes: ClassVar[tuple[str, ...]]

    dispute: bytes
    outcome: str
    statement: bytes

    def body(self) -> Mapping[str, Any]:
        """See Content."""
        return {"dispute": self.dispute, "outcome": self.outcome, "statement": self.statement}

    @classmethod
    def decode(cls, transaction: Transaction) -> Self:
        """See Content."""
        check_no_attachment(transaction)
        identity = check_fields(cls.kind, transaction.identity, CLIENT_NAMED)
        forms: Mapping[str, Form] = {"dispute": DIGEST, "outcome": choice(*cls.outcomes), "statement": DIGEST}
        return cls(**identity, **check_fields(cls.kind, transaction.body, forms))


class DisputeAnswer(DisputeStep):
    """By a utility of the party's organisation: it agrees and will correct, or rejects."""

    kind = "settlement/dispute_answer"
    outcomes = (AGREED, REJECTED)


class DisputeDecision(DisputeStep):
    """By a regulator, once the organisation has rejected or let its time pass."""

    kind = "settlement/dispute_decision"
    outcomes = (UPHELD, DISMISSED)


class DisputeWithdrawal(DisputeStep):
    """By the party itself."""

    kind = "settlement/dispute_withdrawal"
    outcomes = (WITHDRAWN,)

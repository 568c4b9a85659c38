"""What transactions about ledger time have in common: they name an instant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from gridcore.envelope import Transaction
from gridcore.forms import INSTANT, Form
from gridcore.transactions.content import CLIENT_NAMED, ClientNamed, check_fields, check_no_attachment

_BODY: Final[Mapping[str, Form]] = {"to_s": INSTANT}


@dataclass(frozen=True, kw_only=True)
class ClockMove(ClientNamed):
    """A content that names an instant of ledger time. to_s: UTC seconds."""

    to_s: int

    def body(self) -> Mapping[str, Any]:
        """See Content."""
        return {"to_s": self.to_s}

    @classmethod
    def decode(cls, transaction: Transaction) -> Self:
        """See Content."""
        check_no_attachment(transaction)
        identity = check_fields(transaction.kind, transaction.identity, CLIENT_NAMED)
        return cls(**identity, **check_fields(transaction.kind, transaction.body, _BODY))

"""governance/propose: an organisation asks the others to decide (docs/spec/governance.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self

from gridcore.envelope import Transaction
from gridcore.forms import INSTANT, Form
from gridcore.governance.table import ACTION_BYTES_MAX
from gridcore.transactions.content import CLIENT_NAMED, ClientNamed, check_fields, check_no_attachment

_BODY: Final[Mapping[str, Form]] = {
    "action": Form(
        f"1 to {ACTION_BYTES_MAX} bytes",
        lambda value: isinstance(value, bytes) and 1 <= len(value) <= ACTION_BYTES_MAX,
    ),
    "open_until_s": INSTANT,
}


@dataclass(frozen=True, kw_only=True)
class GovernancePropose(ClientNamed):
    """Signed by an administrator. action: ``gridcore.governance.table.Action`` in canonical bytes, whose form the ledger judges;
    open_until_s: ledger time, UTC seconds, up to when votes count.
    """

    kind: ClassVar[str] = "governance/propose"

    action: bytes
    open_until_s: int

    def body(self) -> Mapping[str, Any]:
        """See Content."""
        return {"action": self.action, "open_until_s": self.open_until_s}

    @classmethod
    def decode(cls, transaction: Transaction) -> Self:
        """See Content."""
        check_no_attachment(transaction)
        identity = check_fields(cls.kind, transaction.identity, CLIENT_NAMED)
        return cls(**identity, **check_fields(cls.kind, transaction.body, _BODY))

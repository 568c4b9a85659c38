"""metering/open_epoch: let a gateway that lost its outbox count its batches anew (docs/spec/envelope.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self

from gridcore.envelope import Transaction
from gridcore.forms import Form, integer, text
from gridcore.transactions.content import CLIENT_NAMED, ClientNamed, check_fields, check_no_attachment

REASON_CHARACTERS_MAX: Final = 200
_BODY: Final[Mapping[str, Form]] = {
    "epoch": integer(),
    "gateway": text(1, 64),
    "reason": text(1, REASON_CHARACTERS_MAX),
}


@dataclass(frozen=True, kw_only=True)
class OpenEpoch(ClientNamed):
    """Signed by the gateway's organisation. epoch: the new one; reason: for people, 1 to 200 characters."""

    kind: ClassVar[str] = "metering/open_epoch"

    epoch: int
    gateway: str
    reason: str

    def body(self) -> Mapping[str, Any]:
        """See Content."""
        return {"epoch": self.epoch, "gateway": self.gateway, "reason": self.reason}

    @classmethod
    def decode(cls, transaction: Transaction) -> Self:
        """See Content."""
        check_no_attachment(transaction)
        identity = check_fields(cls.kind, transaction.identity, CLIENT_NAMED)
        return cls(**identity, **check_fields(cls.kind, transaction.body, _BODY))

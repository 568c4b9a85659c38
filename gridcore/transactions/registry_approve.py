"""registry/approve: another organisation agrees to rows that one has submitted (docs/spec/envelope.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self

from gridcore.envelope import Transaction
from gridcore.forms import DIGEST, Form
from gridcore.transactions.content import CLIENT_NAMED, ClientNamed, check_fields, check_no_attachment

_BODY: Final[Mapping[str, Form]] = {"transaction": DIGEST}


@dataclass(frozen=True, kw_only=True)
class RegistryApprove(ClientNamed):
    """Signed by an administrator. transaction: id of the registry/register whose rows wait, 32 bytes."""

    kind: ClassVar[str] = "registry/approve"

    transaction: bytes

    def body(self) -> Mapping[str, Any]:
        """See Content."""
        return {"transaction": self.transaction}

    @classmethod
    def decode(cls, transaction: Transaction) -> Self:
        """See Content."""
        check_no_attachment(transaction)
        identity = check_fields(cls.kind, transaction.identity, CLIENT_NAMED)
        return cls(**identity, **check_fields(cls.kind, transaction.body, _BODY))

"""metering/approve: an organisation answers for what a meter showed at a boundary (docs/spec/envelope.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self

from gridcore.envelope import Transaction
from gridcore.forms import INSTANT, U32, Form, text
from gridcore.registry.installation import REGISTERS
from gridcore.transactions.content import CLIENT_NAMED, ClientNamed, check_fields, check_no_attachment

REASON_CHARACTERS_MAX: Final = 200
SUBSTITUTE: Final = "substitute: "
"""How the reason of a register begins that nobody read. It stays on the ledger, so it is in one language."""
_BODY: Final[Mapping[str, Form]] = {
    "boundary_s": INSTANT,
    "installation": U32,
    "reason": text(1, REASON_CHARACTERS_MAX),
    "registers": REGISTERS,
}


@dataclass(frozen=True, kw_only=True)
class ApproveReading(ClientNamed):
    """Signed by the organisation of the gateway that reads the meter.

    boundary_s: the slot boundary, UTC seconds; installation: its number; registers: import and export in Wh as the meter shows them, which
    count from now on whatever stands there; reason: for people, 1 to 200 characters.
    """

    kind: ClassVar[str] = "metering/approve"

    boundary_s: int
    installation: int
    reason: str
    registers: Sequence[int]

    @property
    def is_substitute(self) -> bool:
        """Whether nobody read it."""
        return self.reason.startswith(SUBSTITUTE)

    def body(self) -> Mapping[str, Any]:
        """See Content."""
        return {
            "boundary_s": self.boundary_s,
            "installation": self.installation,
            "reason": self.reason,
            "registers": list(self.registers),
        }

    @classmethod
    def decode(cls, transaction: Transaction) -> Self:
        """See Content."""
        check_no_attachment(transaction)
        identity = check_fields(cls.kind, transaction.identity, CLIENT_NAMED)
        return cls(**identity, **check_fields(cls.kind, transaction.body, _BODY))

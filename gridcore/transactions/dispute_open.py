"""settlement/dispute: a party contests what one of its points pays for a slot (docs/spec/envelope.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self

from gridcore.envelope import Transaction
from gridcore.forms import DIGEST, INSTANT, NAME, Form, choice, text
from gridcore.transactions.content import CLIENT_NAMED, ClientNamed, check_fields, check_no_attachment

GROUNDS: Final = ("reading", "energy", "trade", "price", "tariff", "other")
"""What a party says is wrong."""
LINE_KIND_CHARACTERS_MAX: Final = 64
RUN_CHARACTERS_MAX: Final = 64
_BODY: Final[Mapping[str, Form]] = {
    "ground": choice(*GROUNDS),
    "line_kind": text(0, LINE_KIND_CHARACTERS_MAX),
    "point": NAME,
    "run": text(1, RUN_CHARACTERS_MAX),
    "slot_start_s": INSTANT,
    "statement": DIGEST,
}


@dataclass(frozen=True, kw_only=True)
class DisputeOpen(ClientNamed):
    """Signed by the party itself.

    ground: one of ``GROUNDS``; line_kind: the line that is contested, "" for all; run: the last run of the slot, as the party knows it;
    statement: SM3 of what it says, which stays off the ledger.
    """

    kind: ClassVar[str] = "settlement/dispute"

    ground: str
    line_kind: str
    point: str
    run: str
    slot_start_s: int
    statement: bytes

    def body(self) -> Mapping[str, Any]:
        """See Content."""
        return {name: getattr(self, name) for name in _BODY}

    @classmethod
    def decode(cls, transaction: Transaction) -> Self:
        """See Content."""
        check_no_attachment(transaction)
        identity = check_fields(cls.kind, transaction.identity, CLIENT_NAMED)
        return cls(**identity, **check_fields(cls.kind, transaction.body, _BODY))

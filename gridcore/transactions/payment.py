"""settlement/payment: money that moved outside of the ledger for what a point owes, or was given up (docs/spec/envelope.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, NamedTuple, Self

from gridcore.envelope import Transaction
from gridcore.forms import DIGEST, NAME, Form, choice, integer
from gridcore.transactions.content import CLIENT_NAMED, ClientNamed, check_fields, check_no_attachment

AMOUNT_NANO_MAX: Final = 10**15
"""A million of the currency."""
PAYMENTS: Final = "payments"
WRITTEN_OFF: Final = "written_off"


class Effect(NamedTuple):
    """sign: 1 where the point owes less afterwards, -1 where it owes more; account: of its area, which is on the other side."""

    sign: int
    account: str


GROUNDS: Final[Mapping[str, Effect]] = {
    "received": Effect(1, PAYMENTS),
    "paid_out": Effect(-1, PAYMENTS),
    "written_off": Effect(1, WRITTEN_OFF),
    "reinstated": Effect(-1, WRITTEN_OFF),
}
"""What happened: the party paid; it was paid, or its payment went back; its debt was given up; that was taken back."""
_BODY: Final[Mapping[str, Form]] = {
    "amount_nano": integer(1, AMOUNT_NANO_MAX),
    "ground": choice(*GROUNDS),
    "party": NAME,
    "point": NAME,
    "reference": DIGEST,
}


@dataclass(frozen=True, kw_only=True)
class Payment(ClientNamed):
    """Signed by a utility of the party's organisation.

    amount_nano: above 0; ground: one of ``GROUNDS``, which says the direction; point: which was billed to ``party`` at some time, and owes
    less or more afterwards; reference: SM3 of what names the movement (a bank's line), which stays off the ledger: a point takes each once.
    """

    kind: ClassVar[str] = "settlement/payment"

    amount_nano: int
    ground: str
    party: str
    point: str
    reference: bytes

    def body(self) -> Mapping[str, Any]:
        """See Content."""
        return {name: getattr(self, name) for name in _BODY}

    @classmethod
    def decode(cls, transaction: Transaction) -> Self:
        """See Content."""
        check_no_attachment(transaction)
        identity = check_fields(cls.kind, transaction.identity, CLIENT_NAMED)
        return cls(**identity, **check_fields(cls.kind, transaction.body, _BODY))

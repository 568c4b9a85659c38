"""settlement/dispute_document: a party contests a line of a month's documents, or their tax or total (docs/spec/envelope.md)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Self

from gridcore.envelope import Transaction
from gridcore.errors import EncodingError
from gridcore.forms import DIGEST, Form, choice, integer, text
from gridcore.transactions.content import CLIENT_NAMED, ClientNamed, check_fields, check_no_attachment
from gridcore.transactions.dispute_open import GROUNDS, LINE_KIND_CHARACTERS_MAX

AMOUNT_NANO_MAX: Final = 10**18
"""A billion of the currency, of either sign."""
LINE: Final = "line"
PARTS: Final = (LINE, "tax", "total")
"""What of the documents is contested: the line of a component of the tariff, the tax, or all of it."""
_MONTH: Final = re.compile(r"(19[7-9][0-9]|[2-9][0-9]{3})-(0[1-9]|1[0-2])", re.ASCII)
MONTH: Final = Form(
    "a month from 1970-01 to 9999-12, as 2026-07",
    lambda value: isinstance(value, str) and _MONTH.fullmatch(value) is not None,
)
_BODY: Final[Mapping[str, Form]] = {
    "amount_nano": integer(-AMOUNT_NANO_MAX, AMOUNT_NANO_MAX),
    "ground": choice(*GROUNDS),
    "line_kind": text(0, LINE_KIND_CHARACTERS_MAX),
    "month": MONTH,
    "part": choice(*PARTS),
    "statement": DIGEST,
}


@dataclass(frozen=True, kw_only=True)
class DisputeDocument(ClientNamed):
    """Signed by the party itself.

    amount_nano: what this comes to in the documents that the party has, tax not included in a line; ground: one of ``GROUNDS``; month: by the
    party's local clock; part: one of ``PARTS``; line_kind: name of a component where part is "line", else ""; statement: SM3 of what it says.
    """

    kind: ClassVar[str] = "settlement/dispute_document"

    amount_nano: int
    ground: str
    line_kind: str
    month: str
    part: str
    statement: bytes

    def body(self) -> Mapping[str, Any]:
        """See Content."""
        return {name: getattr(self, name) for name in _BODY}

    @classmethod
    def decode(cls, transaction: Transaction) -> Self:
        """See Content."""
        check_no_attachment(transaction)
        identity = check_fields(cls.kind, transaction.identity, CLIENT_NAMED)
        body = check_fields(cls.kind, transaction.body, _BODY)
        if (body["part"] == LINE) != (body["line_kind"] != ""):
            raise EncodingError(f"{cls.kind}: line_kind names a component where part is {LINE}, and is empty elsewhere")
        return cls(**identity, **body)


def stated_nano(documents: Iterable[Mapping[str, Any]], part: str, line_kind: str) -> int | None:
    """What a part comes to in a party's documents of a month, as a node answers them (docs/spec/http.md): all of them together.

    None for a line that none of them has.
    """
    amounts: list[int] = []
    for document in documents:
        of_line = [line["amount"] for line in document["lines"] if line["line_kind"] == line_kind]
        found = {LINE: of_line, "tax": [document["tax"]], "total": [document["gross"]]}[part]
        amounts += [amount * document["quantum_nano"] for amount in found]
    return sum(amounts) if amounts else None

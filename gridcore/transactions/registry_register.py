"""registry/register: record registry rows, so that entities are otherwise from a time on (docs/spec/envelope.md).

The signed part names the salted tree over the rows; the rows travel beside it with the seed of their salts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, NamedTuple, Self

from gridcore import cbor
from gridcore.envelope import Transaction
from gridcore.forms import DIGEST, Form, integer, octets
from gridcore.registry.row import ROW_BYTES_MAX, Row, rows_root
from gridcore.transactions.content import CLIENT_NAMED, ClientNamed, check_fields

ROWS_MAX: Final = 4_096
ROWS_BYTES_MAX: Final = 1_000_000
"""Of the rows of one transaction (``attached_bytes``): its attachment has at most 1 MiB."""
SEED_BYTES: Final = 32
_HEAD_BYTES: Final = 3
"""Before the bytes of a row."""
ATTACHMENT_ITEMS_MAX: Final = ROWS_MAX + 5
"""CBOR items of an attachment: a map of two keys, an array of the rows, a seed."""
_BODY: Final[Mapping[str, Form]] = {"rows": integer(1, ROWS_MAX), "rows_root": DIGEST}
_ATTACHMENT: Final[Mapping[str, Form]] = {
    "rows": Form(
        f"an array of byte strings of at most {ROW_BYTES_MAX} bytes",
        lambda value: (
            isinstance(value, list) and all(isinstance(row, bytes) and len(row) <= ROW_BYTES_MAX for row in value)
        ),
    ),
    "seed": octets(SEED_BYTES),
}


@dataclass(frozen=True, kw_only=True)
class RegistryRegister(ClientNamed):
    """Signed by an administrator. rows: how many, 1 to ROWS_MAX; rows_root: over the salted rows, 32 bytes."""

    kind: ClassVar[str] = "registry/register"

    rows: int
    rows_root: bytes

    def body(self) -> Mapping[str, Any]:
        """See Content."""
        return {"rows": self.rows, "rows_root": self.rows_root}

    @classmethod
    def decode(cls, transaction: Transaction) -> Self:
        """See Content. The attachment is not looked at."""
        identity = check_fields(cls.kind, transaction.identity, CLIENT_NAMED)
        return cls(**identity, **check_fields(cls.kind, transaction.body, _BODY))


def attached_bytes(row: Row) -> int:
    """How many bytes of an attachment a row takes at most."""
    return len(row.encode()) + _HEAD_BYTES


class AttachedRows(NamedTuple):
    """Encoded registry rows as they travel beside a transaction. seed: 32 bytes, of their salts."""

    seed: bytes
    rows: Sequence[bytes]

    def encode(self) -> bytes:
        """The attachment."""
        return cbor.encode({"rows": list(self.rows), "seed": self.seed})

    @property
    def root(self) -> bytes:
        """What the signed part names as ``rows_root``."""
        return rows_root(self.seed, self.rows)


def decode_attached_rows(attachment: bytes) -> AttachedRows:
    """Inverse of AttachedRows.encode. EncodingError for anything else; the rows themselves are not looked at."""
    value = cbor.decode(attachment, items_max=ATTACHMENT_ITEMS_MAX)
    return AttachedRows(**check_fields("attachment", value, _ATTACHMENT))

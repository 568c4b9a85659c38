"""What transactions of every kind have in common: a record is signed as body and identity, and comes back from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, NamedTuple, Protocol, Self

from gridcore.envelope import Transaction, encode_signed, encode_transaction
from gridcore.errors import EncodingError
from gridcore.forms import Form, integer, octets
from gridcore.sm3 import sm3

CLIENT_ID_BYTES: Final = 16


class Content(Protocol):
    """What a transaction of one kind says: a frozen record. ``decode`` raises EncodingError for another form."""

    kind: ClassVar[str]

    def identity(self) -> Mapping[str, Any]:
        """The part by which a transaction is known when it comes again."""

    def body(self) -> Mapping[str, Any]:
        """All the rest."""

    @classmethod
    def decode(cls, transaction: Transaction) -> Self:
        """Inverse of body and identity, form checks included."""


@dataclass(frozen=True, kw_only=True)
class ClientNamed:
    """A content that its sender names. client_id: 16 bytes; valid_until_s: ledger time, UTC seconds, after which it is void."""

    client_id: bytes
    valid_until_s: int

    def identity(self) -> Mapping[str, Any]:
        """See Content."""
        return {"client_id": self.client_id, "valid_until_s": self.valid_until_s}


CLIENT_NAMED: Final[Mapping[str, Form]] = {"client_id": octets(CLIENT_ID_BYTES), "valid_until_s": integer()}
"""Forms of such an identity."""


class SignedContent(NamedTuple):
    """A transaction ready to be sent. id: SM3 of what was signed."""

    id: bytes
    wire: bytes


def sign_content(
    content: Content, *, chain: str, signer: str, sign: Callable[[bytes], bytes], attachment: bytes = b""
) -> SignedContent:
    """Make a transaction. ``sign``: the signature (r || s, 64 bytes) of ``signer`` over the bytes it is given."""
    signed = encode_signed(
        chain=chain, kind=content.kind, signer=signer, identity=content.identity(), body=content.body()
    )
    return SignedContent(sm3(signed), encode_transaction(signed, sign(signed), attachment))


def check_fields(
    what: str, value: Any, forms: Mapping[str, Form], optional: frozenset[str] = frozenset()
) -> Mapping[str, Any]:
    """``value`` as it is. EncodingError naming the field unless it is a map of ``forms``, each of its form."""
    if not isinstance(value, Mapping) or not forms.keys() - optional <= value.keys() <= forms.keys():
        raise EncodingError(f"{what}: its fields are {', '.join(forms)}")
    for name, item in value.items():
        if not forms[name].holds(item):
            raise EncodingError(f"{what}: {name} is {forms[name].words}")
    return value


def check_no_attachment(transaction: Transaction) -> None:
    """EncodingError where a transaction brings an attachment that its kind does not have."""
    if transaction.attachment:
        raise EncodingError(f"{transaction.kind}: no attachment")

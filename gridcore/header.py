"""Headers, certificates and receipts: what a node signs about its state, and how anyone checks it (docs/spec/header.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gridcore import cbor, merkle
from gridcore.errors import EncodingError, GridError, excerpt
from gridcore.genesis import PROTOCOL_FIRST, Genesis
from gridcore.sm import is_valid_signature
from gridcore.sm3 import sm3

TYPE = "header/2"
HEADER_ITEMS_MAX = 13
"""CBOR items of a header: an array of twelve."""
RECEIPT_VERSION = 2
RECEIPT_ITEMS_MAX = 1024
"""CBOR items of a receipt: 256 signers with three each, two paths of 64, and what is around them."""
Signers = Sequence[tuple[bytes, int]]
Certificate = list[tuple[bytes, bytes]]


class VerificationError(GridError):
    """Something that was checked does not hold: a digest, a path, a signature."""


@dataclass(frozen=True)
class Header:
    """One block's header; field meanings and order are those of docs/spec/header.md. Times are UTC seconds."""

    chain: str
    height: int
    time_s: int
    ledger_time_s: int
    previous: bytes
    history_root: bytes
    data_root: bytes
    state_root: bytes
    signers: bytes
    signers_pending: bytes
    protocol_version: int

    def encode(self) -> bytes:
        """The canonical array whose SM3 is S_h."""
        return cbor.encode(
            [
                TYPE,
                self.chain,
                self.height,
                self.time_s,
                self.ledger_time_s,
                self.previous,
                self.history_root,
                self.data_root,
                self.state_root,
                self.signers,
                self.signers_pending,
                self.protocol_version,
            ]
        )

    def digest(self) -> bytes:
        """S_h."""
        return sm3(self.encode())


def decode_header(data: bytes) -> Header:
    """Inverse of Header.encode. Raises EncodingError for anything else."""
    value = cbor.decode(data, items_max=HEADER_ITEMS_MAX)
    if not isinstance(value, list) or len(value) != 12 or value[0] != TYPE:
        raise EncodingError(f"a header is an array of twelve items that begins with {TYPE!r}")
    kinds = (str, int, int, int, bytes, bytes, bytes, bytes, bytes, bytes, int)
    if any(type(item) is not kind for item, kind in zip(value[1:], kinds, strict=True)):
        raise EncodingError("a header's items are of the types in docs/spec/header.md")
    if any(len(item) != 32 for item in value[5:10]) or len(value[10]) not in (0, 32):
        raise EncodingError("a header's digests have 32 bytes")
    return Header(*value[1:])


def genesis_header(genesis: Genesis, state_root: bytes) -> Header:
    """The header of height 0, whose digest is S_0. state_root: over the leaves of genesis."""
    return Header(
        chain=genesis.chain,
        height=0,
        time_s=genesis.ledger_time_s,
        ledger_time_s=genesis.ledger_time_s,
        previous=bytes(32),
        history_root=merkle.root_of_hashes([]),
        data_root=genesis.digest,
        state_root=state_root,
        signers=signers_digest(genesis.signers),
        signers_pending=b"",
        protocol_version=PROTOCOL_FIRST,
    )


def signers_digest(signers: Signers) -> bytes:
    """Digest of a signer set: pairs (public key, power)."""
    return sm3(cbor.encode(["signers/1", [list(signer) for signer in sorted(signers)]]))


def certificate_message(chain: str, height: int, header_digest: bytes) -> bytes:
    """The bytes that each signer of a certificate signs."""
    return cbor.encode(["certificate/1", chain, height, header_digest])


def check_certificate(header: Header, certificate: Sequence[Sequence[bytes]], signers: Signers) -> int:
    """Return the power behind a header. Raises VerificationError unless more than 2/3 of ``signers`` signed it."""
    powers = dict(signers)
    message = certificate_message(header.chain, header.height, header.digest())
    keys = [key for key, _ in certificate]
    if keys != sorted(set(keys)):
        raise VerificationError(f"certificate of height {header.height}: keys are not ascending and distinct")
    power = 0
    for key, signature in certificate:
        if key not in powers:
            raise VerificationError(f"certificate of height {header.height}: signed by a key outside the signer set")
        if not is_valid_signature(key, message, signature):
            raise VerificationError(f"certificate of height {header.height}: a signature does not hold")
        power += powers[key]
    if 3 * power <= 2 * sum(powers.values()):
        raise VerificationError(f"certificate of height {header.height}: not more than 2/3 of the power signed")
    return power


def data_leaf(digest: bytes, code: int) -> bytes:
    """The leaf of data_root: a transaction's digest and its code."""
    return cbor.encode([digest, code])


@dataclass(frozen=True)
class LaterHeader:
    """A header, and the path from S_h of an earlier one to its history_root."""

    header: Header
    path: tuple[bytes, ...]


@dataclass(frozen=True)
class Receipt:
    """Proof that a transaction was decided: header, certificate, path from [digest, code] to data_root.

    certified: the later header that the certificate is of; None where it is of ``header`` itself.
    """

    header: Header
    certificate: Certificate
    digest: bytes
    code: int
    path: tuple[bytes, ...]
    certified: LaterHeader | None = None

    @property
    def certified_header(self) -> Header:
        """The header that the certificate is of."""
        return self.header if self.certified is None else self.certified.header

    def encode(self) -> bytes:
        """Canonical bytes."""
        parts: dict[str, Any] = {
            "certificate": [list(entry) for entry in self.certificate],
            "code": self.code,
            "digest": self.digest,
            "header": self.header.encode(),
            "path": list(self.path),
            "type": "receipt",
            "version": RECEIPT_VERSION,
        }
        if self.certified is not None:
            parts["certified"] = {"header": self.certified.header.encode(), "path": list(self.certified.path)}
        return cbor.encode(parts)


def decode_receipt(data: bytes) -> Receipt:
    """Inverse of Receipt.encode; checks shape only. Raises EncodingError."""
    value = cbor.decode(data, items_max=RECEIPT_ITEMS_MAX)
    keys = {"certificate", "code", "digest", "header", "path", "type", "version"}
    is_receipt = isinstance(value, dict) and set(value) - {"certified"} == keys and value["type"] == "receipt"
    if not is_receipt or type(value["version"]) is not int or value["version"] != RECEIPT_VERSION:
        raise EncodingError(f"a receipt is a map of type 'receipt', version {RECEIPT_VERSION}")
    _check_receipt_types(value)
    later = value.get("certified")
    return Receipt(
        header=decode_header(value["header"]),
        certificate=[(key, signature) for key, signature in value["certificate"]],
        digest=value["digest"],
        code=value["code"],
        path=tuple(value["path"]),
        certified=None if later is None else LaterHeader(decode_header(later["header"]), tuple(later["path"])),
    )


def _check_receipt_types(value: Mapping[str, Any]) -> None:
    pairs, later = value["certificate"], value.get("certified", {"header": b"", "path": []})
    good = (
        isinstance(pairs, list)
        and all(isinstance(p, list) and len(p) == 2 and all(isinstance(x, bytes) for x in p) for p in pairs)
        and type(value["code"]) is int
        and isinstance(value["digest"], bytes)
        and isinstance(value["header"], bytes)
        and _is_path(value["path"])
        and isinstance(later, dict)
        and set(later) == {"header", "path"}
        and isinstance(later["header"], bytes)
        and _is_path(later["path"])
    )
    if not good:
        raise EncodingError("a receipt's fields are of the types in docs/spec/header.md")


def _is_path(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, bytes) for item in value)


def check_receipt(receipt: Receipt, *, chain: str, digest: bytes, signers: Signers) -> None:
    """Raise VerificationError unless the receipt proves that ``digest`` was decided on ``chain``.

    It then proves the decision too: ``receipt.code``. signers: those whose word counts, as (public key, power).
    """
    check_decision(receipt, chain=chain, digest=digest)
    check_certificate(receipt.certified_header, receipt.certificate, signers)


def check_decision(receipt: Receipt, *, chain: str, digest: bytes) -> None:
    """Raise VerificationError unless the decision on ``digest`` is under the receipt's certified header, whoever certified that."""
    certified = receipt.certified_header
    for header in (receipt.header, certified):
        if header.chain != chain:
            raise VerificationError(f"receipt of chain {excerpt(header.chain)}, expected {excerpt(chain)}")
    if receipt.digest != digest:
        raise VerificationError("receipt of another transaction")
    try:
        root = merkle.fold(merkle.leaf_hash(data_leaf(receipt.digest, receipt.code)), receipt.path)
        is_in_history = receipt.certified is None or is_later(receipt.header, receipt.certified)
    except EncodingError as error:
        raise VerificationError(f"receipt: {error}") from None
    if root != receipt.header.data_root:
        raise VerificationError(f"receipt: the path does not lead to the data root of height {receipt.header.height}")
    if not is_in_history:
        raise VerificationError(
            f"receipt: header {certified.height} does not have height {receipt.header.height} in its history"
        )


def is_later(header: Header, later: LaterHeader) -> bool:
    """Whether a header is in the history of a later one. EncodingError for a malformed path."""
    root = merkle.fold(merkle.leaf_hash(header.digest()), later.path)
    return later.header.height > header.height and root == later.header.history_root

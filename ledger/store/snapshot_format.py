"""The bytes of a snapshot (docs/spec/snapshot.md): a manifest, and the chunks whose digests it lists. Canonical CBOR, and nothing else is read.

Reading one of these records says nothing about its truth: ``ledger.store.joining`` compares it with certificates and roots.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from gridcore import cbor
from gridcore.errors import EncodingError
from gridcore.header import Certificate, Header, decode_header
from gridcore.sm3 import DIGEST_BYTES, sm3
from gridcore.validator import VALIDATOR_SET, Validator, decode_validators, encode_validators
from ledger.store.rows import Certified
from ledger.store.validator_table import SetChange

FORMAT: Final = 1
CHUNK_BYTES_MAX: Final = 10_000_000
"""The engine carries chunks of up to 16 MB, and advises 10."""
CHUNK_BYTES: Final = 8 * 1024 * 1024
"""A chunk takes no further item beyond this."""
CHUNK_ITEMS_MAX: Final = 200_000
"""Leaves or registry rows in a chunk."""
CHUNKS_MAX: Final = 65_536
"""So a manifest has less than the 4 MB that the engine carries."""
HASHES_MAX: Final = CHUNK_BYTES // DIGEST_BYTES
"""Of headers, in a chunk."""
HEADERS_MAX: Final = 4_096
NUMBER_MAX: Final = 2**63 - 1
"""Of a height or a leaf's number."""
_MANIFEST, _HEAD, _HISTORY, _LEAVES, _BODIES = "manifest/1", "snapshot/1", "history/1", "leaves/1", "bodies/1"


@dataclass(frozen=True)
class Manifest:
    """What a snapshot consists of. chunks: SM3 of each chunk, in order."""

    chain: str
    height: int
    chunks: tuple[bytes, ...]

    def encode(self) -> bytes:
        """Canonical bytes."""
        return cbor.encode([_MANIFEST, self.chain, self.height, list(self.chunks)])

    @property
    def digest(self) -> bytes:
        """What names the snapshot: SM3 of the canonical bytes."""
        return sm3(self.encode())


@dataclass(frozen=True)
class Head:
    """The first chunk: what the certificates say.

    headers: ascending by height, the last one is that of the snapshot; certificate: of it. certified_height: the newest of which a
    block up to it has brought the certificate, 0: none has. sets: those that took over since genesis; certificates: of the headers that
    name them and of header ``certified_height``, ascending by height. leaves: how many the state has.
    """

    headers: tuple[Header, ...]
    certificate: Certificate
    certified_height: int
    sets: tuple[SetChange, ...]
    certificates: tuple[Certified, ...]
    leaves: int

    @property
    def header(self) -> Header:
        """That of the snapshot."""
        return self.headers[-1]

    def encode(self) -> bytes:
        """Canonical bytes."""
        return cbor.encode(
            [
                _HEAD,
                [header.encode() for header in self.headers],
                _encode_certificate(self.certificate),
                self.certified_height,
                [[one.height, one.named_height, encode_validators(one.validators)] for one in self.sets],
                [[one.height, _encode_certificate(one.certificate)] for one in self.certificates],
                self.leaves,
            ]
        )


@dataclass(frozen=True)
class History:
    """Leaf hashes of S_first and those that follow in the tree over headers: 32 bytes each, one after the other."""

    first: int
    packed: bytes

    def encode(self) -> bytes:
        """Canonical bytes."""
        return cbor.encode([_HISTORY, self.first, self.packed])

    @property
    def hashes(self) -> list[bytes]:
        """One by one."""
        return [self.packed[at : at + DIGEST_BYTES] for at in range(0, len(self.packed), DIGEST_BYTES)]


@dataclass(frozen=True)
class Leaves:
    """The leaf of number ``first`` and those that follow, as canonical [key, value]."""

    first: int
    leaves: Sequence[bytes]

    def encode(self) -> bytes:
        """Canonical bytes."""
        return cbor.encode([_LEAVES, self.first, list(self.leaves)])


@dataclass(frozen=True)
class Bodies:
    """Salted registry rows, ascending by digest over all chunks of them."""

    bodies: Sequence[bytes]

    def encode(self) -> bytes:
        """Canonical bytes."""
        return cbor.encode([_BODIES, list(self.bodies)])


Part: TypeAlias = Head | History | Leaves | Bodies


def decode_manifest(data: bytes) -> Manifest:
    """Inverse of ``Manifest.encode``. EncodingError for anything else."""
    value = cbor.decode(data)
    if not _is_entry(value, (str, str, int, list)) or value[0] != _MANIFEST:
        raise EncodingError("not a manifest")
    _, chain, height, chunks = value
    if height < 1 or not 2 <= len(chunks) <= CHUNKS_MAX or not all(_is_digest(one) for one in chunks):
        raise EncodingError(f"a manifest has a height from 1 on and 2 to {CHUNKS_MAX} digests of chunks")
    return Manifest(chain, height, tuple(chunks))


def decode_part(data: bytes) -> Part:
    """A chunk. EncodingError for anything else."""
    if len(data) > CHUNK_BYTES_MAX:
        raise EncodingError(f"a chunk has at most {CHUNK_BYTES_MAX} bytes")
    value = cbor.decode(data)
    if _is_entry(value, (str, list, list, int, list, list, int)) and value[0] == _HEAD:
        return _head(*value[1:])
    if _is_entry(value, (str, int, bytes)) and value[0] == _HISTORY:
        return _history(*value[1:])
    if _is_entry(value, (str, int, list)) and value[0] == _LEAVES:
        return Leaves(value[1], _byte_strings(value[2]))
    if _is_entry(value, (str, list)) and value[0] == _BODIES:
        return Bodies(_byte_strings(value[1]))
    raise EncodingError("a chunk is an array that begins with what it holds")


def _head(
    headers: list[Any],
    certificate: list[Any],
    certified_height: int,
    sets: list[Any],
    certificates: list[Any],
    leaves: int,
) -> Head:
    if not 1 <= len(headers) <= HEADERS_MAX or not all(isinstance(header, bytes) for header in headers):
        raise EncodingError(f"a snapshot has 1 to {HEADERS_MAX} headers")
    if not all(_is_entry(one, (int, int, list)) for one in sets):
        raise EncodingError("a set of validators comes with two heights")
    if not all(_is_entry(one, (int, list)) for one in certificates):
        raise EncodingError("a certificate comes with its height")
    return Head(
        headers=tuple(decode_header(header) for header in headers),
        certificate=_certificate(certificate),
        certified_height=certified_height,
        sets=tuple(SetChange(height, named, _validators(maps)) for height, named, maps in sets),
        certificates=tuple(Certified(height, _certificate(pairs)) for height, pairs in certificates),
        leaves=leaves,
    )


def _history(first: int, packed: bytes) -> History:
    if not packed or len(packed) % DIGEST_BYTES or len(packed) > HASHES_MAX * DIGEST_BYTES:
        raise EncodingError(f"a chunk of history holds 1 to {HASHES_MAX} hashes")
    return History(first, packed)


def _is_entry(value: Any, types: Sequence[type]) -> bool:
    """Whether a value is an array of items of these types, whose integers are heights or numbers."""
    if not isinstance(value, list) or [type(item) for item in value] != list(types):
        return False
    return all(0 <= item <= NUMBER_MAX for item in value if type(item) is int)


def _is_digest(value: Any) -> bool:
    return isinstance(value, bytes) and len(value) == DIGEST_BYTES


def _byte_strings(values: list[Any]) -> list[bytes]:
    if not 1 <= len(values) <= CHUNK_ITEMS_MAX or not all(isinstance(value, bytes) for value in values):
        raise EncodingError(f"a chunk holds 1 to {CHUNK_ITEMS_MAX} byte strings")
    return values


def _certificate(pairs: list[Any]) -> Certificate:
    if not all(_is_entry(pair, (bytes, bytes)) for pair in pairs):
        raise EncodingError("a certificate is an array of pairs of bytes")
    return [(key, signature) for key, signature in pairs]


def _validators(maps: list[Any]) -> tuple[Validator, ...]:
    if not VALIDATOR_SET.holds(maps):
        raise EncodingError("not a set of validators")
    return decode_validators(maps)


def _encode_certificate(certificate: Certificate) -> list[list[bytes]]:
    return [list(entry) for entry in certificate]

"""The chunks of a snapshot out of a database: the same bytes on every node that has the same blocks (docs/spec/snapshot.md)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from gridcore.header import Certificate, decode_header
from gridcore.sm3 import DIGEST_BYTES
from ledger.store.errors import StoreError
from ledger.store.rows import CERTIFICATE_LAG, Certified
from ledger.store.snapshot_format import (
    CHUNK_BYTES,
    CHUNK_BYTES_MAX,
    CHUNK_ITEMS_MAX,
    HASHES_MAX,
    Bodies,
    Head,
    History,
    Leaves,
    Part,
)
from ledger.store.state_db import StateDb

_ITEM_HEAD_BYTES: Final = 5
"""Of a byte string in a chunk, at most."""


def chunks_of(db: StateDb, certified_height: int, certificate: Certificate) -> Iterator[bytes]:
    """Every chunk, in order, of the state that a (frozen) database holds.

    certified_height: the newest of which a block up to here has brought the certificate; certificate: of the newest header.
    StoreError where something has been pruned, or does not fit into a chunk.
    """
    height = db.height()
    if db.pruned.extent().before_s:
        raise StoreError("leaves of this state were pruned: whoever joins needs another node's snapshot")
    yield _encoded(_head(db, height, certified_height, certificate))
    for history in _history(db, height):
        yield _encoded(history)
    first = 0
    for leaves in _grouped(_leaf(leaf) for _, _, leaf in db.leaves.each()):
        yield _encoded(Leaves(first, leaves))
        first += len(leaves)
    for bodies in _grouped(body for _, body in db.leaves.bodies()):
        yield _encoded(Bodies(bodies))


def headers_of(height: int, heights: Iterable[int]) -> list[int]:
    """The heights, ascending, whose headers come with a snapshot: some before it, and those of its certificates, ``heights``."""
    return sorted(found for found in {*heights, *range(height - CERTIFICATE_LAG, height + 1)} if found > 0)


def _head(db: StateDb, height: int, certified_height: int, certificate: Certificate) -> Head:
    sets = db.validators.changes(height + 1)
    certified = sorted({change.named_height for change in sets} | ({certified_height} if certified_height else set()))
    return Head(
        headers=tuple(decode_header(db.load_header(one) or b"") for one in headers_of(height, certified)),
        certificate=certificate,
        certified_height=certified_height,
        sets=tuple(sets),
        certificates=tuple(Certified(one, db.load_certificate(one) or []) for one in certified),
        leaves=db.leaves.count(height),
    )


def _history(db: StateDb, height: int) -> Iterator[History]:
    first, packed = 0, bytearray()
    for tile, hashes in db.history.each():
        if tile.level > 0:
            break
        packed += hashes
        while len(packed) >= HASHES_MAX * DIGEST_BYTES:
            yield History(first, bytes(packed[: HASHES_MAX * DIGEST_BYTES]))
            del packed[: HASHES_MAX * DIGEST_BYTES]
            first += HASHES_MAX
    if first + len(packed) // DIGEST_BYTES != height:
        raise db.damage("the tree over headers")
    if packed:
        yield History(first, bytes(packed))


def _grouped(items: Iterator[bytes]) -> Iterator[Sequence[bytes]]:
    """Items in groups of which each fits into a chunk."""
    group: list[bytes] = []
    size = 0
    for item in items:
        if group and (size + len(item) > CHUNK_BYTES or len(group) == CHUNK_ITEMS_MAX):
            yield group
            group, size = [], 0
        group.append(item)
        size += len(item) + _ITEM_HEAD_BYTES
    if group:
        yield group


def _leaf(leaf: bytes | None) -> bytes:
    if leaf is None:
        raise StoreError("a leaf of this state was pruned")
    return leaf


def _encoded(part: Part) -> bytes:
    data = part.encode()
    if len(data) > CHUNK_BYTES_MAX:
        raise StoreError(f"a chunk would have {len(data)} bytes, more than {CHUNK_BYTES_MAX}")
    return data

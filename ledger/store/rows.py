"""What the database keeps of blocks and their transactions, as records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from gridcore import cbor
from gridcore.codes import Code
from gridcore.header import Certificate
from gridcore.transactions.reading_batch import ReadingBatch
from ledger.application import Decided
from ledger.kinds.table import KINDS


@dataclass(frozen=True)
class Decision:
    """Where and how a transaction was decided: ``position`` in the block of ``height``, and its code."""

    height: int
    position: int
    code: int


@dataclass(frozen=True)
class DecidedTransaction:
    """One transaction of a block with what became of it. ``position``: in the block; ``id``: b"" when malformed."""

    height: int
    position: int
    wire: bytes
    digest: bytes
    code: int
    id: bytes


@dataclass(frozen=True)
class BatchEntry:
    """One accepted reading batch, by gateway and boundary. ``is_observed``: it carries observations."""

    gateway: str
    boundary_s: int
    position: int
    id: bytes
    is_observed: bool


class RefusedRows(NamedTuple):
    """The rows of an accepted batch that were not used. rows: RowVerdict.encode() of each, ascending by index."""

    gateway: str
    epoch: int
    counter: int
    rows: bytes


class IndexedBatch(NamedTuple):
    """An accepted batch of one gateway, in the order of the index. position: in the block of ``height``; id: of its transaction."""

    boundary_s: int
    height: int
    position: int
    id: bytes


class Change(NamedTuple):
    """One write that followers of the ledger care for.

    height: of the block; subject: a leaf's key (it was written last in that block), or
    ``batch/<gateway>/<boundary_s>/<1: with observations, else 0>``.
    """

    height: int
    subject: str


@dataclass(frozen=True)
class ResultEntry:
    """What became of one transaction of a block: its digest and code (the leaf of data_root) and its id (b"": malformed)."""

    digest: bytes
    code: int
    id: bytes


class Act(NamedTuple):
    """A transaction that is kept for ever (``Kind.is_prunable`` is false), taken or refused. position: in its block."""

    height: int
    position: int
    id: bytes
    signer: str
    kind: str
    code: int


CERTIFICATE_LAG: Final = 2
"""A block may bring the certificate of the header so many heights before it: its signers vote with the block between."""


class Certified(NamedTuple):
    """A certificate, and the height of the header that it is of."""

    height: int
    certificate: Certificate


class Place(NamedTuple):
    """Where a block stands: its S_h and where its record begins in blocks.log."""

    height: int
    digest: bytes
    log_offset: int


def result_entries(decided: Decided) -> tuple[ResultEntry, ...]:
    """What is kept of a block's results."""
    return tuple(ResultEntry(result.digest, int(result.code), result.id) for result in decided.results)


def batch_entries(decided: Decided) -> Iterator[BatchEntry]:
    """The reading batches that a block accepted."""
    for position, (transaction, result) in enumerate(zip(decided.block.decoded, decided.results, strict=True)):
        if result.code == Code.ACCEPTED and transaction is not None and transaction.kind == ReadingBatch.kind:
            batch = ReadingBatch.decode(transaction)
            is_observed = batch.observations is not None
            yield BatchEntry(transaction.signer, batch.boundary_s, position, transaction.id, is_observed)


def act_entries(decided: Decided) -> Iterator[Act]:
    """The acts in a block."""
    height = decided.header.height
    for position, (transaction, result) in enumerate(zip(decided.block.decoded, decided.results, strict=True)):
        kind = None if transaction is None else KINDS.get(transaction.kind)
        if transaction is not None and kind is not None and not kind.is_prunable:
            yield Act(height, position, transaction.id, transaction.signer, transaction.kind, int(result.code))


def refused_rows(decided: Decided) -> Iterator[RefusedRows]:
    """The rows of the reading batches of a block that were not used, of each batch that has any."""
    for transaction, result in zip(decided.block.decoded, decided.results, strict=True):
        if result.rows and transaction is not None and transaction.kind == ReadingBatch.kind:
            batch = ReadingBatch.decode(transaction)
            rows = b"".join(verdict.encode() for verdict in result.rows)
            yield RefusedRows(transaction.signer, batch.epoch, batch.counter, rows)


def encode_results(results: Iterable[ResultEntry]) -> bytes:
    """Canonical bytes of the results of a block."""
    return cbor.encode([[entry.digest, entry.code, entry.id] for entry in results])


def decode_results(encoded: bytes) -> tuple[ResultEntry, ...]:
    """Inverse of encode_results."""
    return tuple(ResultEntry(*entry) for entry in cbor.decode(encoded))

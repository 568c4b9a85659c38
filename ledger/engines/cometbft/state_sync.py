"""State sync: snapshots that this node offers, and the one that it begins with (docs/spec/snapshot.md).

Offering reads files alone, beside the rest, which is used by one thread at a time.

A joiner's engine finds snapshots at its peers, and tells the state root that its light client has verified. A chunk is compared with the
manifest as it comes; who sent another one is asked no more. All chunks are compared with certificates before anything is installed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gridcore.errors import EncodingError
from gridcore.logs import get_logger
from gridcore.sm3 import sm3
from ledger.engines.cometbft import abci_pb2 as abci
from ledger.store.consortium import ConsortiumLedger
from ledger.store.errors import SnapshotError, StoreWriteError
from ledger.store.joining import check_head
from ledger.store.snapshot_format import FORMAT, Head, Manifest, decode_manifest, decode_part
from ledger.store.snapshots import Snapshot

_Offered: Final = abci.OfferSnapshotResponse
_Applied: Final = abci.ApplySnapshotChunkResponse

log = get_logger(__name__)


@dataclass(frozen=True)
class _Taken:
    """The snapshot that is being fetched. app_hash: the state root that it must have; missing: chunks that have not come."""

    snapshot: Snapshot
    app_hash: bytes
    missing: set[int]


class StateSync:
    """See the module."""

    def __init__(self, ledger: ConsortiumLedger) -> None:
        self._ledger = ledger
        self._taken: _Taken | None = None

    def list_snapshots(self) -> abci.ListSnapshotsResponse:
        """Those that this node offers."""
        return abci.ListSnapshotsResponse(snapshots=[_told(one.manifest) for one in self._ledger.snapshots.all()])

    def load_chunk(self, request: abci.LoadSnapshotChunkRequest) -> abci.LoadSnapshotChunkResponse:
        """A chunk of one of them; empty where it has gone."""
        if request.format != FORMAT:
            return abci.LoadSnapshotChunkResponse()
        try:
            return abci.LoadSnapshotChunkResponse(chunk=self._ledger.snapshots.chunk(request.height, request.chunk))
        except OSError:
            return abci.LoadSnapshotChunkResponse()

    def offer(self, request: abci.OfferSnapshotRequest) -> abci.OfferSnapshotResponse:
        """Whether to fetch a snapshot; what was fetched of another one before goes."""
        self._taken = None
        told = request.snapshot
        if self._ledger.has_own_blocks:
            log.error("snapshot_refused", height=told.height, reason="this ledger has blocks of its own")
            return _Offered(result=_Offered.ABORT)
        if told.format != FORMAT:
            return _Offered(result=_Offered.REJECT_FORMAT)
        try:
            manifest = decode_manifest(told.metadata)
        except EncodingError as error:
            log.warning("snapshot_refused", height=told.height, reason=str(error))
            return _Offered(result=_Offered.REJECT_SENDER)
        if told != _told(manifest) or manifest.chain != self._ledger.chain:
            log.warning("snapshot_refused", height=told.height, reason="its manifest is of another snapshot")
            return _Offered(result=_Offered.REJECT_SENDER)
        try:
            snapshot = self._ledger.snapshots.fetch(manifest)
        except OSError as error:
            raise StoreWriteError(f"a snapshot cannot be fetched: {error}") from error
        self._taken = _Taken(snapshot, request.app_hash, set(range(len(manifest.chunks))))
        return _Offered(result=_Offered.ACCEPT)

    def apply_chunk(self, request: abci.ApplySnapshotChunkRequest) -> abci.ApplySnapshotChunkResponse:
        """Take a chunk, in whatever order they come; with the last one the ledger begins there. StoreWriteError: call it again."""
        taken, index = self._taken, request.index
        if taken is None or index >= len(taken.snapshot.manifest.chunks):
            return _Applied(result=_Applied.ABORT)
        if sm3(request.chunk) != taken.snapshot.manifest.chunks[index]:
            log.warning("snapshot_chunk_refused", index=index, sender=request.sender)
            return _Applied(result=_Applied.RETRY, refetch_chunks=[index], reject_senders=[request.sender])
        try:
            if index == 0:
                self._check_head(taken, request.chunk)
            self._ledger.snapshots.keep_chunk(taken.snapshot, index, request.chunk)
            taken.missing.discard(index)
            if not taken.missing:
                self._ledger.join(taken.snapshot)
                self._taken = None
        except (SnapshotError, EncodingError) as error:
            log.error("snapshot_refused", height=taken.snapshot.manifest.height, reason=str(error))
            self._taken = None
            return _Applied(result=_Applied.REJECT_SNAPSHOT, reject_senders=[request.sender])
        except OSError as error:
            raise StoreWriteError(f"a snapshot cannot be kept: {error}") from error
        return _Applied(result=_Applied.ACCEPT)

    def _check_head(self, taken: _Taken, chunk: bytes) -> None:
        """SnapshotError unless a first chunk is certified, and leads to the state root that the engine has verified."""
        head = decode_part(chunk)
        if not isinstance(head, Head):
            raise SnapshotError("does not begin with its head")
        if (head.header.height, head.header.state_root) != (taken.snapshot.manifest.height, taken.app_hash):
            raise SnapshotError("is not of the height and the state root that the engine has verified")
        check_head(head, self._ledger.application.origin)


def _told(manifest: Manifest) -> abci.Snapshot:
    """What the engine is told of a snapshot."""
    return abci.Snapshot(
        height=manifest.height,
        format=FORMAT,
        chunks=len(manifest.chunks),
        hash=manifest.digest,
        metadata=manifest.encode(),
    )

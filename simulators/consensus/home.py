"""Where a node keeps what is its own: folder, disk, key; and the real machine, opened from there."""

from __future__ import annotations

import shutil
from pathlib import Path

from gridcore import cbor
from gridcore.sm import Signer
from ledger.engines.cometbft.machine import Machine
from ledger.store.consortium import ConsortiumLedger
from ledger.store.directory import init_ledger
from ledger.store.errors import NotCertifiedError
from settlement.catalogue import CONTRACTS
from simulators.consensus.conversation import address_of
from simulators.consensus.disk import Disk
from simulators.consensus.founding import Founding, key_of, next_key_of


class WatchedKey:
    """An SM2 key of a node. ``signed``: the digests of the headers that the node's keys signed, by height, over all its lives."""

    def __init__(self, signer: Signer, signed: dict[int, set[bytes]]) -> None:
        self.signed = signed
        self._signer = signer

    @property
    def public_key(self) -> bytes:
        """See ``Signer``."""
        return self._signer.public_key

    def sign(self, message: bytes) -> bytes:
        """See ``Signer``; ``message`` is a certificate's."""
        _, _, height, digest = cbor.decode(message)
        self.signed.setdefault(height, set()).add(digest)
        return self._signer.sign(message)


class Home:
    """See the module. ledger: of the open machine; snapshot_blocks: it makes a snapshot every so many blocks, 0: none; by no thread."""

    def __init__(self, founding: Founding, number: int, folder: Path, snapshot_blocks: int = 0) -> None:
        self.founding = founding
        self.snapshot_blocks = snapshot_blocks
        self.validator = founding.validators[number]
        self.address = address_of(self.validator.consensus_key)
        self.key = WatchedKey(key_of(self.validator.name), {})
        self._next_key = WatchedKey(next_key_of(self.validator.name), self.key.signed)
        self.folder = folder
        self.disk = Disk(folder)
        self._found()
        self.ledger: ConsortiumLedger | None = None

    def open(self) -> Machine:
        """The machine, from what the last run left."""
        self.ledger = ConsortiumLedger.open(
            self.folder,
            CONTRACTS,
            self.key,
            more_keys=[self._next_key],
            files=self.disk,
            snapshot_blocks=self.snapshot_blocks,
            snapshots_in_line=True,
        )
        return Machine(self.ledger)

    def close(self) -> None:
        """Let go of the files, as the end of a process does."""
        if self.ledger is not None:
            self.ledger.close()
            self.ledger = None

    def put_back(self, copy: Path) -> None:
        """Make the folder what ``copy`` has, or a new one where there is no copy; the guard stays as it is."""
        self.disk.clear()
        if copy.exists():
            shutil.copytree(copy, self.folder, dirs_exist_ok=True)
        self._found()

    def lose(self) -> None:
        """Make the folder a new one: nothing is left, not even the guard."""
        self.disk.clear(keeps_guard=False)
        self._found()

    def _found(self) -> None:
        """What a new folder needs; nothing where it is there already."""
        init_ledger(self.folder, self.founding.genesis.encode(), self.disk)

    def receipt(self, transaction_id: bytes) -> bytes | None:
        """The receipt of a decided and certified transaction; None while there is none, or nobody answers."""
        if self.ledger is None:
            return None
        try:
            return self.ledger.receipt(transaction_id)
        except NotCertifiedError:
            return None

"""What ``gridevidence.export`` asks of a ledger, answered by its reader: proofs, registry entries, headers, enrolments."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

from gridcore import merkle
from gridcore.codes import Code
from gridcore.envelope import Transaction, decode_transaction
from gridcore.errors import broken
from gridcore.governance.membership import MEMBERSHIP, MemberRow
from gridcore.governance.table import decode_action
from gridcore.registry.row import decode_row, salt_rows, unsalted
from gridcore.sm3 import sm3
from gridcore.sm3.rows import SALT_BYTES
from gridcore.transactions.governance_propose import GovernancePropose
from gridcore.transactions.governance_vote import GovernanceVote
from gridcore.transactions.registry_register import RegistryRegister, decode_attached_rows
from gridcore.validator import powers_of
from gridevidence.sources import (
    Enrolment,
    EvidenceNotYetError,
    HandOver,
    RecordedTransaction,
    RegistryEntry,
    StateProof,
)
from ledger.leaves.proposal import PASSED, PROPOSAL, ProposalLeaf
from ledger.registry.entries import ENTITY_FAMILIES, EntityLeaf, Entry
from ledger.store.errors import NotCertifiedError
from ledger.store.reader import LedgerReader
from ledger.store.rows import DecidedTransaction


class ReaderEvidence:
    """An ``EvidenceLedger`` (gridevidence.sources)."""

    def __init__(self, reader: LedgerReader) -> None:
        self._reader = reader

    @property
    def height(self) -> int:
        """See EvidenceLedger."""
        return self._reader.certified_height

    def frozen(self) -> AbstractContextManager[None]:
        """See EvidenceLedger."""
        return self._reader.frozen()

    def state_proof(self, key: str) -> StateProof | None:
        """See EvidenceLedger."""
        try:
            found = self._reader.leaf_proof(key)
        except NotCertifiedError as error:
            raise EvidenceNotYetError(str(error)) from None
        return None if found is None else StateProof(found.leaf, found.path)

    def genesis_proof(self, key: str) -> StateProof | None:
        """See EvidenceLedger."""
        found = self._reader.genesis_leaf_proof(key)
        return None if found is None else StateProof(*found)

    def entry_in_force(self, key: str, at_s: int, as_of_height: int) -> RegistryEntry | None:
        """See EvidenceLedger."""
        leaf = self._entity(key)
        return self._opened(None if leaf is None else leaf.in_force(at_s, as_of_height))

    def first_entry(self, key: str) -> RegistryEntry | None:
        """See EvidenceLedger."""
        leaf = self._entity(key)
        return self._opened(None if leaf is None else leaf.entries[0])

    def enrolment(self, key: str, entry: RegistryEntry) -> Enrolment:
        """See EvidenceLedger."""
        digest = merkle.leaf_hash(entry.salt + entry.row)
        for decided in self._reader.transactions(entry.recorded_height):
            if decided.code != Code.ACCEPTED:
                continue
            transaction = decode_transaction(decided.wire)
            if transaction.kind != RegistryRegister.kind:
                continue
            attached = decode_attached_rows(transaction.attachment)
            hashes = merkle.leaf_hashes(salt_rows(attached.seed, attached.rows))
            if digest in hashes:
                path = merkle.sided_path(hashes, hashes.index(digest))
                return Enrolment(recorded(self._reader, decided, transaction), path)
        return broken(f"an entry of {key} was recorded by block {entry.recorded_height}")

    def decision(self, key: str, entry: RegistryEntry) -> StateProof | None:
        """See EvidenceLedger."""
        given = (key, decode_row(entry.row).value)
        for decided in self._reader.transactions(entry.recorded_height):
            transaction = decode_transaction(decided.wire) if decided.code == Code.ACCEPTED else None
            if transaction is None or transaction.kind not in (GovernancePropose.kind, GovernanceVote.kind):
                continue
            proposal = transaction.body.get("proposal", transaction.id).hex()
            found = PROPOSAL.must(self._reader, proposal)
            if found.decided_height == entry.recorded_height and given in _rows_given(found):
                return self.state_proof(PROPOSAL.key(proposal))
        return None

    def header_bytes(self, height: int) -> bytes:
        """See EvidenceLedger."""
        return self._reader.header_bytes(height)

    def certificate(self, height: int) -> Sequence[tuple[bytes, bytes]]:
        """See EvidenceLedger."""
        return list(self._reader.certificate(height))

    def history_path(self, height: int, of_height: int) -> list[bytes]:
        """See EvidenceLedger."""
        return self._reader.history_path(height, of_height)

    def handovers(self, to_height: int) -> Sequence[HandOver]:
        """See EvidenceLedger."""
        changes = self._reader.set_changes(to_height)
        return [HandOver(change.named_height, powers_of(change.validators)) for change in changes]

    def _entity(self, key: str) -> EntityLeaf | None:
        kind, _, name = key.partition("/")
        return ENTITY_FAMILIES[kind].load(self._reader, name)

    def _opened(self, entry: Entry | None) -> RegistryEntry | None:
        if entry is None:
            return None
        body = self._reader.body(entry.digest)
        return RegistryEntry(entry.from_s, entry.recorded_height, unsalted(body), body[:SALT_BYTES])


def _rows_given(proposal: ProposalLeaf) -> list[MemberRow]:
    """Key and value of the entries that a proposal that has passed gave."""
    action = decode_action(proposal.action) if proposal.status == PASSED else None
    return list(action.record.members) if action is not None and action.sort is MEMBERSHIP else []


def recorded(reader: LedgerReader, decided: DecidedTransaction, transaction: Transaction) -> RecordedTransaction:
    """An accepted transaction with its place under its block's header."""
    if decided.code != Code.ACCEPTED:
        broken(f"transaction {decided.id.hex()} was accepted")
    header = reader.header(decided.height)
    return RecordedTransaction(
        height=decided.height,
        ledger_time_s=header.ledger_time_s,
        signer=transaction.signer,
        signed=transaction.signed,
        signature=transaction.signature,
        attachment_digest=sm3(transaction.attachment),
        header=header.encode(),
        data_path=reader.data_path(decided.height, decided.position),
    )

"""registry/register: an organisation records what it may say of the registry. All rows are recorded, or none."""

from __future__ import annotations

from collections.abc import Sequence

from gridcore.codes import Code
from gridcore.envelope import Transaction
from gridcore.errors import EncodingError
from gridcore.registry.entities import ENTITIES
from gridcore.registry.gateway import GATEWAY
from gridcore.registry.row import decode_row, salt_rows
from gridcore.registry.signer import SIGNER
from gridcore.registry.zone import ZONE
from gridcore.transactions.registry_register import RegistryRegister, decode_attached_rows
from ledger.governance.undecided import REGISTRATIONS_MAX, end_expired, undecided_of
from ledger.leaves.delivery import DELIVERY, DeliveryLeaf
from ledger.leaves.pending import PENDING, PendingLeaf
from ledger.leaves.progress import PROGRESS, ProgressLeaf
from ledger.leaves.undecided import UNDECIDED
from ledger.state.client_ids import check_client_id, remember_client_id
from ledger.state.draft import Draft
from ledger.state.registration_rules import OWNED_KINDS, Judge, note_reopened
from ledger.state.registrations import Registrations, SaltedRow


def register(draft: Draft, transaction: Transaction, content: RegistryRegister) -> Code:
    """Judge the rows and record them all, or have them wait for approval; or answer with the code of the first fault."""
    if (code := check_client_id(draft, transaction, content)) is not Code.ACCEPTED:
        return code
    rows = draft.attached(read_rows, transaction, content)
    if rows is None:
        return Code.ROWS_MISMATCH
    signer = draft.in_force(SIGNER, transaction.signer)
    organisation = "" if signer is None else signer.organisation
    judge = Judge(draft, organisation)
    fault = judge.first_fault(rows)
    if fault is not None:
        return fault.code
    if judge.answering() - {organisation} or (draft.thresholds.registry > 1 and not is_of_one(rows)):
        if any(_kind(row) == SIGNER.kind for row in rows):
            return Code.REGISTRY_CONFLICT
        waiting = undecided_of(draft, organisation)
        if len(waiting.registrations) >= REGISTRATIONS_MAX:
            return Code.TOO_MANY_PROPOSALS
        end_expired(draft, organisation)
        listed = waiting._replace(registrations=[*waiting.registrations, transaction.id])
        UNDECIDED.save(draft, listed, organisation)
        digests = [draft.put_body(row.salted) for row in rows]
        pending = PendingLeaf((), organisation, digests, content.valid_until_s)
        PENDING.save(draft, pending, transaction.id.hex())
    else:
        record(draft, judge)
    remember_client_id(draft, transaction, content)
    return Code.ACCEPTED


def is_of_one(rows: Sequence[SaltedRow]) -> bool:
    """Whether all rows are of what an organisation has to itself: its signers, gateways and parties."""
    return all(_kind(row) in OWNED_KINDS for row in rows)


def record(draft: Draft, judge: Judge) -> None:
    """Write rows that were judged into the block."""
    note_reopened(draft, judge)
    start_leaves(draft, judge.registrations)
    judge.registrations.take_over()


def _kind(row: SaltedRow) -> str:
    return row.row.key.partition("/")[0]


def read_rows(transaction: Transaction, content: RegistryRegister) -> Sequence[SaltedRow] | None:
    """The attached rows, or None where they are not those that the signed part names, or one is no row of a known entity."""
    try:
        attached = decode_attached_rows(transaction.attachment)
        rows = [decode_row(encoded) for encoded in attached.rows]
    except EncodingError:
        return None
    is_what_was_signed = len(rows) == content.rows and attached.root == content.rows_root
    if not is_what_was_signed or not all(row.key.partition("/")[0] in ENTITIES for row in rows):
        return None
    return [SaltedRow(*both) for both in zip(rows, salt_rows(attached.seed, attached.rows), strict=True)]


def start_leaves(draft: Draft, registrations: Registrations) -> None:
    """A new gateway can deliver, and the slots of a new zone begin."""
    for stated in registrations.new():
        kind, _, name = stated.key.partition("/")
        if kind == GATEWAY.kind and DELIVERY.load(draft, name) is None:
            DELIVERY.save(draft, DeliveryLeaf(), name)
        if kind == ZONE.kind and PROGRESS.load(draft, name) is None:
            first_slot_s = stated.record.first_slot_start_s
            PROGRESS.save(draft, ProgressLeaf(first_slot_s), name)

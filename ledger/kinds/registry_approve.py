"""registry/approve: rows that wait are registered once so many organisations say so as the genesis asks for, and those among them
that have to answer for the rows.
"""

from __future__ import annotations

from gridcore.codes import Code
from gridcore.envelope import Transaction
from gridcore.registry.row import decode_row, unsalted
from gridcore.registry.signer import SIGNER
from gridcore.transactions.registry_approve import RegistryApprove
from ledger.governance.undecided import take_off
from ledger.kinds.registry_register import record
from ledger.leaves.pending import PENDING
from ledger.state.client_ids import check_client_id, remember_client_id
from ledger.state.draft import Draft
from ledger.state.registration_rules import Judge
from ledger.state.registrations import SaltedRow


def approve(draft: Draft, transaction: Transaction, content: RegistryApprove) -> Code:
    """Rows are judged again when the last approval comes; one that may not be registered by then refuses the approval."""
    if (code := check_client_id(draft, transaction, content)) is not Code.ACCEPTED:
        return code
    pending = PENDING.load(draft, content.transaction.hex())
    if pending is None or not pending.rows or pending.valid_until_s < draft.ledger_time_s:
        return Code.NOTHING_PENDING
    signer = draft.in_force(SIGNER, transaction.signer)
    organisation = "" if signer is None else signer.organisation
    if organisation in (pending.organisation, *pending.approved_by):
        return Code.APPROVED_ALREADY
    approved = pending._replace(approved_by=[*pending.approved_by, organisation])
    if 1 + len(approved.approved_by) >= draft.thresholds.registry:
        bodies = [draft.body(digest) for digest in pending.rows]
        judge = Judge(draft, pending.organisation)
        fault = judge.first_fault([SaltedRow(decode_row(unsalted(body)), body) for body in bodies])
        if fault is not None:
            return fault.code
        if judge.answering() <= {pending.organisation, *approved.approved_by}:
            record(draft, judge)
            approved = approved._replace(rows=())
            take_off(draft, pending.organisation, content.transaction)
    PENDING.save(draft, approved, content.transaction.hex())
    remember_client_id(draft, transaction, content)
    return Code.ACCEPTED

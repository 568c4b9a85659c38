"""The ledger in one function: ``apply_block``. Read it top to bottom; docs/spec/state.md says the same in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from gridcore.codes import Code
from gridcore.envelope import Transaction, malformed_digest
from gridcore.errors import EncodingError, broken
from gridcore.transactions.content import Content
from ledger.contract import Contract
from ledger.kinds.table import KINDS
from ledger.leaves.exception import RowVerdict
from ledger.leaves.signer import SIGNER
from ledger.state import due, metering
from ledger.state.block import Applied, Block, Result
from ledger.state.draft import Draft
from ledger.state.state import State
from ledger.state.verdicts import Verdicts


class Admission(NamedTuple):
    """Whether a transaction may be applied. content: what it says, where ``code`` is ACCEPTED; else None."""

    code: Code
    content: Content | None = None


def apply_block(state: State, block: Block, contracts: Mapping[str, Contract], verdicts: Verdicts) -> Applied:
    """What ``block`` does to ``state``: every transaction in order, then the work that has fallen due.

    Pure: ``state`` is not changed, nothing outside the arguments is read. contracts: by contract id, as the areas name
    them. verdicts: for every (digest, key) that ``verdicts.checks_of`` lists; a missing one is a broken
    invariant, never "false". A refusal is a result with its code and changes nothing.
    """
    draft = Draft(state, block.height, block.time_s)
    results = [
        apply_transaction(draft, transaction, verdicts) if transaction else refuse_malformed(wire)
        for wire, transaction in zip(block.transactions, block.decoded, strict=True)
    ]
    refused = metering.keep_batches(draft, draft.batches)
    work_pending = due.run_due_work(draft, contracts)
    return Applied(tuple(with_rows(result, refused) for result in results), draft.changes, work_pending)


def with_rows(result: Result, refused: Mapping[bytes, Sequence[RowVerdict]]) -> Result:
    """The result of an accepted batch with the verdicts on its rows that were refused."""
    rows = refused.get(result.id, ()) if result.code == Code.ACCEPTED else ()
    return replace(result, rows=tuple(rows)) if rows else result


def refuse_malformed(wire: bytes) -> Result:
    """The result of bytes that are no transaction."""
    return Result(Code.NOT_CANONICAL, malformed_digest(wire))


def apply_transaction(draft: Draft, transaction: Transaction, verdicts: Verdicts) -> Result:
    """Check and apply one transaction; the first check that fails gives the code."""
    code, content = check_admission(draft, transaction, verdicts)
    if content is None:
        return Result(code, transaction.digest, transaction.id)
    return Result(KINDS[transaction.kind].apply(draft, transaction, content), transaction.digest, transaction.id)


def check_admission(draft: Draft, transaction: Transaction, verdicts: Verdicts) -> Admission:
    """The checks that every kind shares: form, chain, kind, signer, signature, role."""
    kind = KINDS.get(transaction.kind)
    try:
        content = kind.content.decode(transaction) if kind is not None else None
    except EncodingError:
        return Admission(Code.NOT_CANONICAL)
    if transaction.chain != draft.chain_id:
        return Admission(Code.WRONG_CHAIN)
    if kind is None:
        return Admission(Code.UNKNOWN_KIND)
    signer = SIGNER.load(draft, transaction.signer)
    if signer is None:
        return Admission(Code.UNKNOWN_SIGNER)
    verdict = verdicts.get((transaction.digest, signer.public_key))
    if verdict is None:
        broken(f"a signature verdict for transaction {transaction.id.hex()} was computed before the block")
    if not verdict:
        return Admission(Code.WRONG_SIGNATURE)
    if kind.role not in signer.roles:
        return Admission(Code.NOT_PERMITTED)
    return Admission(Code.ACCEPTED, content)

"""The ledger in one function: ``apply_block``. Read it top to bottom; docs/spec/state.md says the same in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from gridcore.codes import Code
from gridcore.envelope import Transaction, malformed_digest
from gridcore.errors import broken
from ledger.contract import Contract
from ledger.leaves.exception import RowVerdict
from ledger.leaves.signer import SIGNER
from ledger.state import clock, due, fields, market, metering
from ledger.state.block import Applied, Block, Result
from ledger.state.draft import Draft
from ledger.state.state import State
from ledger.state.verdicts import Verdicts

Apply = Callable[[Draft, Transaction], tuple[Code, tuple[RowVerdict, ...]]]

ROLE: Final[Mapping[str, str]] = {
    fields.CLOCK_ADVANCE: "clock",
    fields.OPEN_EPOCH: "utility",
    fields.READING_BATCH: "gateway",
    fields.ORDER: "prosumer",
}
APPLY: Final[Mapping[str, Apply]] = {
    fields.CLOCK_ADVANCE: clock.advance,
    fields.OPEN_EPOCH: metering.open_epoch,
    fields.READING_BATCH: metering.take_batch,
    fields.ORDER: market.take_order,
}


def apply_block(state: State, block: Block, contracts: Mapping[str, Contract], verdicts: Verdicts) -> Applied:
    """What ``block`` does to ``state``: every transaction in order, then the work that has fallen due.

    Pure: ``state`` is not changed, nothing outside the arguments is read. contracts: by contract id, as the areas name
    them. verdicts: for every (digest, key) that ``verdicts.checks_of`` lists; a missing one is a broken
    invariant, never "false". A refusal is a result with its code and changes nothing.
    """
    draft = Draft(state, block.height, block.time_s)
    results = tuple(
        apply_transaction(draft, transaction, verdicts) if transaction else refuse_malformed(wire)
        for wire, transaction in zip(block.transactions, block.decoded, strict=True)
    )
    work_pending = due.run_due_work(draft, contracts)
    return Applied(results, draft.changes, work_pending)


def refuse_malformed(wire: bytes) -> Result:
    """The result of bytes that are no transaction."""
    return Result(Code.NOT_CANONICAL, malformed_digest(wire))


def apply_transaction(draft: Draft, transaction: Transaction, verdicts: Verdicts) -> Result:
    """Check and apply one transaction; the first check that fails gives the code."""
    code = check_admission(draft, transaction, verdicts)
    if code is not Code.ACCEPTED:
        return Result(code, transaction.digest, transaction.id)
    code, rows = APPLY[transaction.kind](draft, transaction)
    return Result(code, transaction.digest, transaction.id, rows)


def check_admission(draft: Draft, transaction: Transaction, verdicts: Verdicts) -> Code:
    """The checks that every kind shares: form, chain, kind, signer, signature, role."""
    known = fields.is_known(transaction.kind)
    if known and not fields.is_well_formed(transaction):
        return Code.NOT_CANONICAL
    if transaction.chain != draft.chain_id:
        return Code.WRONG_CHAIN
    if not known:
        return Code.UNKNOWN_KIND
    signer = SIGNER.load(draft, transaction.signer)
    if signer is None:
        return Code.UNKNOWN_SIGNER
    verdict = verdicts.get((transaction.digest, signer.public_key))
    if verdict is None:
        broken(f"a signature verdict for transaction {transaction.id.hex()} was computed before the block")
    if not verdict:
        return Code.WRONG_SIGNATURE
    return Code.ACCEPTED if ROLE[transaction.kind] in signer.roles else Code.NOT_PERMITTED

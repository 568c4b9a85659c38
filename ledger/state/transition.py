"""The ledger in one function: ``apply_block``. Read it top to bottom; docs/spec/state.md says the same in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from gridcore.codes import Code
from gridcore.envelope import Transaction, malformed_digest
from gridcore.errors import EncodingError, broken
from gridcore.genesis import BLOCK_TIME
from gridcore.registry.signer import SIGNER, RevokedSigner
from gridcore.transactions.clock_advance import ClockAdvance
from gridcore.transactions.content import Content
from gridcore.transactions.market_cancel import MarketCancel
from gridcore.transactions.market_order import MarketOrder
from gridcore.transactions.order_batch import OrderBatch
from ledger.contract import Contract
from ledger.governance.voters import is_removed
from ledger.kinds.kind import Kind
from ledger.leaves.exception import RowVerdict
from ledger.leaves.permissions import PERMISSIONS
from ledger.registry.certificates import IsSigned
from ledger.state import metering, orders
from ledger.state.block import Applied, Block, Result
from ledger.state.certificates import has_expired
from ledger.state.client_ids import write_client_ids
from ledger.state.draft import Draft
from ledger.state.kept_profiles import write_profiles
from ledger.state.ledger_time import Moment, follow_block_time
from ledger.state.protocol_rules import ProtocolRules
from ledger.state.state import State
from ledger.state.validator_sets import begin_block
from ledger.state.verdicts import Verdicts


class Admission(NamedTuple):
    """Whether a transaction may be applied. content: what it says, where ``code`` is ACCEPTED; else None."""

    code: Code
    content: Content | None = None


def apply_block(
    state: State,
    block: Block,
    rules: ProtocolRules,
    *,
    ledger_time_s: int,
    genesis_time_s: int,
    contracts: Mapping[str, Contract],
    verdicts: Verdicts,
    is_signed: IsSigned,
) -> Applied:
    """What ``block`` does to ``state``: the set of validators, steps of the clock, then every other transaction, then the
    work that has fallen due.

    Pure: ``state`` is not changed, nothing outside the arguments is read. rules: of the block's height.
    ledger_time_s, genesis_time_s: after the block before, and at genesis, UTC seconds. contracts: by contract id, as the
    zones name them. verdicts: for every (digest, key) that ``verdicts.checks_of`` lists; a missing one is a broken
    invariant, never "false". is_signed: of the certificates that rows bring. A
    refusal is a result with its code and changes nothing.
    """
    draft = begun_draft(state, block, ledger_time_s, contracts, is_signed)
    if draft.clock == BLOCK_TIME:
        draft.ledger_time_s = follow_block_time(draft, Moment(block.time_s, ledger_time_s, genesis_time_s))
    results = apply_transactions(draft, block, rules, verdicts)
    refused = metering.keep_batches(draft, draft.batches)
    work_pending = rules.run_due_work(draft)
    return Applied(
        results=tuple(with_rows(result, refused) for result in results),
        changes=draft.changes,
        bodies=draft.bodies,
        ledger_time_s=draft.ledger_time_s,
        work_pending=work_pending,
    )


def begun_draft(
    state: State, block: Block, ledger_time_s: int, contracts: Mapping[str, Contract], is_signed: IsSigned
) -> Draft:
    """A draft in which ``block`` has begun: its transactions see the set of validators that it takes over. Arguments as of ``apply_block``."""
    draft = Draft(state, block.height, ledger_time_s, contracts, block.attached)
    draft.block_time_s, draft.is_signed = block.time_s, is_signed
    begin_block(draft, block)
    return draft


def apply_transactions(draft: Draft, block: Block, rules: ProtocolRules, verdicts: Verdicts) -> list[Result]:
    """Apply steps of the clock, then every other transaction but orders, then these; the results stand in block order.

    So every other transaction, and the work that is due, sees the ledger time that the block's header states; and orders
    meet one another when all that this block registers is known.
    """
    draft.kinds = rules.kinds.keys()
    results: dict[int, Result] = {}
    with_orders: list[int] = []
    for position in sorted(range(len(block.decoded)), key=lambda position: _turn(block.decoded[position])):
        transaction, taken = block.decoded[position], len(draft.taken)
        results[position] = (
            apply_transaction(draft, transaction, rules, verdicts)
            if transaction
            else refuse_malformed(block.transactions[position])
        )
        if len(draft.taken) > taken:
            with_orders.append(position)
    write_profiles(draft, draft.profiles)
    write_client_ids(draft)
    for position, judged in zip(with_orders, orders.keep_orders(draft, draft.taken), strict=True):
        results[position] = replace(results[position], code=judged.code, rows=judged.rows)
    return [results[position] for position in range(len(block.decoded))]


def with_rows(result: Result, refused: Mapping[bytes, Sequence[RowVerdict]]) -> Result:
    """The result of an accepted batch with the verdicts on its rows that were refused."""
    rows = refused.get(result.id, ()) if result.code == Code.ACCEPTED else ()
    return replace(result, rows=tuple(rows)) if rows else result


def refuse_malformed(wire: bytes) -> Result:
    """The result of bytes that are no transaction."""
    return Result(Code.NOT_CANONICAL, malformed_digest(wire))


def apply_transaction(draft: Draft, transaction: Transaction, rules: ProtocolRules, verdicts: Verdicts) -> Result:
    """Check and apply one transaction; the first check that fails gives the code."""
    code, content = check_admission(draft, transaction, rules, verdicts)
    if content is None:
        return Result(code, transaction.digest, transaction.id)
    code = rules.kinds[transaction.kind].apply(draft, transaction, content)
    return Result(code, transaction.digest, transaction.id)


def check_admission(draft: Draft, transaction: Transaction, rules: ProtocolRules, verdicts: Verdicts) -> Admission:
    """The checks that every kind shares: form, chain, kind, signer, signature, role."""
    kind = rules.kinds.get(transaction.kind)
    try:
        content = kind.content.decode(transaction) if kind is not None else None
    except EncodingError:
        return Admission(Code.NOT_CANONICAL)
    if kind is not None and kind.is_known is not None and not kind.is_known(draft, content):
        return Admission(Code.NOT_CANONICAL)
    if transaction.chain != draft.chain_id:
        return Admission(Code.WRONG_CHAIN)
    if kind is None:
        return Admission(Code.UNKNOWN_KIND)
    signer = draft.in_force(SIGNER, transaction.signer)
    if signer is None:
        return Admission(Code.UNKNOWN_SIGNER)
    if isinstance(signer, RevokedSigner) or is_removed(draft, signer.organisation):
        return Admission(Code.REVOKED)
    verdict = verdicts.get((transaction.digest, signer.public_key))
    if verdict is None:
        broken(f"a signature verdict for transaction {transaction.id.hex()} was computed before the block")
    if not verdict:
        return Admission(Code.WRONG_SIGNATURE)
    if not set(roles_of(draft, transaction.kind, kind)).intersection(signer.roles):
        return Admission(Code.NOT_PERMITTED)
    if has_expired(transaction.kind, signer, draft.ledger_time_s):
        return Admission(Code.CERTIFICATE_EXPIRED)
    return Admission(Code.ACCEPTED, content)


def roles_of(draft: Draft, name: str, kind: Kind[Any]) -> Sequence[str]:
    """The roles that may send transactions of a kind: as was voted, else as the rules say."""
    voted = PERMISSIONS.load(draft)
    return (kind.role,) if voted is None else voted.roles.get(name, (kind.role,))


def _turn(transaction: Transaction | None) -> int:
    """When in its block a transaction is applied: steps of the clock first, orders last."""
    return 1 if transaction is None else _TURNS.get(transaction.kind, 1)


_TURNS: Final = {ClockAdvance.kind: 0, MarketCancel.kind: 2, MarketOrder.kind: 2, OrderBatch.kind: 2}

"""``contract``: an id is approved once, with one pin; what was released is never edited."""

from __future__ import annotations

from typing import Final

from gridcore.governance.contract import ApprovedContract
from ledger.governance.rule import Refusal, Rule, unfit
from ledger.leaves.contracts import CONTRACTS, CONTRACTS_MAX
from ledger.state.draft import Draft


def _refusal(draft: Draft, action: ApprovedContract) -> Refusal | None:
    known = CONTRACTS.must(draft)
    approved = known.find(action.contract)
    if approved is not None:
        return unfit(
            f"contract: {action.contract} is approved from height {approved.height} on; other code has another id"
        )
    if action.height <= draft.height:
        return unfit(f"height: at least {draft.height + 1}, the block after the one that decides, not {action.height}")
    if len(known.approved) >= CONTRACTS_MAX:
        return unfit(f"contract: a chain has at most {CONTRACTS_MAX}")
    return None


def _carry_out(draft: Draft, action: ApprovedContract) -> None:
    CONTRACTS.save(draft, CONTRACTS.must(draft).added(action))


CONTRACT: Final = Rule(_refusal, _carry_out)

"""``thresholds``: how many organisations decide, never more than there are."""

from __future__ import annotations

from typing import Final

from gridcore.codes import Code
from gridcore.genesis import Thresholds
from ledger.governance.rule import Refusal, Rule
from ledger.governance.voters import voters
from ledger.leaves.chain import CHAIN
from ledger.state.draft import Draft


def _refusal(draft: Draft, action: Thresholds) -> Refusal | None:
    left = len(voters(draft))
    for field, needed in action._asdict().items():
        if needed > left:
            words = f"{field}: at most {left}, the organisations that may have administrators, not {needed}"
            return Refusal(Code.LAST_OF_ITS_KIND, words)
    return None


def _carry_out(draft: Draft, action: Thresholds) -> None:
    CHAIN.save(draft, CHAIN.must(draft)._replace(thresholds=action))


THRESHOLDS: Final = Rule(_refusal, _carry_out)

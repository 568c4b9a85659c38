"""``protocol``: versions follow one another, each from a later height on; a block that is decided keeps its rules."""

from __future__ import annotations

from typing import Final

from gridcore.genesis import Activation
from ledger.governance.rule import Refusal, Rule, unfit
from ledger.leaves.protocol import PROTOCOL as LEAF
from ledger.leaves.protocol import ProtocolLeaf
from ledger.state.draft import Draft

VERSIONS_MAX: Final = 256
"""Of one chain, for ever."""


def _refusal(draft: Draft, action: Activation) -> Refusal | None:
    versions = LEAF.must(draft).versions
    newest = versions[-1]
    if action.version <= newest.version:
        return unfit(f"version: above {newest.version}, which begins at height {newest.height}, not {action.version}")
    least = max(newest.height, draft.height) + 1
    if action.height < least:
        return unfit(f"height: at least {least}, not {action.height}")
    if len(versions) >= VERSIONS_MAX:
        return unfit(f"version: a chain has at most {VERSIONS_MAX}")
    return None


def _carry_out(draft: Draft, action: Activation) -> None:
    LEAF.save(draft, ProtocolLeaf([*LEAF.must(draft).versions, action]))


PROTOCOL: Final = Rule(_refusal, _carry_out)

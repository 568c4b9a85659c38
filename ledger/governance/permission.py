"""``permission``: which roles may send transactions of a kind, from the next transaction on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from gridcore.governance.permission import Permission
from ledger.governance.rule import Refusal, Rule, unfit
from ledger.leaves.permissions import PERMISSIONS, PermissionsLeaf
from ledger.state.draft import Draft


def _voted(draft: Draft) -> Mapping[str, Sequence[str]]:
    known = PERMISSIONS.load(draft)
    return {} if known is None else known.roles


def _refusal(draft: Draft, action: Permission) -> Refusal | None:
    if action.kind not in draft.kinds:
        return unfit(f"kind: one of {', '.join(sorted(draft.kinds))}")
    return None


def _carry_out(draft: Draft, action: Permission) -> None:
    PERMISSIONS.save(draft, PermissionsLeaf({**_voted(draft), action.kind: list(action.roles)}))


PERMISSION: Final[Rule[Any]] = Rule(_refusal, _carry_out)

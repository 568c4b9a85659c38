"""Difference posting: a later run posts only what it changes against the run before it.

The sum of all postings of an account is therefore always the last run alone, however many runs there were.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from settlement.contract_kit_1 import is_int64
from settlement.errors import SettlementError


def difference_posting(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    """What the run ``after`` posts on top of ``before``: {account: nano}, differences that are not zero.

    An account that a run does not name counts as 0 there. Accounts in ``after`` come first, in its order.
    SettlementError where a difference is outside int64.
    """
    posting: dict[str, int] = {}
    for account in (*after, *(account for account in before if account not in after)):
        amount_nano = after.get(account, 0) - before.get(account, 0)
        if not is_int64(amount_nano):
            raise SettlementError(
                f"the difference of account {account} is outside the signed 64-bit range: {amount_nano}"
            )
        if amount_nano:
            posting[account] = amount_nano
    return posting


def difference_postings(runs: Sequence[Mapping[str, int]]) -> list[dict[str, int]]:
    """One posting per run, oldest first: the first against nothing, each later one against the run before it."""
    before: list[Mapping[str, int]] = [{}, *runs]
    return [difference_posting(earlier, later) for earlier, later in zip(before, runs, strict=False)]

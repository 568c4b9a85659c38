"""Difference posting: a later run posts only what it changes against the run before it (``difference_posting/1``).

The sum of all postings of an account is therefore always the last run alone, however many runs there were.
"""

from __future__ import annotations

from collections.abc import Mapping


def difference_posting(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    """What the run ``after`` posts on top of ``before``: {account: nano}, differences that are not zero.

    An account that a run does not name counts as 0 there; the first run posts against nothing. Exact at any size. Accounts in
    ``after`` come first, in its order.
    """
    accounts = (*after, *(account for account in before if account not in after))
    differences = {account: after.get(account, 0) - before.get(account, 0) for account in accounts}
    return {account: amount_nano for account, amount_nano in differences.items() if amount_nano}
